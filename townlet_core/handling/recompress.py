"""Compress the samples of datasets in another way, in place."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, SampleError, did_you_mean, shown
from townlet_core.handling.forms import FORMATS, npz_compression, shard_compression
from townlet_core.handling.sources import manifests_below
from townlet_core.locks import lock_folder
from townlet_core.replay.find import find_entries
from townlet_core.replay.format import ARRAYS, TRAINING_ARRAYS
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import Manifest, ManifestEntry, read_entry
from townlet_core.replay.npz import list_members, pack_npz, read_array
from townlet_core.replay.packed.reference import unlisted_shard
from townlet_core.replay.packed.shard import Shard
from townlet_core.replay.packed.writer import ShardWriter
from townlet_core.replay.sample import ReplaySample, raise_first
from townlet_core.replay.selection import fingerprint

_STAGE, _MOVE = ".recompress.tmp", "move.json"  # a folder for a shard that is written, and what it replaces
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}_[0-9]{5,}")  # of a shard
_ORDER = ("sample", "meta", "agent_id", "frame_count", "sha256", "bytes", "meta_sha256", "meta_bytes")


class Recompressed(NamedTuple):
    """Files that were written, files that needed no change, and the bytes of all before and after."""

    written: int
    unchanged: int
    bytes_before: int
    bytes_after: int


def recompress(
    path: Path,
    compression: str,
    limits: ReadLimits = DEFAULT_LIMITS,
    after_file: Callable[[], None] = lambda: None,
) -> Recompressed:
    """Write the NPZ files or shards behind a path again with this compression; their content stays the same.

    Each file is compared with the one it replaces, by fingerprint, before it does. All manifests below the
    folder are renewed. A call that is interrupted leaves samples and manifests that load; the next one
    finishes it.
    path: a folder or a manifest. Raises SampleError, InputError, MissingError, BusyError or DiskError.
    """
    path = Path(path)
    folder = path if io.kind_of(path) == "folder" else path.parent
    format = next((name for name, known in FORMATS.items() if compression in known), None)
    if format is None:
        known = [name for names in FORMATS.values() for name in names]
        near = did_you_mean(compression, known)
        raise InputError(f"--compression: {shown(compression)}, expected {', '.join(known)}{near}")
    with lock_folder(folder):
        manifests = [_Listing(manifest) for manifest in manifests_below(folder, limits)]
        listed = {file for manifest in manifests for file in manifest.files}
        for place in {os.path.dirname(file) for file in listed}:
            _finish_move(Path(place), listed)
        entries = find_entries(path, limits)
        if wrong := next((e for e in entries if (e.shard is None) != (format == "npz")), None):
            form = "an NPZ file" if wrong.shard is None else "packed"
            raise InputError(
                f"{wrong.sample}: is {form}, and {compression} is a compression of {format}",
                f"for NPZ files: {', '.join(FORMATS['npz'])}; for shards: {', '.join(FORMATS['arrow'])}",
            )
        change = _change_files if format == "npz" else _change_shards
        return change(entries, compression, manifests, limits, after_file)


class _Listing:
    """A manifest whose entries change. files: the real paths of its samples, or of the rows of its shards."""

    def __init__(self, manifest: Manifest) -> None:
        self.path = manifest.path
        listed = [entry.sample for entry in manifest.samples] or [ref.path for ref in manifest.shards]
        self.files: dict[str, list[int]] = {}  # and the numbers of their entries
        for number, path in enumerate(listed):
            self.files.setdefault(os.path.realpath(path), []).append(number)
        has_digest = [bool(entry.sha256 or entry.meta_sha256) for entry in manifest.samples]
        self._have_digest = has_digest or [True] * len(listed)
        self._content: Any = None
        self._is_changed = False

    def update(self, file: str, values: dict[str, Any]) -> None:
        """Set keys of a file's entries, if those have digests; None removes a key.

        Raises InputError for a manifest in YAML, which is not written.
        """
        for number in filter(self._have_digest.__getitem__, self.files.get(file, ())):
            if self.path.suffix != ".json":
                raise InputError(f"{self.path}: is YAML, and its digests would change", "make it JSON first")
            if self._content is None:
                self._content = io.read_json(self.path)
            content = self._content
            listed = content if isinstance(content, list) else content.get("samples") or content["shards"]
            entry: dict[str, Any] = listed[number]
            changed = {key: value for key, value in (entry | values).items() if value is not None}
            known = [key for key in _ORDER if key in changed and "sample" in changed]
            listed[number] = {key: changed[key] for key in dict.fromkeys([*known, *changed])}
            self._is_changed = True

    def save(self) -> None:
        """Write the manifest, if an entry has changed."""
        if self._is_changed:
            io.write_json(self.path, self._content)
        self._is_changed = False


def _change_files(
    entries: Sequence[ManifestEntry],
    compression: str,
    manifests: Sequence[_Listing],
    limits: ReadLimits,
    after_file: Callable[[], None],
) -> Recompressed:
    """Rewrite NPZ files. Until the end manifests do not say the digests of those, so that they load."""
    before = sum(io.file_size(entry.sample) for entry in entries)
    todo = {os.path.realpath(e.sample): e for e in entries if _is_other(e, compression, limits)}
    for file in todo:
        for manifest in manifests:
            manifest.update(file, {"sha256": None, "bytes": None})
    for manifest in manifests:
        manifest.save()
    for entry in todo.values():
        _rewrite(entry, compression, limits)
        after_file()
    unknown = {os.path.realpath(e.sample) for e in entries if e.sha256 is None}  # an earlier call was stopped
    for file in todo.keys() | unknown:
        for manifest in manifests:
            manifest.update(file, io.file_digest(Path(file)))
    for manifest in manifests:
        manifest.save()
    after = sum(io.file_size(entry.sample) for entry in entries)
    return Recompressed(len(todo), len(entries) - len(todo), before, after)


def _is_other(entry: ManifestEntry, compression: str, limits: ReadLimits) -> bool:
    """Whether an NPZ file is compressed in another way. Raises InputError if it cannot be rewritten."""
    data = io.read_file(entry.sample, limits.max_sample_bytes)
    if npz_compression(data, str(entry.sample), limits) == compression:
        return False
    if os.path.islink(entry.sample):
        raise InputError(f"{entry.sample}: is a link", "recompress where the file lies")
    if unknown := [name for name in list_members(data, str(entry.sample), limits) if name not in ARRAYS]:
        raise InputError(f"{entry.sample}: {unknown[0]} is not an array of ours, and would be lost")
    return True


def _rewrite(entry: ManifestEntry, compression: str, limits: ReadLimits) -> None:
    """Replace an NPZ file. Raises SampleError if it is damaged, or if the new one would differ."""
    sample = read_entry(entry, limits)
    data = pack_npz(sample.arrays(), compression == "deflated")
    members = list_members(data, str(entry.sample), limits)
    arrays = {name: read_array(data, member, str(entry.sample)) for name, member in members.items()}
    training = {name: arrays.pop(name) for name in TRAINING_ARRAYS}
    again = ReplaySample(**training, optional=arrays, metadata=sample.metadata)
    if fingerprint(again) != fingerprint(sample):
        raise SampleError(f"{entry.sample}: would not have the same content; nothing was replaced")
    io.write_file(entry.sample, data)


def _change_shards(
    entries: Sequence[ManifestEntry],
    compression: str,
    manifests: Sequence[_Listing],
    limits: ReadLimits,
    after_file: Callable[[], None],
) -> Recompressed:
    """Write each shard again under the next free number, let manifests list it, and remove the old one."""
    shards = list({os.path.realpath(e.shard.ref.path): e.shard for e in entries if e.shard}.items())
    before = after = written = 0
    for real, shard in shards:
        before += _size(shard)
        if shard_compression(shard) == compression:
            after += _size(shard)
        else:
            if not any(real in manifest.files for manifest in manifests):
                raise InputError(
                    f"{shard.ref.path}: no manifest lists it", "recompress its manifest's folder"
                )
            new = _write_again(shard, compression, limits)
            after += new["bytes"] + new["samples_bytes"]
            for manifest in manifests:
                manifest.update(real, {**new, **_names(manifest, shard, new)})
                manifest.save()
            for path in (shard.ref.path, shard.ref.samples, shard.ref.path.parent / _STAGE):
                io.remove(path)
            written += 1
        after_file()
    return Recompressed(written, len(shards) - written, before, after)


def _write_again(shard: Shard, compression: str, limits: ReadLimits) -> dict[str, Any]:
    """Write a shard under a free name beside it, verify it, and return its entry of a manifest."""
    folder = shard.ref.path.parent
    stage = folder / _STAGE
    prefix = shard.ref.path.stem.rpartition("_")[0] or shard.ref.path.stem
    taken = set(io.list_folder(folder))
    numbered = (f"{prefix}_{number:05d}" for number in itertools.count(1))
    name = next(name for name in numbered if not {f"{name}.arrow", f"{name}_samples.arrow"} & taken)
    writer = ShardWriter(stage, name, compression)
    try:
        for number in range(shard.count):
            writer.add(shard.sample(number), shard.given_names[number], shard.original(number))
        entry = writer.close()
    except BaseException:
        writer.abandon()
        raise
    new = Shard(unlisted_shard(stage / entry["shard"]), limits)
    if new.fingerprints != shard.fingerprints:
        raise SampleError(f"{shard.ref.path}: would not have the same content; nothing was replaced")
    for number in range(new.count):
        raise_first(new.examine(number)[1])
    io.write_json(stage / _MOVE, [shard.ref.path.stem, name])
    for file in (entry["samples"], entry["shard"]):
        io.rename_file(stage / file, folder / file)
    return entry


def _finish_move(folder: Path, listed: set[str]) -> None:
    """Remove what an interrupted call left: of two shards that are the same, the one that is not listed."""
    if io.kind_of(folder / _STAGE / _MOVE) == "file":
        said = io.read_json(folder / _STAGE / _MOVE)
        words = said if isinstance(said, list) else []
        names = [word for word in words if isinstance(word, str) and _NAME.fullmatch(word)]
        files = {name: os.path.realpath(folder / f"{name}.arrow") for name in names}
        if len(files) == 2 and any(file in listed for file in files.values()):
            for name in (name for name, file in files.items() if file not in listed):
                io.remove(folder / f"{name}.arrow")
                io.remove(folder / f"{name}_samples.arrow")
    io.remove(folder / _STAGE)


def _names(manifest: _Listing, shard: Shard, new: dict[str, Any]) -> dict[str, str]:
    """Return the names of the new files relative to a manifest."""
    folder = shard.ref.path.parent
    return {key: os.path.relpath(folder / new[key], manifest.path.parent) for key in ("shard", "samples")}


def _size(shard: Shard) -> int:
    return io.file_size(shard.ref.path) + io.file_size(shard.ref.samples)
