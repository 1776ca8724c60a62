"""Where the two files of a shard are, and what a manifest says of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class ShardRef(NamedTuple):
    """A shard as a manifest lists it; None for what is not listed."""

    name: str  # as written, relative to the manifest's folder
    path: Path  # the rows
    samples: Path  # the samples table
    sample_count: int | None = None
    transitions: int | None = None
    sha256: str | None = None
    bytes: int | None = None
    samples_sha256: str | None = None
    samples_bytes: int | None = None
    first_sample: int = 1  # the number of its first sample in the capture
    only: tuple[int, ...] | None = None  # the samples that a filtered manifest keeps; None for all


def unlisted_shard(path: Path) -> ShardRef:
    """Return the reference to a shard that no manifest lists, by the path of its rows or of its table."""
    path = Path(path)
    stem = path.stem.removesuffix("_samples")
    rows = path.with_name(f"{stem}.arrow")
    return ShardRef(rows.name, rows, path.with_name(f"{stem}_samples.arrow"))


def is_shard(path: Path) -> bool:
    """Whether a file's name is that of the rows of a shard."""
    return path.suffix == ".arrow" and not path.stem.endswith("_samples")
