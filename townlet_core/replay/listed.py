"""What a manifest lists: the entries of samples, shards and other files, read from JSON."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import SampleError, shown
from townlet_core.replay.folder import FOLLOW, describe_outside_link, target_outside
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.packed.reference import ShardRef
from townlet_core.replay.packed.shard import Shard

_SHA256 = re.compile(r"[0-9a-f]{64}")


class ManifestEntry(NamedTuple):
    """One sample of a manifest; None for missing keys."""

    name: str  # as written, relative to the manifest's folder
    sample: Path
    meta: Path
    agent_id: str | None
    frame_count: int | None
    sha256: str | None  # of the NPZ
    bytes: int | None  # of the NPZ
    meta_sha256: str | None = None  # of the JSON
    meta_bytes: int | None = None  # of the JSON
    shard: Shard | None = None  # that holds the sample; then `sample` and `meta` are names below it, no files
    number: int = 0  # of the sample in the shard


class ListedFile(NamedTuple):
    """A file of a capture besides its samples: metrics, events or scenario."""

    path: Path
    sha256: str | None
    bytes: int | None


def parse_entry(value: Any, place: str, path: Path, limits: ReadLimits) -> ManifestEntry:
    """Read the entry of a sample. place: of the entry, for messages. path: of the manifest."""
    entry = {"sample": value} if isinstance(value, str) else value
    if not isinstance(entry, dict) or "sample" not in entry:
        raise SampleError(f"{place}: is not a sample; expected a file name or {{'sample': FILE}}")
    name, meta = entry["sample"], entry.get("meta")
    sample = _sample_file(name, ".npz", f"{place}.sample", path, limits)
    meta = str(Path(name).with_suffix(".json")) if meta is None else meta
    return ManifestEntry(
        name=name,
        sample=sample,
        meta=_sample_file(meta, ".json", f"{place}.meta", path, limits),
        agent_id=_typed(entry, "agent_id", str, place),
        frame_count=_typed(entry, "frame_count", int, place),
        sha256=_digest(entry, "sha256", place),
        bytes=_typed(entry, "bytes", int, place),
        meta_sha256=_digest(entry, "meta_sha256", place),
        meta_bytes=_typed(entry, "meta_bytes", int, place),
    )


def parse_shard(value: Any, place: str, path: Path, limits: ReadLimits) -> ShardRef:
    """Read the entry of a shard."""
    if not isinstance(value, dict) or "shard" not in value or "samples" not in value:
        raise SampleError(f"{place}: is not a shard; expected {{'shard': FILE, 'samples': FILE}}")
    numbers = {key: _typed(value, key, int, place) for key in _SHARD_NUMBERS}
    if wrong := [key for key, number in numbers.items() if number is not None and number < 0]:
        raise SampleError(f"{place}.{wrong[0]}: is {numbers[wrong[0]]}, expected a number of at least 0")
    first = numbers.pop("first_sample")
    return ShardRef(
        name=value["shard"],
        path=_sample_file(value["shard"], ".arrow", f"{place}.shard", path, limits),
        samples=_sample_file(value["samples"], ".arrow", f"{place}.samples", path, limits),
        sha256=_digest(value, "sha256", place),
        samples_sha256=_digest(value, "samples_sha256", place),
        first_sample=1 if first is None else first,
        only=_only(value.get("only"), place),
        **numbers,
    )


_SHARD_NUMBERS = ("sample_count", "transitions", "bytes", "samples_bytes", "first_sample")


def _only(numbers: Any, place: str) -> tuple[int, ...] | None:
    """Read the numbers of the samples that a filtered manifest keeps: ascending, each once."""
    if numbers is None:
        return None
    is_list = isinstance(numbers, list) and all(type(number) is int and number >= 0 for number in numbers)
    if not is_list or not numbers or any(b <= a for a, b in pairwise(numbers)):
        raise SampleError(f"{place}.only: is {shown(numbers)}, expected ascending numbers of samples")
    return tuple(numbers)


def _sample_file(name: Any, suffix: str, place: str, path: Path, limits: ReadLimits) -> Path:
    """Return the path of a sample's file. Raises SampleError unless its name ends in `suffix`."""
    file = _inside(name, place, path, limits)
    if file.suffix != suffix:
        raise SampleError(f"{place}: is {shown(name)}, expected a file of a sample, NAME{suffix}")
    return file


def parse_files(listed: Any, path: Path, limits: ReadLimits) -> tuple[ListedFile, ...]:
    """Read the manifest's list of files besides samples."""
    place = f"{path}: files"
    if not isinstance(listed, dict) or not all(isinstance(entry, dict) for entry in listed.values()):
        raise SampleError(f"{place}: expected {{FILE: {{'sha256': …, 'bytes': …}}}}")
    return tuple(
        ListedFile(
            _inside(name, f"{place}[{i}]", path, limits),
            _digest(entry, "sha256", f"{place}[{i}]"),
            _typed(entry, "bytes", int, f"{place}[{i}]"),
        )
        for i, (name, entry) in enumerate(listed.items())
    )


def _inside(name: Any, place: str, path: Path, limits: ReadLimits) -> Path:
    """Return the path of a listed file, which must lie in the manifest's folder.

    A link there may lead out of it with `limits.follow_links`.
    """
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 1024:
        raise SampleError(f"{place}: is {shown(name)}, expected a file name")
    if "://" in name:
        raise SampleError(
            f"{place}: {shown(name, 200)} is an address, expected a file below the manifest's folder",
            "copy it here first, and name it relative to the manifest",
        )
    if os.path.isabs(name) or ".." in Path(name).parts:
        raise SampleError(
            f"{place}: {shown(name, 200)} leaves the manifest's folder",
            "keep samples beside or below their manifest, and name them relative to it",
        )
    real = target_outside(path.parent / name, path.parent)
    if real and not limits.follow_links:
        raise SampleError(f"{place}: {shown(name, 200)} {describe_outside_link(real)}", FOLLOW)
    return path.parent / name


def _typed(entry: dict[str, Any], key: str, kind: type, place: str) -> Any:
    value = entry.get(key)
    if value is not None and type(value) is not kind:
        raise SampleError(f"{place}.{key}: is {shown(value)}, expected {kind.__name__}")
    return value


def _digest(entry: dict[str, Any], key: str, place: str) -> str | None:
    digest = _typed(entry, key, str, place)
    if digest is not None and not _SHA256.fullmatch(digest):
        raise SampleError(f"{place}.{key}: is {shown(digest)}, expected 64 hexadecimal digits")
    return digest
