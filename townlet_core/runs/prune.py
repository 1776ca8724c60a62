"""Remove old runs: only files that a run wrote, and never those of a run that goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import InputError, TownletError
from townlet_core.locks import lock_folder
from townlet_core.pruning import Rules
from townlet_core.runs.finding import DiskUse, Found, disk_use, find_runs
from townlet_core.runs.reading import Run
from townlet_core.training.run_directory import check_removable, discard, is_run


class Plan(NamedTuple):
    """What goes, oldest first, what stays, and what is not touched, with the reason."""

    going: list[Found]
    staying: list[Found]
    skipped: list[tuple[Path, str]]
    remains: list[Path]  # of runs whose removal was killed; they go in any case


def plan_prune(folders: Sequence[Path], rules: Rules, statuses: Sequence[str], now: float) -> Plan:
    """Decide which runs below some folders go. Nothing is removed.

    statuses: only runs of these statuses may go, and the rules count only them; empty for all. The age of a
    run is that of its newest file. now: seconds since 1970.
    Raises InputError without any rule or status, MissingFileError, DiskError.
    """
    if all(rule is None for rule in rules) and not statuses:
        raise InputError("prune needs a rule", "give --keep, --older-than, --max-bytes or --status")
    runs, skipped, remains = find_runs(folders)
    going: list[Found] = []
    staying: list[Found] = []
    counted, size = 0, 0
    every = all(rule is None for rule in rules)
    for one in runs:  # the newest first
        if one.run.status == "running":
            skipped.append((one.run.folder, f"is running ({one.run.holder})"))
        elif statuses and one.run.status not in statuses:
            staying.append(one)
        else:
            size += one.disk.total
            goes = every or rules.remove(now - one.disk.modified, counted, size)
            counted += not goes
            (going if goes else staying).append(one)
    return _without_used(Plan(going[::-1], staying, skipped, remains), [one.run for one in runs])


def prune(plan: Plan) -> Iterator[tuple[Path, str]]:
    """Remove the runs of a plan, and yield each folder with why it was not; the reason is empty if it was.

    run.json goes first, so that what is left is no run, whenever this stops; pruning again finishes the work.
    The folder goes if nothing else is in it. A run that has changed since, or goes on, stays.
    """
    for folder, disk in [
        *((folder, None) for folder in plan.remains),
        *((one.run.folder, one.disk) for one in plan.going),
    ]:
        try:
            with lock_folder(folder):
                reason = _remove(folder, disk)
        except TownletError as error:
            reason = str(error)
        yield folder, reason


def _remove(folder: Path, disk: DiskUse | None) -> str:
    """Remove a run whose lock is held, if it is as it was planned; return why not. disk: None for remains."""
    if is_run(folder) != (disk is not None) or (disk and disk_use(folder).modified > disk.modified):
        return "has changed since"
    check_removable(folder, ())
    discard(folder, folder)
    return ""


def _without_used(plan: Plan, runs: Sequence[Run]) -> Plan:
    """Leave out the runs whose recordings a run that stays was given: it could not be resumed."""
    going = {os.path.realpath(one.run.folder): one for one in plan.going}
    kept: dict[str, str] = {}
    waiting = [run for run in runs if os.path.realpath(run.folder) not in going]
    while waiting:
        user = waiting.pop()
        for path in _recordings(user):
            for folder, one in going.items():
                if folder not in kept and Path(path).is_relative_to(folder):
                    kept[folder] = f"its recordings are used by {user.folder}"
                    waiting.append(one.run)
    skipped = [(one.run.folder, kept[folder]) for folder, one in going.items() if folder in kept]
    left = [one for folder, one in going.items() if folder not in kept]
    return plan._replace(going=left, skipped=[*plan.skipped, *skipped])


def _recordings(run: Run) -> list[str]:
    """Return the real paths of the recordings that a run was given."""
    given: list[Any] = []
    for name in ("replay_manifest", "replay_sample"):
        value = run.settings.get(name)
        given += value if isinstance(value, list) else []
    return [os.path.realpath(run.folder / path) for path in given if isinstance(path, str)]
