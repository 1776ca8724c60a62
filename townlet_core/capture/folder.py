"""What stands in a folder that is to be captured into: which files are a capture's, whose, and what may go.

What is deleted is decided by no list: a sample is known by its own name and content.
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

# Files of a capture that are no samples, in the order of their removal. Samples go after them and are written
# before them, so that none of them ever stands without samples, wherever a capture is killed.
PARTS = ("manifest.json", "metrics.json", "events.jsonl", "scenario.yaml")
_REPLACE = "choose another --output, or replace it with --force"


class Standing(NamedTuple):
    """What a folder holds; hidden files are nobody's."""

    parts: list[str]  # names of PARTS with their prefix
    samples: dict[str, dict[str, Any] | None]  # by stem: the JSON, None where it is damaged or not there
    others: list[str]  # what is none of this capture's


def look_at(folder: Path, prefix: str) -> Standing:
    """Find the files of a capture of this prefix.

    Raises InputError where a name that a capture writes is taken by something that none wrote: a link, a
    folder, a file without the content of a sample.
    """
    standing = Standing([], {}, [])
    sample = re.compile(rf"({re.escape(prefix)}_(?P<agent>[A-Za-z0-9_.-]{{1,64}})_\d{{3,}})\.(npz|json)")
    for name in io.list_folder(folder):
        match = sample.fullmatch(name)
        if name.removeprefix(f"{prefix}_") in PARTS and name not in PARTS:
            _refuse_unless_plain(folder / name)
            standing.parts.append(name)
        elif match and not _is_anothers(folder / match[1], match["agent"]):
            _refuse_unless_plain(folder / name)
            standing.samples[match[1]] = _recognise(folder / match[1])
        elif not name.startswith("."):
            standing.others.append(name)
    return standing


def refuse_other_capture(folder: Path, standing: Standing, about: dict[str, Any]) -> None:
    """Raise InputError if the folder holds recordings of another origin than those that `about` describes.

    about: `behaviour`, `value_source` and `capture` of the samples to be written.
    """
    if standing.parts and not standing.samples:
        raise InputError(f"{folder / standing.parts[0]}: already exists, without samples beside it", _REPLACE)
    expected = _origin(about)
    for stem, metadata in standing.samples.items():
        if metadata is None:
            raise InputError(f"{folder / stem}.npz: already exists, and nothing says whose it is", _REPLACE)
        found = _origin(metadata)
        for name, value in expected.items():
            if found.get(name) != value:
                was = shown(found.get(name, "not said"), 80)
                raise InputError(
                    f"{folder / stem}.npz: is of another capture: its {name} is {was}, expected {value}",
                    _REPLACE,
                )


def remove_capture(folder: Path, standing: Standing) -> None:
    """Remove a capture: the manifest first, so that it never lists what is gone; arrays before their JSON."""
    for name in sorted(standing.parts, key=lambda name: not name.endswith("_manifest.json")):
        io.remove(folder / name)
    for stem in standing.samples:
        io.remove(folder / f"{stem}.npz")
        io.remove(folder / f"{stem}.json")


def _refuse_unless_plain(path: Path) -> None:
    is_link = os.path.islink(path)
    if is_link or io.kind_of(path) != "file":
        raise InputError(
            f"{path}: is {'a link' if is_link else 'no file'}, and a capture writes a file of that name",
            "move it away, or choose another --output or --prefix",
        )


def _is_anothers(stem: Path, agent: str) -> bool:
    """Whether a name has a longer prefix: `a_b_anna_001` is of `a_b`, unless it is of an agent b_anna."""
    metadata = _read_metadata(stem)
    return _is_metadata(metadata) and metadata.get("agent_id", agent) != agent


def _recognise(stem: Path) -> dict[str, Any] | None:
    """Return the JSON of a sample, or None where it is damaged or missing and the arrays are a sample's.

    Raises InputError for anything else, which may be somebody's own.
    """
    metadata = _read_metadata(stem)
    if _is_metadata(metadata):
        return metadata
    if metadata is None and _holds_arrays(stem):
        return None
    raise InputError(
        f"{stem}: has the name of a sample, and no sample's content",
        "move it away, or choose another --output or --prefix",
    )


def _read_metadata(stem: Path) -> Any:
    """Return what the JSON of a sample holds, None where it is damaged or missing."""
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
    """Flatten what tells one capture from another; the same capture by another version is the same."""
    said = about.get("capture")
    capture = (
        {name: value for name, value in said.items() if name != "versions"} if isinstance(said, dict) else {}
    )
    return {"behaviour": about.get("behaviour"), "value_source": about.get("value_source"), **capture}
