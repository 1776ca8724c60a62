"""Find the run directories below folders, and what each takes on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.errors import MissingFileError, TownletError
from townlet_core.runs.reading import Run, read_run_folder
from townlet_core.training.run_directory import (
    CHECKPOINTS,
    LOG,
    SAMPLES,
    TENSORBOARD,
    contents,
    is_being_removed,
    is_run,
)

PARTS = ("checkpoints", "telemetry", "recordings", "other")  # of what a run wrote


class DiskUse(NamedTuple):
    """What a run's own files take."""

    bytes: dict[str, int]  # by part: PARTS
    modified: float  # of the newest file; seconds since 1970
    others: list[str]  # what the folder holds besides, which no run wrote

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(self.bytes.values())


class Found(NamedTuple):
    """A run that was found, with its disk use."""

    run: Run
    disk: DiskUse


class Runs(NamedTuple):
    """What stands below some folders."""

    found: list[Found]  # the newest first
    unreadable: list[tuple[Path, str]]  # run directories, and folders, with the reason
    remains: list[Path]  # folders of runs whose removal was killed


def find_runs(folders: Sequence[Path]) -> Runs:
    """Find every run below some folders; a folder may be a run itself. Links to folders are not followed.

    Raises MissingFileError for a folder that is not there.
    """
    found: dict[str, Found] = {}
    unreadable: list[tuple[Path, str]] = []
    remains: list[Path] = []
    for root in folders:
        if io.kind_of(root) != "folder":
            raise MissingFileError(f"{root}: no such folder", "townlet train makes runs below runs/")
        for folder in _run_folders(Path(root), unreadable):
            if not is_run(folder):
                remains.append(folder)
                continue
            try:
                found.setdefault(os.path.realpath(folder), Found(read_run_folder(folder), disk_use(folder)))
            except TownletError as error:
                unreadable.append((folder, str(error)))
    ordered = sorted(found.values(), key=lambda one: (-one.disk.modified, str(one.run.folder)))
    return Runs(ordered, unreadable, remains)


def _run_folders(folder: Path, unreadable: list[tuple[Path, str]]) -> Iterator[Path]:
    """Yield the run directories below a folder, in order. Nothing is looked for inside a run."""
    try:
        if is_run(folder) or is_being_removed(folder):
            yield folder
            return
        inside = [folder / name for name in io.list_folder(folder) if not name.startswith(".")]
        inside = [path for path in inside if not os.path.islink(path) and io.kind_of(path) == "folder"]
    except TownletError as error:
        unreadable.append((folder, str(error)))
        return
    for path in inside:
        yield from _run_folders(path, unreadable)


def disk_use(folder: Path) -> DiskUse:
    """Measure the files of a run by part; files that a running one removes meanwhile do not count."""
    found = contents(folder)
    sizes, modified = dict.fromkeys(PARTS, 0), 0
    for name in found.ours:
        try:
            _, size, changed = io.file_identity(folder / name)
        except MissingFileError:
            continue
        sizes[_part_of(name)] += size
        modified = max(modified, changed)
    return DiskUse(sizes, modified / 1e9, found.others)


def _part_of(name: str) -> str:
    top = name.partition("/")[0]
    if top.startswith(LOG) or top == TENSORBOARD:
        return "telemetry"
    return {CHECKPOINTS: "checkpoints", SAMPLES: "recordings"}.get(top, "other")
