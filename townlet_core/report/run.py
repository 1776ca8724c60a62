"""One run of a report: what its directory says of it, and its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, TownletError
from townlet_core.ppo.checkpoint import BEST, LATEST, STATE, named_by, parse_state
from townlet_core.report.log import RunLog, read_log
from townlet_core.telemetry.alerts import AlertRule
from townlet_core.telemetry.segments import find_log
from townlet_core.training.run_directory import CHECKPOINTS, SOURCES, is_run, name_of
from townlet_core.training.run_file import RunFile, read_run

# Settings that say where files are, not how the run learns.
PLACES = ("ppo_log", "capture_dir", "log_every", "log_max_bytes", "keep_checkpoints")


class Saved(NamedTuple):
    """The place in a run that a checkpoint was saved at."""

    generation: str
    cycle: int  # cycles done
    env_steps: int


class Run(NamedTuple):
    """A run, or a log alone, which has neither settings nor checkpoints."""

    path: Path
    name: str
    scenario: str
    seed: int | None
    log: RunLog
    file: RunFile | None
    sources: dict[str, str]  # of settings
    latest: Saved | None
    best: Saved | None
    best_reward: float | None

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings by name, without those that only say where files are."""
        sections = (self.file.settings if self.file else None) or {}
        return {
            name: value
            for section in sections.values()
            for name, value in section.items()
            if name not in PLACES
        }


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


def read_a_run(path: Path, fields: Sequence[str], rules: Sequence[AlertRule] = ()) -> Run:
    """Read a run directory, or a log alone. fields: whose curves are kept. rules: alert rules to try.

    Raises MissingError, DiskError, InputError.
    """
    folder = path if io.kind_of(path) == "folder" and is_run(path) else None
    file = read_run(folder) if folder else None
    log_path = find_log(path)
    assert log_path is not None  # find_runs leaves out folders without a log
    log = read_log(log_path, fields, list(rules))
    latest, state = _saved(folder, LATEST)
    scenario = (file and file.scenario) or log.latest.get("scenario")
    seed = file.settings["training"].get("seed") if file and file.settings else log.latest.get("seed")
    return Run(
        path=path,
        name=name_of(folder) if folder else _name_of_log(log),
        scenario=scenario if isinstance(scenario, str) and scenario else "recordings",
        seed=seed if isinstance(seed, int) else None,
        log=log,
        file=file,
        sources=_sources(folder),
        latest=latest,
        best=_saved(folder, BEST)[0],
        best_reward=reward if isinstance(reward := state.get("best_reward"), float) else None,
    )


def _name_of_log(log: RunLog) -> str:
    """Name a log by the run that wrote it, or else by its file."""
    run_id = log.latest.get("run_id")
    return run_id if isinstance(run_id, str) and run_id else log.path.name


def _saved(folder: Path | None, pointer: str) -> tuple[Saved | None, dict[str, Any]]:
    """Return where a run's latest or best checkpoint was saved, and its counters; None if unreadable."""
    name = named_by(folder / CHECKPOINTS / pointer) if folder else None
    if folder is None or name is None:
        return None, {}
    path = folder / CHECKPOINTS / name / STATE
    try:
        state = parse_state(io.read_file(path), path).state
        return Saved(name, int(state["cycle"]), int(state.get("env_steps", 0))), state
    except (TownletError, KeyError, TypeError, ValueError):
        return None, {}


def _sources(folder: Path | None) -> dict[str, str]:
    if folder is None or io.kind_of(folder / SOURCES) != "file":
        return {}
    found = io.read_json(folder / SOURCES)
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
