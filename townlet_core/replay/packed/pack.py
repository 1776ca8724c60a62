"""Turn a dataset of NPZ files into shards, and back to the byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.bulk import whole_folder
from townlet_core.errors import InputError
from townlet_core.replay.folder import METRICS_ENDING
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import (
    Manifest,
    ManifestEntry,
    listed_files,
    load_manifest,
    read_entry,
    sample_or_manifest,
    save_manifest,
)
from townlet_core.replay.metrics import TOTAL, load_metrics, sample_metrics
from townlet_core.replay.packed.writer import SHARD_TRANSITIONS, ShardWriter
from townlet_core.replay.sample import ReplaySample, save_original


class Packed(NamedTuple):
    """A dataset that was written: its manifest, and sizes before and after."""

    manifest: Path
    samples: int
    transitions: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


class ShardSeries:
    """Write samples to `<prefix>_00001.arrow` and the shards after it.

    A new shard begins after SHARD_TRANSITIONS, and where a sample does not fit the others of its shard.
    entries: of the finished shards, for a manifest.
    """

    def __init__(self, folder: Path, prefix: str, compression: str = "zstd") -> None:
        self.entries: list[dict[str, Any]] = []
        self._next: Callable[[], ShardWriter] = lambda: ShardWriter(
            folder, f"{prefix}_{len(self.entries) + 1:05d}", compression
        )
        self._writer = self._next()
        self._samples = 0
        self._prefix = prefix

    def add(
        self, sample: ReplaySample, name: str | None = None, original: tuple[bytes, bytes] | None = None
    ) -> None:
        """Add a sample, as ShardWriter.add. name: kept only if the numbering does not give it."""
        if self._writer.sample_count and (
            self._writer.transitions >= SHARD_TRANSITIONS or not self._writer.fits(sample)
        ):
            self.entries.append(self._writer.close())
            self._writer = self._next()
        self._samples += 1
        numbered = f"{self._prefix}_{sample.agent_id}_{self._samples:03d}.npz"
        self._writer.add(sample, None if name == numbered else name, original)

    def close(self) -> list[dict[str, Any]]:
        """Finish the last shard and return the entries of all. Raises InputError without samples."""
        self.entries.append(self._writer.close())
        return self.entries

    def abandon(self) -> None:
        """Leave no file of the shard that is not finished."""
        self._writer.abandon()


def pack(
    manifest: Manifest,
    output: Path,
    compression: str = "zstd",
    limits: ReadLimits = DEFAULT_LIMITS,
    after_sample: Callable[[], Any] = lambda: None,
) -> Packed:
    """Write the samples of a manifest as shards into the folder `output`, which must be empty.

    Raises SampleError for a damaged sample, InputError, MissingError or DiskError.
    """
    with whole_folder(output) as folder:
        saved = _write_shards(manifest, folder, compression, limits, after_sample)
    return _summary(manifest, load_manifest(output / saved.name, limits))


def _write_shards(
    manifest: Manifest, folder: Path, compression: str, limits: ReadLimits, after_sample: Callable[[], Any]
) -> Path:
    """Write shards, other files and manifest, and return the manifest's path."""
    prefix = prefix_of(manifest)
    series = ShardSeries(folder, prefix, compression)
    metrics: dict[str, Any] = {}
    try:
        for entry in manifest.entries:
            sample, name = read_entry(entry, limits), entry.sample.name
            if name in metrics:
                raise InputError(f"{entry.sample}: another sample has the same name", "rename one of them")
            series.add(sample, name, original_files(entry, limits))
            metrics[name] = sample_metrics(sample)
            after_sample()
        shards = series.close()
    except BaseException:
        series.abandon()
        raise
    copied = [_pack_other(file.path, folder, metrics, limits) for file in manifest.files or ()]
    return save_manifest(folder, prefix, [], manifest.metadata, copied, shards)


def unpack(
    manifest: Manifest,
    output: Path,
    limits: ReadLimits = DEFAULT_LIMITS,
    after_sample: Callable[[], Any] = lambda: None,
) -> Packed:
    """Write the samples of packed data as the NPZ and JSON files that they were, into the folder `output`.

    The folder must be empty; the other arguments are those of `pack`. Raises as `pack` does.
    """
    if not manifest.shards:
        raise InputError(
            f"{manifest.path}: lists no shards: its samples are not packed", "use them as they are"
        )
    listed, metrics = [], {}
    with whole_folder(output) as folder:
        for entry in manifest.entries:
            assert entry.shard is not None  # a manifest lists either shards or samples
            sample, files = read_entry(entry, limits), entry.shard.original(entry.number)
            listed.append(save_original(*files, sample, folder, entry.name))
            metrics[entry.name] = sample_metrics(sample)
            after_sample()
        copied = [_unpack_other(file.path, folder, metrics, limits) for file in manifest.files or ()]
        saved = save_manifest(folder, prefix_of(manifest), listed, manifest.metadata, copied)
    return _summary(manifest, load_manifest(output / saved.name, limits))


def open_manifest(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Manifest:
    """Open a manifest, or the one of a folder. Raises as load_manifest does."""
    path = sample_or_manifest(path)
    if path.suffix in (".npz", ".arrow"):
        raise InputError(
            f"{path}: is a file of samples, expected a manifest or its folder", "name the manifest"
        )
    return load_manifest(path, limits)


def prefix_of(manifest: Manifest) -> str:
    """Return the start of the names of a dataset's files."""
    return manifest.path.stem.removesuffix("manifest").rstrip("_") or "samples"


def original_files(entry: ManifestEntry, limits: ReadLimits) -> tuple[bytes, bytes]:
    """Return the NPZ and the JSON file of a sample. Raises SampleError, MissingError or DiskError."""
    if entry.shard:
        return entry.shard.original(entry.number)
    return (
        io.read_file(entry.sample, limits.max_sample_bytes),
        io.read_file(entry.meta, limits.max_metadata_bytes),
    )


def _pack_other(path: Path, output: Path, metrics: dict[str, Any], limits: ReadLimits) -> Path:
    """Copy a file of the capture; of the metrics only the totals, if the samples give back the rest."""
    data = io.read_file(path, limits.max_sample_bytes)
    if path.name.endswith(METRICS_ENDING):
        totals = {key: value for key, value in load_metrics(path, limits).items() if key == TOTAL}
        if totals and data == io.dump_json({**metrics, **totals}):
            data = io.dump_json(totals)
    io.write_file(output / path.name, data)
    return output / path.name


def _unpack_other(path: Path, output: Path, metrics: dict[str, Any], limits: ReadLimits) -> Path:
    """Copy a file of the capture; add the metrics of the samples where it holds only the totals."""
    data = io.read_file(path, limits.max_sample_bytes)
    if path.name.endswith(METRICS_ENDING) and list(totals := load_metrics(path, limits)) == [TOTAL]:
        data = io.dump_json({**metrics, **totals})
    io.write_file(output / path.name, data)
    return output / path.name


def _summary(before: Manifest, after: Manifest) -> Packed:
    entries = after.entries
    old, new = ([io.file_size(path) for path in listed_files(manifest)] for manifest in (before, after))
    ticks = sum(entry.frame_count or 0 for entry in entries)
    return Packed(after.path, len(entries), ticks, len(old), len(new), sum(old), sum(new))
