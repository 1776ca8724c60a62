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

# Files of a capture besides samples, in the order of their removal. Samples are removed after and written
# before them, so that a killed capture never leaves them without samples.
PARTS = ("manifest.json", "metrics.json", "events.jsonl", "scenario.yaml")
_REPLACE = "choose another --output, or replace it with --force"


class CaptureFiles(NamedTuple):
    """The content of a folder, without hidden files."""

    parts: list[str]  # names of PARTS with their prefix
    samples: dict[str, dict[str, Any] | None]  # by stem: the JSON, None if it is damaged or missing
    others: list[str]  # files of no capture with this prefix


def find_capture_files(folder: Path, prefix: str) -> CaptureFiles:
    """Find the files of a capture with this prefix.

    Raises InputError if a name of a capture's file belongs to a link, a folder, or a file that is not a
    sample.
    """
    existing = CaptureFiles([], {}, [])
    sample = re.compile(rf"({re.escape(prefix)}_(?P<agent>[A-Za-z0-9_.-]{{1,64}})_\d{{3,}})\.(npz|json)")
    for name in io.list_folder(folder):
        match = sample.fullmatch(name)
        if name.removeprefix(f"{prefix}_") in PARTS and name not in PARTS:
            _refuse_unless_plain(folder / name)
            existing.parts.append(name)
        elif match and not _is_of_other_prefix(folder / match[1], match["agent"]):
            _refuse_unless_plain(folder / name)
            existing.samples[match[1]] = _read_sample_metadata(folder / match[1])
        elif not name.startswith("."):
            existing.others.append(name)
    return existing


def refuse_other_capture(folder: Path, existing: CaptureFiles, about: dict[str, Any]) -> None:
    """Raise InputError if the folder holds recordings of another origin than `about`.

    about: `behaviour`, `value_source` and `capture` of the samples to be written.
    """
    if existing.parts and not existing.samples:
        raise InputError(f"{folder / existing.parts[0]}: already exists, without samples beside it", _REPLACE)
    expected = _origin(about)
    for stem, metadata in existing.samples.items():
        if metadata is None:
            raise InputError(f"{folder / stem}.npz: already exists, and its origin is not known", _REPLACE)
        actual = _origin(metadata)
        for name, value in expected.items():
            if actual.get(name) != value:
                was = shown(actual.get(name, "missing"), 80)
                raise InputError(
                    f"{folder / stem}.npz: is of another capture: its {name} is {was}, expected {value}",
                    _REPLACE,
                )


def remove_capture(folder: Path, existing: CaptureFiles) -> None:
    """Remove a capture: the manifest first, so that it lists only existing files; arrays before JSON."""
    for name in sorted(existing.parts, key=lambda name: not name.endswith("_manifest.json")):
        io.remove(folder / name)
    for stem in existing.samples:
        io.remove(folder / f"{stem}.npz")
        io.remove(folder / f"{stem}.json")


def _refuse_unless_plain(path: Path) -> None:
    is_link = os.path.islink(path)
    if is_link or io.kind_of(path) != "file":
        raise InputError(
            f"{path}: is {'a link' if is_link else 'no file'}, and a capture writes a file of that name",
            "move it away, or choose another --output or --prefix",
        )


def _is_of_other_prefix(stem: Path, agent: str) -> bool:
    """Whether a sample has a longer prefix: `a_b_anna_001` is of `a_b`, unless its agent is b_anna."""
    metadata = _read_metadata(stem)
    return _is_metadata(metadata) and metadata.get("agent_id", agent) != agent


def _read_sample_metadata(stem: Path) -> dict[str, Any] | None:
    """Return the JSON of a sample, or None if it is damaged or missing and the arrays are a sample's.

    Raises InputError for any other content, which may be the user's own.
    """
    metadata = _read_metadata(stem)
    if _is_metadata(metadata):
        return metadata
    if metadata is None and _holds_arrays(stem):
        return None
    raise InputError(
        f"{stem}: has the name of a sample, but not its content",
        "move it away, or choose another --output or --prefix",
    )


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


def _origin(about: dict[str, Any]) -> dict[str, Any]:
    """Flatten the identity of a capture, in which versions do not count."""
    said = about.get("capture")
    capture = (
        {name: value for name, value in said.items() if name != "versions"} if isinstance(said, dict) else {}
    )
    return {"behaviour": about.get("behaviour"), "value_source": about.get("value_source"), **capture}
