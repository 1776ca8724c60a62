"""run.json: what a run is, where it began, how it was resumed, and what became of it."""

from __future__ import annotations

import io as memory
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from townlet_core import io
from townlet_core.errors import InputError, Interrupted, TownletError
from townlet_core.ppo.backend import torch, versions
from townlet_core.scenario.load import scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.training.feed import recordings_sha256
from townlet_core.training.folder import CONFIG, RUN, SOURCES, is_run
from townlet_core.training.settings import TrainingSettings, config_yaml, resolve_settings

RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"


def read_run(folder: Path) -> dict[str, Any]:
    """Read what run.json says. Raises InputError if it is not an object."""
    about = io.read_json(folder / RUN)
    if not isinstance(about, dict):
        raise InputError(f"{folder / RUN}: is not a JSON object", "restore it from a copy")
    return about


def begin_run(
    folder: Path, settings: TrainingSettings, sources: dict[str, str], scenario: Scenario | None
) -> None:
    """Write what was asked for and that the run has begun."""
    text = memory.BytesIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump(config_yaml(settings), text)
    io.write_file(folder / CONFIG, text.getvalue())
    io.write_json(folder / SOURCES, sources)
    about = {
        "status": RUNNING,
        "scenario": scenario.name if scenario else None,
        "scenario_source": settings.scenario if scenario else None,  # a bundled name, or a path
        **_digests(settings, scenario),
        "command": [os.fsencode(word).decode(errors="backslashreplace") for word in sys.argv],
        **_machine(),
        "git": _git_commit(),
        "started": now(),
        "ended": None,
        "resumed": [],
    }
    io.write_json(folder / RUN, about)


def reopen_run(folder: Path, cycles: int | None) -> TrainingSettings:
    """Read back the settings of a run to resume, with as many cycles as it was last asked for, or more now.

    Raises MissingError or InputError if the folder is not a run.
    """
    if not is_run(folder):
        raise InputError(
            f"{folder}: has no {RUN}, so it is no run that began",
            "give a run directory of `townlet train`, or give again the command that was to begin this one",
        )
    wanted = read_run(folder).get("cycles") if cycles is None else cycles
    settings, _ = resolve_settings(
        {} if wanted is None else {"cycles": wanted}, folder / CONFIG, environment=False
    )
    return settings


def refuse_changed(folder: Path, settings: TrainingSettings, scenario: Scenario | None) -> None:
    """Raise InputError if a run's scenario, or the recordings it was given, are not those it began with."""
    about = read_run(folder)
    here = _digests(settings, scenario)
    for what, name in (("scenario has", "scenario_sha256"), ("recordings have", "recordings_sha256")):
        if about.get(name, here[name]) != here[name]:
            raise InputError(
                f"{folder}: the {what} changed since the run began",
                "restore the file, or start a new run",
            )


def note_resumed(folder: Path, settings: TrainingSettings, cycle: int) -> None:
    """Write that the run goes on after a cycle."""
    about = read_run(folder)
    resumption = {"at": now(), "after_cycle": cycle, "cycles": settings.cycles, **_machine()}
    resumed = [*about.get("resumed", []), resumption]
    changed = {"cycles": settings.cycles, "resumed": resumed, "status": RUNNING, "ended": None}
    io.write_json(folder / RUN, {**about, **changed})


@contextmanager
def note_status_of(folder: Path) -> Iterator[None]:
    """Write into run.json how the block ended; an interruption says how to go on."""
    try:
        yield
    except BaseException as error:
        interrupted = isinstance(error, Interrupted) or not isinstance(error, Exception)
        reason = f"{type(error).__name__}: {error}"
        with suppress(TownletError):  # what ended the run is told, and not that this could not be noted
            _note_end(folder, INTERRUPTED if interrupted else FAILED, reason)
        if isinstance(error, Interrupted):
            again = f"townlet train --resume {shlex.quote(str(folder))}"
            error.hint = f"every finished cycle is saved; continue with: {again}"
        raise
    _note_end(folder, FINISHED, None)


def note_warm_start(folder: Path, cloned: dict[str, float]) -> None:
    """Write how well the warm start imitates."""
    io.write_json(folder / RUN, {**read_run(folder), "warm_start": cloned})


def _note_end(folder: Path, status: str, reason: str | None) -> None:
    about = read_run(folder)
    io.write_json(folder / RUN, {**about, "status": status, "reason": reason, "ended": now()})


def _digests(settings: TrainingSettings, scenario: Scenario | None) -> dict[str, str | None]:
    """What a run learns from must not change while it lasts."""
    return {
        "scenario_sha256": scenario_sha256(scenario) if scenario else None,
        "recordings_sha256": recordings_sha256(settings),
    }


def _machine() -> dict[str, Any]:
    """What decides, besides settings and seed, whether bits are equal."""
    return {
        "versions": {"python": platform.python_version(), **versions()},
        "torch_threads": torch.get_num_threads(),
    }


def now() -> str:
    """The time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _git_commit() -> str | None:
    """The commit checked out where the command was given, if it is a repository."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
