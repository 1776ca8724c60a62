"""Read one run directory: settings and their origins, status, checkpoints, log. Nothing is written.

The run may go on meanwhile. Every file appears whole, but two files may be of different moments: a run that
ends while it is read can be `finished` with the cycles of the checkpoint before.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, MissingFileError, TownletError, shown
from townlet_core.locks import holder_of
from townlet_core.telemetry.segments import find_log
from townlet_core.training.options import TrainingOptions
from townlet_core.training.run_directory import CHECKPOINTS, CONFIG, LOG, RUN, SCENARIO, SOURCES, is_run
from townlet_core.training.run_json import RunFile, read_run
from townlet_core.yaml.reader import read_yaml

LATEST, BEST, STATE = "latest.json", "best.json", "state.json"
STATUSES = ("running", "finished", "interrupted", "failed", "dead")
_GENERATION = re.compile(r"g[0-9]{6,18}")


class SavedCheckpoint(NamedTuple):
    """A checkpoint by what it says of itself; its weights are not read."""

    path: Path  # latest.json or best.json, which evaluate, capture and load_policy take
    generation: str
    cycle: int | None  # cycles done when it was saved
    env_steps: int | None  # None for checkpoints of 0.1.0


class Run(NamedTuple):
    """A run directory."""

    folder: Path
    run_id: str | None  # None for runs of 0.1.0
    status: str  # one of STATUSES; dead: it neither ended nor is anybody writing
    reason: str | None  # why it ended, if it did not finish
    holder: str | None  # pid and command of who is writing
    scenario: str | None  # its name; None for training on recordings alone
    scenario_file: Path | None  # the run's own copy
    seed: int | None
    settings: dict[str, Any]  # by name, as in config.yaml
    origins: dict[str, str]  # of each setting: default, flag, environment, or a configuration file
    cycles: int | None  # wanted
    cycles_done: int  # saved
    env_steps: int | None
    log: Path  # it need not be there
    latest: SavedCheckpoint | None
    best: SavedCheckpoint | None
    best_reward: float | None  # mean reward of the best rollout
    best_return: float | None  # mean return of the best evaluation, where the run evaluated
    about: RunFile  # run.json: command, versions, times, resumptions
    problems: list[str]  # files that could not be read; what they hold is left out above


def read_run_folder(folder: Path | str) -> Run:
    """Read a run directory.

    Raises MissingFileError for a folder that is not there, InputError for one that holds no run or a run.json
    that cannot be read, DiskError.
    """
    folder = Path(folder)
    if io.kind_of(folder) is None:
        raise MissingFileError(f"{folder}: no such folder", "townlet runs list shows the runs there are")
    if not is_run(folder):
        raise InputError(
            f"{folder}: is no run directory: it has no {RUN}", "townlet runs list shows the runs"
        )
    about, holder, problems = read_run(folder), holder_of(folder), list[str]()
    if about.status == "running" and holder is None:
        about = read_run(folder)  # it may have ended between the two looks
    settings = _settings(folder, about, problems)
    latest, state = _checkpoint(folder, LATEST, problems)
    best, _ = _checkpoint(folder, BEST, problems)
    return Run(
        folder=folder,
        run_id=about.run_id,
        status="running" if holder else "dead" if about.status == "running" else about.status,
        reason=about.reason,
        holder=holder,
        scenario=about.scenario,
        scenario_file=folder / SCENARIO if io.kind_of(folder / SCENARIO) == "file" else None,
        seed=_whole(settings.get("seed")),
        settings=settings,
        origins=_origins(folder, settings, problems),
        cycles=about.cycles if about.cycles is not None else _whole(settings.get("cycles")),
        cycles_done=(latest and latest.cycle) or 0,
        env_steps=latest.env_steps if latest else None,
        log=_log(folder, problems),
        latest=latest,
        best=best,
        best_reward=_real(state.get("best_reward")),
        best_return=_real(state.get("best_return")),
        about=about,
        problems=list(dict.fromkeys(problems)),
    )


def _settings(folder: Path, about: RunFile, problems: list[str]) -> dict[str, Any]:
    """Return every setting by name: from run.json, or from the config.yaml of a run of 0.1.0."""
    sections: Any = about.settings
    if sections is None:
        try:
            sections = read_yaml(folder / CONFIG)
        except TownletError as error:
            problems.append(str(error))
    parts = sections.values() if isinstance(sections, dict) else ()
    return {name: value for part in parts if isinstance(part, dict) for name, value in part.items()}


def _origins(folder: Path, settings: dict[str, Any], problems: list[str]) -> dict[str, str]:
    """Return where each setting came from; where a run did not write that, whether it is the default."""
    written: Any = {}
    try:
        written = io.read_json(folder / SOURCES) if io.kind_of(folder / SOURCES) else {}
    except TownletError as error:
        problems.append(str(error))
    known = (
        {name: text for name, text in written.items() if isinstance(text, str)}
        if isinstance(written, dict)
        else {}
    )
    return {
        name: known.get(name) or ("default" if value == DEFAULTS.get(name, MISSING) else CONFIG)
        for name, value in settings.items()
    }


def _defaults() -> dict[str, Any]:
    """Return the default of every training option, as JSON and YAML hold it."""
    found = {field.name: field.default for field in fields(TrainingOptions)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


DEFAULTS = _defaults()


def _checkpoint(
    folder: Path, name: str, problems: list[str]
) -> tuple[SavedCheckpoint | None, dict[str, Any]]:
    """Read latest.json or best.json and the counters of the generation it names.

    A run that goes on may remove the generation in between; then the file names another one.
    """
    path = folder / CHECKPOINTS / name
    generation = ""
    try:
        while io.kind_of(path) and (named := _generation(path)) != generation:
            generation = named
            with suppress(MissingFileError):
                state = _state(folder / CHECKPOINTS / generation / STATE)
                counts = _whole(state.get("cycle")), _whole(state.get("env_steps"))
                return SavedCheckpoint(path, generation, *counts), state
        if generation:
            raise MissingFileError(f"{path}: names {generation}, which is not there")
    except TownletError as error:
        problems.append(str(error))
    return None, {}


def _generation(path: Path) -> str:
    found = io.read_json(path)
    named = found.get("generation") if isinstance(found, dict) else None
    if not isinstance(named, str) or not _GENERATION.fullmatch(named):
        raise InputError(f"{path}: generation is {shown(named)}, expected a name such as g000012")
    return named


def _state(path: Path) -> dict[str, Any]:
    found = io.read_json(path)
    state = found.get("state") if isinstance(found, dict) else None
    if not isinstance(state, dict):
        raise InputError(f"{path}: has no state")
    return state


def _log(folder: Path, problems: list[str]) -> Path:
    try:
        return find_log(folder) or folder / LOG
    except TownletError as error:
        problems.append(str(error))
        return folder / LOG


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
