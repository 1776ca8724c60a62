"""The files in a capture's output folder: which belong to a capture, to which one, and which may be removed.

A sample is recognised by its own name and content, never because a manifest lists it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, MissingError, shown
from townlet_core.replay.format import TRAINING_ARRAYS
from townlet_core.replay.limits import DEFAULT_LIMITS
from townlet_core.replay.npz import list_members
from townlet_core.replay.packed.layout import KEY
from townlet_core.replay.packed.message import read_schema
from townlet_core.replay.packed.reference import unlisted_shard
from townlet_core.replay.packed.shard import Shard

# Files of a capture besides samples, in the order of their removal. Samples are removed after and written
# before them, so that a killed capture never leaves them without samples.
PARTS = ("manifest.json", "shard.json", "metrics.json", "events.jsonl", "scenario.yaml")
REPLACE = "choose another --output, or replace it with --force"
_MOVE = "move it away, or choose another --output or --prefix"


class CaptureFiles(NamedTuple):
    """The content of a folder, without hidden files."""

    parts: list[str]  # names of PARTS with their prefix
    samples: dict[str, dict[str, Any] | None]  # origin by NPZ file or shard; None if it is not known
    others: list[str]  # files of no capture with this prefix


def is_capture_name(name: str, prefix: str) -> bool:
    """Whether a capture with this prefix writes files of this name."""
    is_part = name.removeprefix(f"{prefix}_") in PARTS and name not in PARTS
    return is_part or any(pattern.fullmatch(name) for pattern in _patterns(prefix))


def _patterns(prefix: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what the names of samples and of shards look like."""
    return (
        re.compile(rf"({re.escape(prefix)}_(?P<agent>[A-Za-z0-9_.-]{{1,64}})_\d{{3,}})\.(npz|json)"),
        re.compile(rf"({re.escape(prefix)}_\d{{5,}})(_samples)?\.arrow"),
    )


def find_capture_files(folder: Path, prefix: str) -> CaptureFiles:
    """Find the files of a capture with this prefix.

    Raises InputError if a name of a capture's file belongs to a link, a folder, or a file that is not a
    sample.
    """
    existing = CaptureFiles([], {}, [])
    sample, shard = _patterns(prefix)
    for name in io.list_folder(folder):
        if name.removeprefix(f"{prefix}_") in PARTS and name not in PARTS:
            _refuse_unless_plain(folder / name)
            existing.parts.append(name)
        elif match := shard.fullmatch(name):
            _refuse_unless_plain(folder / name)
            file = f"{match[1]}.arrow"
            if file not in existing.samples:
                existing.samples[file] = _origin_of_shard(folder / file)
        elif match := sample.fullmatch(name):
            file = f"{match[1]}.npz"
            if file in existing.samples:
                _refuse_unless_plain(folder / name)
                continue
            metadata = _read_metadata(folder / match[1])
            if _is_of_other_prefix(metadata, match["agent"]):
                existing.others.append(name)
                continue
            _refuse_unless_plain(folder / name)
            existing.samples[file] = _origin_of_sample(folder / match[1], metadata)
        elif not name.startswith("."):
            existing.others.append(name)
    return existing


def refuse_other_capture(folder: Path, existing: CaptureFiles, about: dict[str, Any]) -> None:
    """Raise InputError if the folder holds recordings of another origin than `about`.

    about: `behaviour`, `value_source` and `capture` of the samples to be written.
    """
    if existing.parts and not existing.samples:
        raise InputError(f"{folder / existing.parts[0]}: already exists, without samples beside it", REPLACE)
    expected = _origin(about)
    for file, actual in existing.samples.items():
        if actual is None:
            raise InputError(f"{folder / file}: already exists, and its origin is not known", REPLACE)
        for name, value in expected.items():
            if actual.get(name) != value:
                was = shown(actual.get(name, "missing"), 80)
                raise InputError(
                    f"{folder / file}: is of another capture: its {name} is {was}, expected {value}", REPLACE
                )


def remove_capture(folder: Path, existing: CaptureFiles) -> None:
    """Remove a capture: the manifest first, so that it lists only existing files; arrays before metadata."""
    for name in sorted(existing.parts, key=lambda name: not name.endswith("_manifest.json")):
        io.remove(folder / name)
    for file in existing.samples:
        stem, _, ending = file.rpartition(".")
        io.remove(folder / file)
        io.remove(folder / (f"{stem}.json" if ending == "npz" else f"{stem}_samples.arrow"))


def _refuse_unless_plain(path: Path) -> None:
    is_link = os.path.islink(path)
    if is_link or io.kind_of(path) != "file":
        raise InputError(
            f"{path}: is {'a link' if is_link else 'no file'}, and a capture writes a file of that name",
            _MOVE,
        )


def _is_of_other_prefix(metadata: Any, agent: str) -> bool:
    """Whether a sample has a longer prefix: `a_b_anna_001` is of `a_b`, unless its agent is b_anna."""
    return _is_metadata(metadata) and metadata.get("agent_id", agent) != agent


def _origin_of_sample(stem: Path, metadata: Any) -> dict[str, Any] | None:
    """Return the origin of a sample, or None if its JSON is damaged or missing and the arrays are a sample's.

    Raises InputError for any other content, which may be the user's own.
    """
    if _is_metadata(metadata):
        return _origin(metadata)
    if metadata is None and _holds_arrays(stem):
        return None
    raise InputError(f"{stem}: has the name of a sample, but not its content", _MOVE)


def _origin_of_shard(path: Path) -> dict[str, Any] | None:
    """Return the origin of a shard's samples, or None if it is damaged and one of its files is a shard's.

    Raises InputError for any other content.
    """
    ref = unlisted_shard(path)
    try:
        return _origin(Shard(ref).metadata(0))
    except (InputError, MissingError):
        if _is_packed(ref.samples) or _is_packed(ref.path):
            return None
    raise InputError(f"{path}: has the name of a shard, but not its content", _MOVE)


def _is_packed(path: Path) -> bool:
    """Whether a file begins as one of a shard's two files."""
    try:
        data = io.read_range(path, 0, DEFAULT_LIMITS.max_metadata_bytes)
        return KEY in (read_schema(data, str(path)).metadata or {})
    except (InputError, MissingError):
        return False


def _read_metadata(stem: Path) -> Any:
    """Return the JSON of a sample, None if it is damaged or missing."""
    try:
        return io.read_json(stem.with_name(f"{stem.name}.json"), DEFAULT_LIMITS.max_metadata_bytes)
    except (InputError, MissingError):
        return None


def _is_metadata(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("feature_names"), list)


def _holds_arrays(stem: Path) -> bool:
    path = stem.with_name(f"{stem.name}.npz")
    try:
        members = list_members(io.read_file(path, DEFAULT_LIMITS.max_sample_bytes), str(path), DEFAULT_LIMITS)
    except (InputError, MissingError):
        return False
    return members.keys() >= set(TRAINING_ARRAYS)


_OF_ONE_SAMPLE = ("versions", "town", "episode", "first_frame")  # of `capture`: they do not identify it


def _origin(about: dict[str, Any]) -> dict[str, Any]:
    """Flatten the identity of a capture, in which versions do not count."""
    said = about.get("capture")
    capture = said if isinstance(said, dict) else {}
    own = {name: value for name, value in capture.items() if name not in _OF_ONE_SAMPLE}
    return {"behaviour": about.get("behaviour"), "value_source": about.get("value_source"), **own}
