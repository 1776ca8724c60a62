"""Manifests that refer to samples where they lie, instead of copying them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.handling.origin import CommonOrigin
from townlet_core.handling.sources import Source, number_of_towns, origins
from townlet_core.replay.folder import target_outside
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import SELECTION, ManifestEntry, entry_metadata, load_manifest
from townlet_core.replay.packed.shard import Shard

_COPY = "copy the samples with --copy, or let --output be in a folder above them"


def save_selection(
    path: Path,
    sources: Sequence[Source],
    how: dict[str, Any],
    force: bool = False,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Path:
    """Write a manifest of the sources' samples, which stay where they are.

    how: what was asked for, to be kept in the metadata. force: replace another such manifest.
    Raises InputError if a sample lies outside of the manifest's folder, if packed samples and NPZ files are
    mixed, or if the name is taken.
    """
    path = Path(path)
    refuse_target(path, force)
    entries = [entry for source in sources for entry in source.entries]
    packed = [entry for entry in entries if entry.shard]
    if packed and len(packed) < len(entries):
        raise InputError(
            f"{path}: a manifest lists packed samples or NPZ files, and both were given",
            "copy them with --copy and --format",
        )
    content = {
        "metadata": _metadata(path, sources, how, limits),
        "files": {},
        **(
            {"shards": list(_shards(path, packed, limits))}
            if packed
            else {"samples": [_sample(path, entry, limits) for entry in entries]}
        ),
    }
    io.write_json(path, content)
    return path


def refuse_target(path: Path, force: bool) -> None:
    """Raise InputError for a name that no manifest has, or that is taken."""
    if not path.name.endswith("manifest.json"):
        raise InputError(f"{path}: expected a name that ends in manifest.json", "or give --copy for a folder")
    io.refuse_existing(path, force)
    if io.kind_of(path) is not None and not load_manifest(path).is_selection:
        raise InputError(f"{path}: is not a manifest that filter or split wrote", "choose another --output")


def _metadata(
    path: Path, sources: Sequence[Source], how: dict[str, Any], limits: ReadLimits
) -> dict[str, Any]:
    origin, towns = CommonOrigin(), []
    names: list[str | None] = []
    for source in sources:
        for entry in source.entries:
            origin.add(entry_metadata(entry, limits))
        if source.manifest:
            names += [_inside(path, manifest) for manifest in origins(source.manifest)]
            towns.append(number_of_towns(source))
    known = [name for name in dict.fromkeys(names) if name]
    origins_ = {"from": known} if known and None not in names else {}
    return origin.metadata(max(towns, default=0)) | {SELECTION: origins_ | how}


def _sample(path: Path, entry: ManifestEntry, limits: ReadLimits) -> dict[str, Any]:
    """Return the entry of an NPZ sample; digests that its manifest lacks are computed."""
    known = {"agent_id": entry.agent_id, "frame_count": entry.frame_count}
    return {
        "sample": _name(path, entry.sample, limits),
        "meta": _name(path, entry.meta, limits),
        **{key: value for key, value in known.items() if value is not None},
        **_digest(entry.sample, entry.sha256, entry.bytes),
        **_digest(entry.meta, entry.meta_sha256, entry.meta_bytes, "meta_"),
    }


def _shards(path: Path, entries: Sequence[ManifestEntry], limits: ReadLimits) -> Iterator[dict[str, Any]]:
    """Yield the entry of each shard, with the numbers of the samples that are kept."""
    kept: dict[Path, tuple[Shard, list[int]]] = {}
    for entry in entries:
        assert entry.shard is not None  # these are packed
        kept.setdefault(entry.shard.ref.path, (entry.shard, []))[1].append(entry.number)
    for shard, numbers in kept.values():
        ref = shard.ref
        yield {
            "first_sample": ref.first_sample,
            "shard": _name(path, ref.path, limits),
            "samples": _name(path, ref.samples, limits),
            "sample_count": shard.count,
            "transitions": shard.transitions,
            **_digest(ref.path, ref.sha256, ref.bytes),
            **_digest(ref.samples, ref.samples_sha256, ref.samples_bytes, "samples_"),
            **({} if len(numbers) == shard.count else {"only": sorted(numbers)}),
        }


def _digest(file: Path, sha256: str | None, size: int | None, prefix: str = "") -> dict[str, Any]:
    """Return digest and size of a file as a manifest lists them; they are computed if either is missing."""
    known = sha256 is not None and size is not None
    digest: dict[str, Any] = {"sha256": sha256, "bytes": size} if known else io.file_digest(file)
    return {f"{prefix}{key}": value for key, value in digest.items()}


def _name(path: Path, file: Path, limits: ReadLimits) -> str:
    """Return the name of a file relative to a manifest. Raises InputError if it lies outside its folder."""
    name = _inside(path, file)
    if name is None or (target_outside(file, path.parent) and not limits.follow_links):
        raise InputError(f"{path}: {file} lies outside of its folder, where a manifest lists nothing", _COPY)
    return name


def _inside(path: Path, file: Path) -> str | None:
    """Return a file's path relative to a manifest's folder; None if it leads out of it."""
    name = os.path.relpath(file, path.parent)
    return None if Path(name).parts[0] == ".." else name
