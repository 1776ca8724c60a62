"""Remove old captures below a folder: only files that a capture is known to own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.capture.folder import CaptureFiles, find_capture_files, remove_capture
from townlet_core.errors import BusyError, InputError, MissingFileError, TownletError
from townlet_core.locks import LOCK_NAME, lock_folder
from townlet_core.pruning import Rules
from townlet_core.replay.folder import RUN_FILE, find_files
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import Manifest, listed_files, load_manifest

_ENDING = "_manifest.json"


class OldCapture(NamedTuple):
    """A capture, and what goes with it."""

    manifest: Path
    modified: float  # seconds since 1970
    files: list[Path]  # all that it owns
    selections: list[Path]  # manifests that refer to its samples
    bytes: int


class Plan(NamedTuple):
    """What goes, oldest first, what stays, and what is no business of prune, with the reason."""

    going: list[OldCapture]
    staying: list[OldCapture]
    skipped: list[tuple[Path, str]]


def plan_prune(folder: Path, rules: Rules, now: float, limits: ReadLimits = DEFAULT_LIMITS) -> Plan:
    """Decide which captures below a folder go. Nothing is removed.

    A capture is a manifest with the samples of its prefix; its age is that of the manifest. now: seconds
    since 1970. Raises MissingError, InputError without any rule, or DiskError.
    """
    if all(rule is None for rule in rules):
        raise InputError("prune needs a rule", "give --keep, --older-than or --max-bytes")
    if io.kind_of(folder) != "folder":
        raise MissingFileError(f"{folder}: no such folder")
    captures, skipped = _find_captures(Path(folder), limits)
    going: list[OldCapture] = []
    staying: list[OldCapture] = []
    size = 0
    for capture in sorted(captures, key=lambda one: (-one.modified, str(one.manifest))):
        size += capture.bytes
        is_old = rules.remove(now - capture.modified, len(staying), size)
        (going if is_old else staying).append(capture)
    return Plan(going[::-1], staying, skipped)


def prune(plan: Plan, root: Path) -> Iterator[tuple[OldCapture, str]]:
    """Remove the captures of a plan, and yield each with why it was not; the reason is empty if it was.

    Manifests go first, so that none lists a file that is not there, whenever this stops. A folder in which
    nothing else is left goes too. A capture that has changed since, or is being written, stays.
    """
    for capture in plan.going:
        folder = capture.manifest.parent
        try:
            with lock_folder(folder):
                existing = find_capture_files(folder, _prefix(capture.manifest))
                if sorted(_paths(folder, existing)) != sorted(capture.files):
                    yield capture, "has changed since"
                    continue
                for path in capture.selections:
                    io.remove(path)
                remove_capture(folder, existing)
                if io.list_folder(folder) == [LOCK_NAME] and not _is_same(folder, root):
                    io.remove(folder)
        except BusyError as error:
            yield capture, str(error)
            continue
        yield capture, ""


def _find_captures(root: Path, limits: ReadLimits) -> tuple[list[OldCapture], list[tuple[Path, str]]]:
    captures: list[OldCapture] = []
    skipped: list[tuple[Path, str]] = []
    selections: list[Manifest] = []
    for path in find_files(root, limits.follow_links)[0]:
        if not path.name.endswith(_ENDING):
            continue
        try:
            manifest = load_manifest(path, limits)
            if manifest.is_selection:
                selections.append(manifest)
            elif run := _run_of(path.parent, root):
                skipped.append((path, f"is of the run {run}"))
            else:
                captures.append(_describe(manifest))
        except TownletError as error:
            skipped.append((path, str(error).removeprefix(f"{path}: ")))
    return [_with_selections(capture, selections) for capture in captures], skipped


def _describe(manifest: Manifest) -> OldCapture:
    """Describe a capture. Raises InputError unless it owns each file that its manifest lists."""
    folder = manifest.path.parent
    existing = find_capture_files(folder, _prefix(manifest.path))
    files = _paths(folder, existing)
    strange = [file for file in listed_files(manifest) if file not in files]
    if strange:
        raise InputError(f"lists {strange[0].name}, which has neither name nor content of one of its files")
    size = sum(io.file_size(file) for file in files)
    return OldCapture(manifest.path, io.file_identity(manifest.path)[2] / 1e9, files, [], size)


def _with_selections(capture: OldCapture, selections: Sequence[Manifest]) -> OldCapture:
    """Add the manifests that refer to a capture's samples."""
    files = {os.path.realpath(file) for file in capture.files}
    own = [
        manifest.path
        for manifest in selections
        if any(os.path.realpath(file) in files for file in listed_files(manifest)[1:])
    ]
    return capture._replace(selections=own, bytes=capture.bytes + sum(map(io.file_size, own)))


def _paths(folder: Path, existing: CaptureFiles) -> list[Path]:
    """Return the files of a capture: its parts, and the two files of each sample or shard."""
    names = list(existing.parts)
    for name in existing.samples:
        stem, _, ending = name.rpartition(".")
        names += [name, f"{stem}.json" if ending == "npz" else f"{stem}_samples.arrow"]
    return [path for name in names if io.kind_of(path := folder / name) == "file"]


def _prefix(manifest: Path) -> str:
    return manifest.name.removesuffix(_ENDING)


def _run_of(folder: Path, root: Path) -> Path | None:
    """Return the folder of the run that holds a folder; None if none does."""
    real, top = Path(os.path.realpath(folder)), Path(os.path.realpath(root)).parent
    for parent in (real, *real.parents):
        if io.kind_of(parent / RUN_FILE) == "file":
            return parent
        if parent == top:
            break
    return None


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
