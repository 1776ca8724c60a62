"""What lies below folders: every dataset, and samples that no manifest lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import MissingFileError, TownletError
from townlet_core.handling.forms import npz_compression, shard_compression
from townlet_core.handling.sources import ticks_of
from townlet_core.replay.folder import MANIFEST_ENDINGS, find_files
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import (
    Manifest,
    ManifestEntry,
    listed_files,
    load_manifest,
    unlisted_entry,
)
from townlet_core.replay.packed.reference import is_shard, unlisted_shard
from townlet_core.replay.packed.shard import Shard


class Listed(NamedTuple):
    """A dataset; None for what it does not say, or in what its samples differ."""

    path: str  # the manifest, or the folder of samples that no manifest lists
    kind: str  # capture, selection (it refers to samples of others) or unlisted
    scenario: str | None = None
    policy: str | None = None
    seed: int | None = None
    towns: int | None = None
    samples: int = 0
    transitions: int = 0
    bytes: int = 0  # of all its files
    form: str | None = None  # npz or arrow, and the compression of its first file
    modified: float = 0.0  # seconds since 1970: of the manifest, or the newest sample
    problem: str | None = None  # why it cannot be read


class Listing(NamedTuple):
    """What was found, and the size of all files together, each counted once."""

    datasets: list[Listed]
    bytes: int


def list_datasets(folders: Iterable[Path], limits: ReadLimits = DEFAULT_LIMITS) -> Listing:
    """List the datasets below folders, by path; only manifests, tables and metadata are read.

    A dataset that cannot be read is listed with its problem. Raises MissingError or DiskError.
    """
    found: list[Listed] = []
    sizes: dict[str, int] = {}
    for folder in folders:
        if io.kind_of(folder) is None:
            raise MissingFileError(f"{folder}: no such file or folder")
        files = [Path(folder)] if io.kind_of(folder) == "file" else find_files(folder, limits.follow_links)[0]
        listed: set[str] = set()
        for path in (path for path in files if path.name.endswith(MANIFEST_ENDINGS)):
            found.append(_describe(path, limits, listed, sizes))
        loose: dict[Path, list[Path]] = {}
        for path in files:
            if (path.suffix == ".npz" or is_shard(path)) and os.path.realpath(path) not in listed:
                loose.setdefault(path.parent, []).append(path)
        found += [_describe_loose(parent, paths, limits, sizes) for parent, paths in loose.items()]
    return Listing(sorted(found), sum(sizes.values()))


def _describe(path: Path, limits: ReadLimits, listed: set[str], sizes: dict[str, int]) -> Listed:
    """Describe a manifest. listed and sizes get the real paths of its files, and their bytes."""
    about = Listed(str(path), "capture", modified=_modified([path]))
    try:
        manifest = load_manifest(path, limits)
        files = {os.path.realpath(file): io.file_size(file) for file in listed_files(manifest)}
        listed.update(files)
        sizes |= files
        samples, transitions, form = _count(manifest, limits)
    except TownletError as error:
        return about._replace(problem=str(error))
    return about._replace(
        kind="selection" if manifest.is_selection else "capture",
        samples=samples,
        transitions=transitions,
        bytes=sum(files.values()),
        form=form,
        **_origin(manifest.metadata),
    )


def _describe_loose(folder: Path, paths: Sequence[Path], limits: ReadLimits, sizes: dict[str, int]) -> Listed:
    """Describe samples and shards of one folder that no manifest lists."""
    about = Listed(str(folder), "unlisted", modified=_modified(paths))
    try:
        shards = [Shard(unlisted_shard(path), limits) for path in paths if is_shard(path)]
        entries = [unlisted_entry(path) for path in paths if not is_shard(path)]
        metas = [entry.meta for entry in entries if io.kind_of(entry.meta) == "file"]
        files = [*paths, *metas, *(shard.ref.samples for shard in shards)]
        own = {os.path.realpath(file): io.file_size(file) for file in files}
        sizes |= own
        form = shard_compression(shards[0]) if shards else ""
        return about._replace(
            samples=len(entries) + sum(shard.count for shard in shards),
            transitions=sum(ticks_of(entry, limits) for entry in entries)
            + sum(shard.transitions for shard in shards),
            bytes=sum(own.values()),
            form=f"arrow {form}" if shards else _npz_form(entries[0], limits),
        )
    except TownletError as error:
        return about._replace(problem=str(error))


def _count(manifest: Manifest, limits: ReadLimits) -> tuple[int, int, str]:
    """Return the number of samples and of transitions, and the form of the first file."""
    if manifest.samples:
        ticks = sum(ticks_of(entry, limits) for entry in manifest.samples)
        return len(manifest.samples), ticks, _npz_form(manifest.samples[0], limits)
    samples = transitions = 0
    for shard in manifest.open_shards():
        samples += len(shard.kept)
        transitions += int(shard.timesteps[list(shard.kept)].sum())
    return samples, transitions, f"arrow {shard_compression(next(manifest.open_shards()))}"


def _npz_form(entry: ManifestEntry, limits: ReadLimits) -> str:
    data = io.read_file(entry.sample, limits.max_sample_bytes)
    return f"npz {npz_compression(data, str(entry.sample), limits)}"


def _origin(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of the origin of all its samples."""
    capture = metadata.get("capture")
    about = capture if isinstance(capture, dict) else {}
    kinds = {"scenario": str, "seed": int, "towns": int}
    origin = {key: about[key] for key, kind in kinds.items() if type(about.get(key)) is kind}
    policy = metadata.get("behaviour")
    return origin | ({"policy": policy} if isinstance(policy, str) else {})


def _modified(paths: Sequence[Path]) -> float:
    return max(io.file_identity(path)[2] for path in paths) / 1e9
