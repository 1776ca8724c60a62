"""Find the samples behind a path: one sample, a manifest, a shard, or all below a folder."""

from __future__ import annotations

import os
from pathlib import Path

from townlet_core import io
from townlet_core.errors import MissingFileError, SampleError, TownletError
from townlet_core.replay.folder import MANIFEST_ENDINGS, find_files
from townlet_core.replay.format import problems
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import ManifestEntry, load_manifest, shard_entries, unlisted_entry
from townlet_core.replay.packed.reference import is_shard, unlisted_shard
from townlet_core.replay.packed.shard import Shard


def find_entries(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> list[ManifestEntry]:
    """List the samples of a sample, a manifest, a shard or a folder, unread, in order, each once.

    A packed sample is named below its shard, as messages name it.

    A folder gives the samples of its manifests, by the manifests' names, then those that no manifest lists.
    Raises SampleError for a damaged manifest or no samples, MissingError, InputError or DiskError.
    """
    path = Path(path)
    kind = io.kind_of(path)
    if kind is None and path.parent.suffix == ".arrow" and io.kind_of(path.parent):
        return [_packed_entry(path, limits)]
    if kind is None:
        raise MissingFileError(f"{path}: no such file or folder")
    if kind == "folder":
        return _entries_of_folder(path, limits)
    if path.suffix == ".json" and io.kind_of(path.with_suffix(".npz")):
        path = path.with_suffix(".npz")
    if path.suffix == ".arrow":
        return list(shard_entries(open_shard(path, limits)))
    return [unlisted_entry(path)] if path.suffix == ".npz" else list(load_manifest(path, limits).entries)


def open_shard(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Shard:
    """Open a shard by the path of its rows or of its table.

    Its samples are numbered as in a manifest beside it that lists the shard, or from 1.
    """
    wanted = unlisted_shard(path)
    for name in io.list_folder(wanted.path.parent):
        if name.endswith(MANIFEST_ENDINGS):
            try:
                shards = load_manifest(wanted.path.parent / name, limits).shards
            except TownletError:
                continue  # it was not asked for
            for ref in shards:
                if ref.path == wanted.path:
                    return Shard(ref._replace(only=None), limits)
    return Shard(wanted, limits)


def _packed_entry(path: Path, limits: ReadLimits) -> ManifestEntry:
    """Return a sample of a shard by its name below it."""
    shard = open_shard(path.parent, limits)
    for entry in shard_entries(shard):
        if entry.name == path.name:
            return entry
    raise MissingFileError(f"{path}: no such sample in the shard", f"townlet replay inspect {path.parent}")


def _entries_of_folder(folder: Path, limits: ReadLimits) -> list[ManifestEntry]:
    files, findings = find_files(folder, limits.follow_links)
    if broken := problems(findings):
        raise SampleError(str(broken[0]), broken[0].hint)
    manifests = [file for file in files if file.name.endswith(MANIFEST_ENDINGS)]
    entries = [entry for manifest in manifests for entry in load_manifest(manifest, limits).entries]
    listed = {os.path.realpath(entry.shard.ref.path) for entry in entries if entry.shard}
    shards = [file for file in files if is_shard(file) and os.path.realpath(file) not in listed]
    entries += [entry for file in shards for entry in shard_entries(Shard(unlisted_shard(file), limits))]
    entries += [unlisted_entry(file) for file in files if file.suffix == ".npz"]
    found = {os.path.realpath(entry.sample): entry for entry in reversed(entries)}
    if not found:
        raise SampleError(f"{folder}: holds no samples", "capture some with `townlet capture`")
    return [found[real] for real in dict.fromkeys(os.path.realpath(entry.sample) for entry in entries)]
