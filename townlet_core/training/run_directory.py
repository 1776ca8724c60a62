"""The run folder: which one a new run takes, which files in it are a run's, and how an old run is removed.

`--force` removes files that Townlet wrote and recognises by their names, and nothing else. What else is in
the folder stays. A link is never followed and never removed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.locks import LOCK_NAME
from townlet_core.telemetry.files import compressed_copies
from townlet_core.telemetry.segments import GZIP, UNREAD, log_name, segment_files

CONFIG, SOURCES, SCENARIO = "config.yaml", "config.sources.json", "scenario.yaml"
RUN, LOG, CHECKPOINTS, SAMPLES = "run.json", "telemetry.jsonl", "checkpoints", "samples"
TENSORBOARD = "tensorboard"
FIRST_FILES = (LOCK_NAME, CONFIG, SOURCES, SCENARIO)  # then RUN, and the run has begun
REMOVING = ".run.removed"  # run.json of a run that is being removed: the next to lock the folder goes on
_COMPRESSIONS = "|".join(map(re.escape, (GZIP, *UNREAD)))  # of a segment, by a job of its user's
_LOG_NAMES = rf"{re.escape(LOG)}(\.[0-9]+)?({_COMPRESSIONS})?|\.?{re.escape(LOG)}\.lock"
_BLOCKS = rf"{SAMPLES}/\.rollout_sample_blocks"  # of recordings that were not finished
# What training writes, and nothing that a user is likely to have named so: paths in the run folder.
_NAMES = rf"""
    {re.escape(CONFIG)} | {re.escape(SOURCES)} | {re.escape(SCENARIO)} | {re.escape(RUN)}
  | not_finite\.(npz|json)
  | {_LOG_NAMES}
  | {CHECKPOINTS}/(latest|best|cycle[0-9]{{6,18}})\.json
  | {CHECKPOINTS}/(g[0-9]{{6,18}}|\.g[0-9]{{6,18}}\.tmp)/
    ((model|optimizer)\.pt|(state|files)\.json|towns\.npz)
  | {SAMPLES}/rollout_sample_([A-Za-z0-9_.-]+_[0-9]{{3,}}\.(npz|json)|(manifest|metrics)\.json|events\.jsonl)
  | {_BLOCKS}/([0-9]{{5,}}/)?[A-Za-z0-9_.-]+
  | {SAMPLES}/rollout_sample_scenario\.(yaml|json) | {SAMPLES}/{re.escape(LOCK_NAME)}
  | {TENSORBOARD}/(replay|rollout)/events\.out\.tfevents\.[0-9]{{6,}}
  | ({CHECKPOINTS}/|{SAMPLES}/|{CHECKPOINTS}/\.?g[0-9]{{6,18}}(\.tmp)?/)?{io.TEMPORARY.pattern}
"""
_LISTS = re.compile(r"/(latest|best|cycle[0-9]+|rollout_sample_manifest)\.json$")
OURS = re.compile(_NAMES, re.VERBOSE)
OUR_FOLDERS = re.compile(
    rf"{SAMPLES}|{_BLOCKS}(/[0-9]{{5,}})?|{TENSORBOARD}(/replay|/rollout)?|{CHECKPOINTS}(/g[0-9]{{6,18}}|/\.g[0-9]{{6,18}}\.tmp)?"
)


class Removed(NamedTuple):
    """What --force did to a folder: names in it, each that of a file or of a whole folder."""

    removed: list[str]
    kept: list[str]


class Contents(NamedTuple):
    """What a folder holds."""

    ours: list[str]  # files that a run wrote, as paths in the folder
    folders: list[str]  # folders that a run made, inner ones first
    others: list[str]  # everything else; of a folder that is not a run's, the folder alone


def choose_folder(output: Path | None, name: str, seed: int, force: bool, runs: Path = Path("runs")) -> Path:
    """Name a new run: the given folder, or runs/<scenario>-s<seed>-<n> with the first free n.

    Raises InputError if the folder is taken. With `force`, an old run may be there, until remove_run. A
    folder that holds no more than the first files of a run, which was killed while it wrote them, or than
    what is left of one that was being removed, is free.
    """
    if output is None:
        n = 1
        while io.kind_of(folder := runs / f"{name}-s{seed}-{n}"):
            n += 1
        return folder
    free = _was_killed_at_once(output)
    is_ours = free or is_run(output) or is_being_removed(output)
    if not is_ours and io.kind_of(output) == "folder" and io.list_folder(output):
        raise InputError(
            f"{output}: already exists, and holds something else than a run", "choose another --output"
        )
    io.refuse_existing(output, force=force or free)
    return output


def is_run(folder: Path) -> bool:
    """Whether a run began in this folder."""
    return io.kind_of(folder / RUN) == "file"


def is_config_of_run(path: Path) -> bool:
    """Whether a file is the config.yaml of a run that began."""
    return path.name == CONFIG and is_run(path.parent)


def refuse_run(folder: Path) -> None:
    """Raise InputError if a run began in this folder after it was chosen."""
    if is_run(folder):
        raise InputError(f"{folder}: another run has begun here", "choose another --output")


def refuse_taken_places(folder: Path, log: Path | None, recordings: Path | None) -> None:
    """Raise InputError if the log or the recordings are to be written where the run has other files."""
    for flag, place in (("--ppo-log", log), ("--capture-dir", recordings)):
        if place is None:
            continue
        inside = os.path.relpath(os.path.realpath(place), os.path.realpath(folder))
        is_named = inside in (".", LOCK_NAME, REMOVING) or OURS.fullmatch(inside)
        is_in_folder = OUR_FOLDERS.fullmatch(inside.partition("/")[0])
        own = re.fullmatch(_LOG_NAMES, inside) if log == place else inside.partition("/")[0] == SAMPLES
        if (is_named or is_in_folder) and not own:
            raise InputError(
                f"{flag} {place}: is where the run {folder} keeps other files", f"choose another {flag}"
            )


def check_removable(folder: Path, recordings: Iterable[Path]) -> None:
    """Raise InputError if the run in a folder cannot be replaced, before anything is touched.

    That is where the new run's recordings lie in it, or something that is not a run's has one of its names.
    """
    for path in recordings:
        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise InputError(
                f"{path}: lies in {folder}, which --force would remove", "move it, or choose another --output"
            )
    for name in contents(folder).others:
        if OURS.fullmatch(name) or OUR_FOLDERS.fullmatch(name):
            what = "a link" if os.path.islink(folder / name) else f"a {io.kind_of(folder / name)}"
            raise InputError(
                f"{folder / name}: is {what}, which no run wrote and --force does not remove",
                "move it away, or choose another --output",
            )


def remove_run(folder: Path) -> Removed:
    """Remove the files of the run in a folder, whose lock the caller holds; a kill in between is finished.

    First run.json gets another name, so that what is left is no run from then on. It keeps that name until
    end_removal, after a new run has begun: until then, the folder is still known to be one of a run.
    """
    if is_run(folder):
        io.rename_file(folder / RUN, folder / REMOVING)
    found = contents(folder)
    for name in sorted(found.ours, key=lambda name: not _LISTS.search(name)):  # what lists files goes first
        io.remove(folder / name)
    for name in found.folders:
        if not io.list_folder(folder / name):
            io.remove(folder / name)
    return _named(found)


def removal_of(folder: Path) -> Removed:
    """Return what remove_run would do to a folder."""
    return _named(contents(folder))


def _named(found: Contents) -> Removed:
    tops = dict.fromkeys(name.partition("/")[0] for name in found.ours)
    return Removed([*(name for name in tops if not name.startswith(".") and name != RUN), RUN], found.others)


def log_files(log: Path) -> list[Path]:
    """Return the files of the log at a path."""
    files = [*(file for _, file in segment_files(log)), *compressed_copies(log), log_name(log)]
    return [file for file in files if io.kind_of(file) == "file"]


def without(done: Removed, folder: Path, files: Iterable[Path]) -> Removed:
    """Leave out of what was kept the files that another hand removes."""
    others = {os.path.realpath(file) for file in files}
    return done._replace(kept=[name for name in done.kept if os.path.realpath(folder / name) not in others])


def finish_removal(folder: Path) -> None:
    """Finish what a killed command left of a run that it was removing; the caller holds the lock."""
    if is_being_removed(folder) and not is_run(folder):
        remove_run(folder)


def end_removal(folder: Path) -> None:
    """Forget the run that was removed: another one has begun, or none will."""
    io.remove(folder / REMOVING)


def first_missing(folder: Path) -> Path | None:
    """Return which folder has to be made first so that `folder` can be; None if all are there."""
    missing = [path for path in (folder, *folder.parents) if io.kind_of(path) is None]
    return missing[-1] if missing else None


def discard(folder: Path, made: Path | None) -> None:
    """Take back a run that was refused before it learned anything, and the folders from `made` down to it."""
    remove_run(folder)
    end_removal(folder)
    if made is None or io.list_folder(folder) != [LOCK_NAME]:
        return
    io.remove(folder)
    while folder != made and not io.list_folder(folder := folder.parent):
        io.remove(folder)


def name_of(folder: Path) -> str:
    """Return the name of a folder, also of one that was given as `.`."""
    return Path(os.path.abspath(folder)).name


def is_being_removed(folder: Path) -> bool:
    """Whether a command was killed while it removed a run from this folder."""
    return io.kind_of(folder / REMOVING) == "file"


def _was_killed_at_once(folder: Path) -> bool:
    """Whether there is nothing but what a killed command left: the first files of a run, or its last.

    A command takes the lock first: a lone config.yaml is its author's.
    """
    if is_being_removed(folder):
        return not contents(folder).others
    names = io.list_folder(folder)
    return LOCK_NAME in names and all(name in FIRST_FILES or io.TEMPORARY.fullmatch(name) for name in names)


def contents(folder: Path) -> Contents:
    """Tell a run's files and folders in a folder from everything else; links are not followed."""
    ours: list[str] = []
    folders: list[str] = []
    others: list[str] = []
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        for entry in io.list_folder(folder / inside):
            name = f"{inside}/{entry}" if inside else entry
            path = folder / name
            kind = None if os.path.islink(path) else io.kind_of(path)
            if kind == "folder" and OUR_FOLDERS.fullmatch(name):
                folders.insert(0, name)
                waiting.append(name)
            elif kind == "file" and OURS.fullmatch(name):
                ours.append(name)
            elif name not in (LOCK_NAME, REMOVING):
                others.append(name)
    return Contents(sorted(ours), folders, sorted(others))
