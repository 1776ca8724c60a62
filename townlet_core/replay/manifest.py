"""The manifest: the samples of a capture, and the digests of its files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, MissingFileError, SampleError, shown
from townlet_core.replay.folder import (
    FOLLOW,
    MANIFEST_ENDINGS,
    RUN_FILE,
    RUN_SAMPLES,
    describe_outside_link,
    target_outside,
)
from townlet_core.replay.format import RECAPTURE, Finding
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.npz import RESTORE
from townlet_core.replay.sample import ReplaySample, examine_sample, file_identity, raise_first
from townlet_core.yaml.reader import read_yaml

_FORMS = 'expected {"metadata": {...}, "samples": [...]} or a list of samples'
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


class ListedFile(NamedTuple):
    """A file of a capture besides its samples: metrics, events or scenario."""

    path: Path
    sha256: str | None
    bytes: int | None


@dataclass(frozen=True)
class Manifest:
    """The samples of one capture, in order, and its other files; None if it does not list those."""

    path: Path
    entries: tuple[ManifestEntry, ...]
    metadata: dict[str, Any] = field(default_factory=dict)
    files: tuple[ListedFile, ...] | None = None


def save_manifest(
    folder: Path,
    prefix: str,
    entries: Iterable[dict[str, Any]],
    metadata: dict[str, Any],
    files: Iterable[Path] = (),
) -> Path:
    """Write `<prefix>_manifest.json`. Write it last: it may only list complete files.

    entries: what save_sample returned. files: the capture's other files, in the same folder.
    """
    path = Path(folder) / f"{prefix}_manifest.json"
    digests = {file.name: io.file_digest(file) for file in files}
    io.write_json(path, {"metadata": metadata, "files": digests, "samples": list(entries)})
    return path


def companion(manifest: Path, ending: str) -> Path:
    """Return the file of the same capture with this ending, such as `events.jsonl`."""
    stem = manifest.name.removesuffix(manifest.suffix).removesuffix("manifest")
    return manifest.with_name(f"{stem}{ending}")


def load_manifest(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Manifest:
    """Read a manifest in any of its forms; the samples themselves are not opened.

    Raises SampleError for an unknown form or a path that leaves the manifest's folder, InputError for
    text that is not JSON (or YAML, for `.yaml` and `.yml`), MissingError, or DiskError.
    """
    path = Path(path)
    content = _read(path, limits)
    metadata: Any = {}
    listed, others = content, None
    if isinstance(content, dict):
        metadata, listed, others = content.get("metadata") or {}, content.get("samples"), content.get("files")
    if not isinstance(listed, list) or not isinstance(metadata, dict):
        raise SampleError(f"{path}: is not a manifest; {_FORMS}")
    if not listed:
        raise SampleError(f"{path}: lists no samples", "capture some with `townlet capture`")
    if len(listed) > limits.max_samples:
        raise SampleError(f"{path}: lists {len(listed):,} samples, expected at most {limits.max_samples:,}")
    entries = tuple(_entry(value, f"{path}: samples[{i}]", path, limits) for i, value in enumerate(listed))
    return Manifest(path, entries, metadata, None if others is None else _files(others, path, limits))


def sample_or_manifest(path: Path) -> Path:
    """Resolve a path: a folder or run to its one manifest, a sample's JSON to its NPZ.

    Raises MissingError if the path does not exist, InputError for a folder without exactly one manifest.
    """
    path = Path(path)
    kind = io.kind_of(path)
    if kind is None:
        raise MissingFileError(f"{path}: no such file or folder")
    if kind == "folder":
        return _only_manifest(path)
    if path.suffix == ".json" and io.kind_of(path.with_suffix(".npz")):
        return path.with_suffix(".npz")
    return path


def _only_manifest(folder: Path) -> Path:
    names = [name for name in io.list_folder(folder) if name.endswith(MANIFEST_ENDINGS)]
    if len(names) == 1:
        return folder / names[0]
    if not names and io.kind_of(folder / RUN_FILE) == "file" and io.list_folder(folder / RUN_SAMPLES):
        return _only_manifest(folder / RUN_SAMPLES)
    listed = ", ".join(names[:5])
    raise InputError(
        f"{folder}: holds {f'{len(names)} manifests ({listed})' if names else 'no manifest'}, expected one",
        "name a manifest or a sample",
    )


def unlisted_entry(path: Path) -> ManifestEntry:
    """Return the entry of a sample that no manifest lists."""
    return ManifestEntry(path.name, path, path.with_suffix(".json"), None, None, None, None)


def examine_entry(
    entry: ManifestEntry, limits: ReadLimits = DEFAULT_LIMITS
) -> tuple[ReplaySample | None, list[Finding]]:
    """Read a listed sample, and collect its findings and differences from the manifest.

    Raises TownletError only if nothing can be checked: no file, no zip, wrong digest.
    """
    changed = _check_meta(entry, limits)
    sample, findings = examine_sample(entry.sample, entry.meta, limits, entry.sha256)
    findings = changed + findings
    if sample is None:
        return None, findings
    facts = {
        "agent_id": (entry.agent_id, sample.agent_id),
        "frame_count": (entry.frame_count, sample.timesteps),
        "bytes": (entry.bytes, file_identity(entry.sample)[1]),
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


def _entry(value: Any, place: str, path: Path, limits: ReadLimits) -> ManifestEntry:
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


def _sample_file(name: Any, suffix: str, place: str, path: Path, limits: ReadLimits) -> Path:
    """Return the path of a sample's file. Raises SampleError unless its name ends in `suffix`."""
    file = _inside(name, place, path, limits)
    if file.suffix != suffix:
        raise SampleError(f"{place}: is {shown(name)}, expected a file of a sample, NAME{suffix}")
    return file


def _files(listed: Any, path: Path, limits: ReadLimits) -> tuple[ListedFile, ...]:
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
