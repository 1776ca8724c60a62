"""One run of a report: what its directory says of it, and its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.report.log import Rules, RunLog, no_rules, read_log
from townlet_core.runs import reading
from townlet_core.runs.grouping import PLACES
from townlet_core.telemetry.segments import find_log
from townlet_core.training.run_directory import is_run, name_of


class Run(NamedTuple):
    """A run, or a log alone, which has neither settings nor checkpoints."""

    name: str
    scenario: str
    seed: int | None
    log: RunLog
    stored: reading.Run | None  # what its directory says; None for a log alone

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings by name, without those that only say where files are."""
        found = self.stored.settings if self.stored else {}
        return {name: value for name, value in found.items() if name not in PLACES}

    @property
    def best(self) -> reading.SavedCheckpoint | None:
        """Return the best checkpoint, if there is one."""
        return self.stored.best if self.stored else None


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return the runs and logs that paths name; a folder without a run stands for the runs in it.

    Raises InputError for a folder without any, and for the same run twice.
    """
    found: list[Path] = []
    for path in paths:
        if find_log(path) is None:
            inside = [path / name for name in io.list_folder(path) if is_run(path / name)]
            if not inside:
                raise InputError(
                    f"{path}: is a folder without a run, expected runs or logs", "name a run in it"
                )
            found += inside
        else:
            found.append(path)
    for path in found:
        if found.count(path) > 1:
            raise InputError(f"{path}: named twice", "name every run once")
    return found


def read_a_run(path: Path, fields: Sequence[str], rules: Rules = no_rules) -> Run:
    """Read a run directory, or a log alone. fields, rules: as in read_log.

    Raises MissingError, DiskError, InputError.
    """
    stored = reading.read_run_folder(path) if io.kind_of(path) == "folder" and is_run(path) else None
    place = stored.log if stored else find_log(path)
    assert place is not None  # find_runs leaves out folders without a log
    log = read_log(place, fields, rules)
    scenario = stored.scenario if stored else log.latest.get("scenario")
    seed = stored.seed if stored else log.latest.get("seed")
    return Run(
        name=name_of(path) if stored else _name_of_log(log),
        scenario=scenario if isinstance(scenario, str) and scenario else "recordings",
        seed=seed if isinstance(seed, int) else None,
        log=log,
        stored=stored,
    )


def _name_of_log(log: RunLog) -> str:
    """Name a log by the run that wrote it, or else by its file."""
    run_id = log.latest.get("run_id")
    return run_id if isinstance(run_id, str) and run_id else log.path.name
