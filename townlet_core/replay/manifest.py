"""The manifest: the samples of a capture, and the digests of its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from townlet_core import io
from townlet_core.errors import InputError, MissingFileError, SampleError, TownletError
from townlet_core.replay.folder import (
    MANIFEST_ENDINGS,
    RUN_FILE,
    RUN_SAMPLES,
)
from townlet_core.replay.format import RECAPTURE, Finding
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.listed import ListedFile, ManifestEntry, parse_entry, parse_files, parse_shard
from townlet_core.replay.npz import RESTORE
from townlet_core.replay.packed.reference import ShardRef
from townlet_core.replay.packed.shard import Shard
from townlet_core.replay.sample import ReplaySample, examine_sample, raise_first
from townlet_core.yaml.reader import read_yaml

_FORMS = 'expected {"metadata": {...}, "samples": [...]}, one with "shards", or a list of samples'


SELECTION = "selection"  # key in the metadata of a manifest that refers to samples of others


@dataclass(frozen=True)
class Manifest:
    """The samples of one capture, in order, and its other files; None if it does not list those."""

    path: Path
    samples: tuple[ManifestEntry, ...]  # NPZ files; empty if the samples are packed
    metadata: dict[str, Any] = field(default_factory=dict)
    files: tuple[ListedFile, ...] | None = None
    shards: tuple[ShardRef, ...] = ()  # of packed samples
    limits: ReadLimits = DEFAULT_LIMITS  # for opening the shards

    @property
    def entries(self) -> tuple[ManifestEntry, ...]:
        """Every sample, packed or not. Raises SampleError, MissingError or DiskError for a damaged shard."""
        return self.samples or tuple(entry for shard in self.open_shards() for entry in shard_entries(shard))

    @property
    def is_selection(self) -> bool:
        """Whether it refers to samples of other manifests, as filter and split write it."""
        return isinstance(self.metadata.get(SELECTION), dict)

    def open_shards(self) -> Iterator[Shard]:
        """Open the shards, one after the other. Raises SampleError, MissingError or DiskError."""
        return (Shard(ref, self.limits) for ref in self.shards)


def save_manifest(
    folder: Path,
    prefix: str,
    entries: Iterable[dict[str, Any]],
    metadata: dict[str, Any],
    files: Iterable[Path] = (),
    shards: Iterable[dict[str, Any]] = (),
) -> Path:
    """Write `<prefix>_manifest.json`. Write it last: it may only list complete files.

    entries: what save_sample returned. files: the capture's other files, in the same folder. shards: instead
    of entries, what ShardWriter.close returned, in order; samples are numbered through all of them.
    """
    path = Path(folder) / f"{prefix}_manifest.json"
    digests = {file.name: io.file_digest(file) for file in files}
    listed = {"samples": list(entries)} if not (numbered := _number(shards)) else {"shards": numbered}
    io.write_json(path, {"metadata": metadata, "files": digests, **listed})
    return path


def _number(shards: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of shards, each with the number of its first sample."""
    numbered, first = [], 1
    for shard in shards:
        numbered.append({"first_sample": first, **shard})
        first += shard["sample_count"]
    return numbered


def companion(manifest: Path, ending: str) -> Path:
    """Return the file of the same capture with this ending, such as `events.jsonl`."""
    stem = manifest.name.removesuffix(manifest.suffix).removesuffix("manifest")
    return manifest.with_name(f"{stem}{ending}")


def load_manifest(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Manifest:
    """Read a manifest in any of its forms; the samples themselves are not opened.

    Raises SampleError for an unknown form or a path that leaves the manifest's folder, InputError for
    text that is not JSON (or YAML, for `.yaml` and `.yml`), MissingError, or DiskError.
    """
    manifest, errors = examine_manifest(path, limits)
    if errors:
        raise errors[0]
    return manifest


def examine_manifest(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> tuple[Manifest, list[TownletError]]:
    """Read a manifest without its damaged entries, and return it with an error for each of them.

    Raises as load_manifest does if it is none at all.
    """
    path = Path(path)
    content = _read(path, limits)
    metadata: Any = {}
    listed, others, packed = content, None, None
    if isinstance(content, dict):
        metadata, others = content.get("metadata") or {}, content.get("files")
        listed, packed = content.get("samples"), content.get("shards")
    if listed is not None and packed is not None:
        raise SampleError(f"{path}: lists samples and shards, expected one of them")
    what, values = ("samples", listed) if packed is None else ("shards", packed)
    if not isinstance(values, list) or not isinstance(metadata, dict):
        raise SampleError(f"{path}: is not a manifest; {_FORMS}")
    if not values:
        raise SampleError(f"{path}: lists no samples", "capture some with `townlet capture`")
    if len(values) > limits.max_samples:
        raise SampleError(f"{path}: lists {len(values):,} {what}, expected at most {limits.max_samples:,}")
    files = None if others is None else parse_files(others, path, limits)
    sound: list[Any] = []
    errors: list[TownletError] = []
    for i, value in enumerate(values):
        try:
            sound.append(
                (parse_entry if packed is None else parse_shard)(value, f"{path}: {what}[{i}]", path, limits)
            )
        except TownletError as error:
            errors.append(error)
    entries, shards = (tuple(sound), ()) if packed is None else ((), tuple(sound))
    return Manifest(path, entries, metadata, files, shards, limits), errors


def listed_files(manifest: Manifest) -> list[Path]:
    """Return the files of a dataset, the manifest first: samples or shards, and the other files it lists."""
    samples = [path for entry in manifest.samples for path in (entry.sample, entry.meta)]
    shards = [path for ref in manifest.shards for path in (ref.path, ref.samples)]
    return [manifest.path, *samples, *shards, *(file.path for file in manifest.files or ())]


def listed_digests(manifest: Manifest) -> Iterator[ListedFile]:
    """Iterate over the listed files, each once. Raises SampleError for one without a digest."""
    files = list(manifest.files or ())
    for entry in manifest.samples:
        files.append(ListedFile(entry.sample, entry.sha256, entry.bytes))
        files.append(ListedFile(entry.meta, entry.meta_sha256, entry.meta_bytes))
    for ref in manifest.shards:
        files.append(ListedFile(ref.path, ref.sha256, ref.bytes))
        files.append(ListedFile(ref.samples, ref.samples_sha256, ref.samples_bytes))
    for file in {file.path: file for file in files}.values():
        if file.sha256 is None:
            raise SampleError(f"{manifest.path}: has no digest of {file.path.name}", RECAPTURE)
        yield file


def sample_or_manifest(path: Path) -> Path:
    """Resolve a path: a folder or run to its one manifest, a sample's JSON to its NPZ; others are kept.

    Raises MissingError if the path does not exist, InputError for a folder without exactly one manifest.
    """
    path = Path(path)
    kind = io.kind_of(path)
    if kind is None and not (path.parent.suffix == ".arrow" and io.kind_of(path.parent)):
        raise MissingFileError(f"{path}: no such file or folder")
    if kind == "folder":
        return _only_manifest(path)
    if path.suffix == ".json" and io.kind_of(path.with_suffix(".npz")):
        return path.with_suffix(".npz")
    return path


def _only_manifest(folder: Path) -> Path:
    names = [name for name in io.list_folder(folder) if name.endswith(MANIFEST_ENDINGS)]
    if len(names) > 1:  # those that refer to samples of the others do not count
        names = [name for name in names if not load_manifest(folder / name).is_selection] or names
    if len(names) == 1:
        return folder / names[0]
    if not names and io.kind_of(folder / RUN_FILE) == "file" and io.list_folder(folder / RUN_SAMPLES):
        return _only_manifest(folder / RUN_SAMPLES)
    listed = ", ".join(names[:5])
    raise InputError(
        f"{folder}: holds {f'{len(names)} manifests ({listed})' if names else 'no manifest'}, expected one",
        "name a manifest or a sample",
    )


def shard_entries(shard: Shard) -> Iterator[ManifestEntry]:
    """Iterate over the samples of a shard that its manifest keeps."""
    for number in shard.kept:
        place = shard.place(number)
        ticks = int(shard.timesteps[number])
        entry = ManifestEntry(place.name, place, place, shard.agents[number], ticks, None, None)
        yield entry._replace(shard=shard, number=number)


def unlisted_entry(path: Path) -> ManifestEntry:
    """Return the entry of a sample that no manifest lists."""
    return ManifestEntry(path.name, path, path.with_suffix(".json"), None, None, None, None)


def examine_entry(
    entry: ManifestEntry, limits: ReadLimits = DEFAULT_LIMITS
) -> tuple[ReplaySample | None, list[Finding]]:
    """Read a listed sample, and collect its findings and differences from the manifest.

    Raises TownletError only if nothing can be checked: no file, no zip, wrong digest.
    """
    if entry.shard:
        return entry.shard.examine(entry.number)
    changed = _check_meta(entry, limits)
    sample, findings = examine_sample(entry.sample, entry.meta, limits, entry.sha256)
    findings = changed + findings
    if sample is None:
        return None, findings
    facts = {
        "agent_id": (entry.agent_id, sample.agent_id),
        "frame_count": (entry.frame_count, sample.timesteps),
        "bytes": (entry.bytes, io.file_size(entry.sample)),
    }
    wrong = [
        Finding("problem", str(entry.sample), key, f"is {actual}, the manifest says {said}", RECAPTURE)
        for key, (said, actual) in facts.items()
        if said is not None and said != actual
    ]
    return (None if wrong else sample), findings + wrong


def read_entry(entry: ManifestEntry, limits: ReadLimits = DEFAULT_LIMITS) -> ReplaySample:
    """Read and validate a sample. Raises SampleError for the first problem, MissingError, or DiskError."""
    sample, findings = examine_entry(entry, limits)
    raise_first(findings)
    assert sample is not None  # there is no sample only where there is a problem
    return sample


def entry_metadata(entry: ManifestEntry, limits: ReadLimits = DEFAULT_LIMITS) -> dict[str, Any]:
    """Read the metadata of a sample, without its arrays; it is not validated.

    Raises SampleError if it is no object or not the listed file, InputError, MissingError or DiskError.
    """
    if entry.shard:
        return entry.shard.metadata(entry.number)
    raise_first(_check_meta(entry, limits))
    metadata = io.read_json(entry.meta, limits.max_metadata_bytes)
    if not isinstance(metadata, dict):
        raise SampleError(f"{entry.meta}: is not a JSON object", RECAPTURE)
    return metadata


def _check_meta(entry: ManifestEntry, limits: ReadLimits) -> list[Finding]:
    """Compare the JSON with its digest, if the manifest has one."""
    if entry.meta_sha256 is None and entry.meta_bytes is None:
        return []
    data = io.read_file(entry.meta, limits.max_metadata_bytes)
    if entry.meta_sha256 in (None, io.sha256(data)) and entry.meta_bytes in (None, len(data)):
        return []
    message = "its sha256 is not the one in the manifest; the file has changed"
    return [Finding("problem", str(entry.meta), "", message, RESTORE)]


def _read(path: Path, limits: ReadLimits) -> Any:
    if io.kind_of(path) not in ("file", None):
        raise InputError(f"{path}: is not a file, expected a manifest")
    return (
        read_yaml(path) if path.suffix in (".yaml", ".yml") else io.read_json(path, limits.max_manifest_bytes)
    )


def entry_bytes(entry: ManifestEntry) -> int:
    """Return the size of a sample's NPZ file; 0 if it is packed. Raises MissingError or DiskError."""
    return 0 if entry.shard else io.file_size(entry.sample)
