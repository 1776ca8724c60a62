"""What a run writes about itself: its settings when it begins, its status, resumptions and end."""

from __future__ import annotations

import io as memory
import os
import platform
import secrets
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
from townlet_core.errors import DISK_HINT, DiskError, InputError, Interrupted, MissingFileError, TownletError
from townlet_core.ppo.device import torch, versions
from townlet_core.scenario.load import scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.scenario.type_text import show
from townlet_core.training.recordings import recordings_sha256
from townlet_core.training.run_directory import CHECKPOINTS, CONFIG, RUN, SCENARIO, SOURCES, is_run, name_of
from townlet_core.training.run_json import RunFile, read_run, write_run
from townlet_core.training.settings import (
    TrainingSettings,
    config_yaml,
    resolve_settings,
    with_absolute_paths,
    within,
)


def begin_run(
    folder: Path,
    settings: TrainingSettings,
    sources: dict[str, str],
    scenario: Scenario | None,
    text: bytes | None,
) -> None:
    """Write config.yaml, config.sources.json, the scenario's text, and run.json."""
    own = config_yaml(within(settings, folder))
    buffer = memory.BytesIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump(own, buffer)
    io.write_file(folder / CONFIG, buffer.getvalue())
    io.write_json(folder / SOURCES, sources)
    if text is not None:
        io.write_file(folder / SCENARIO, text)
    run_file = RunFile(
        run_id=_new_id(folder),
        status="running",
        scenario=scenario.name if scenario else None,
        scenario_source=settings.scenario if scenario else None,
        scenario_sha256=scenario_sha256(scenario) if scenario else None,
        recordings_sha256=recordings_sha256(settings),
        settings=own,
        cycles=settings.cycles,
        command=[os.fsencode(word).decode(errors="backslashreplace") for word in sys.argv],
        git=_git_commit(),
        started=now(),
        **_machine(),
    )
    write_run(folder, run_file)


def reopen_run(folder: Path, cycles: int | None = None) -> TrainingSettings:
    """Read the settings of a run to resume, with the cycles last requested, or `cycles`.

    Raises MissingError or InputError if the folder is not a run, or its settings have been changed.
    """
    if io.kind_of(folder) is None:
        raise MissingFileError(f"{folder}: no such folder", "give a run directory of `townlet train`")
    if not is_run(folder):
        raise InputError(
            f"{folder}: has no {RUN}, so it is no run that began",
            "give a run directory of `townlet train`, or give again the command that was to begin this one",
        )
    run_file = read_run(folder)
    written, _ = resolve_settings({}, folder / CONFIG, environment=False)
    _refuse_changed_settings(folder, run_file, written)
    wanted = run_file.cycles if cycles is None else cycles
    flags = {} if wanted is None else {"cycles": wanted}
    settings, _ = resolve_settings(flags, folder / CONFIG, environment=False)
    return with_absolute_paths(settings, folder)


def _refuse_changed_settings(folder: Path, run_file: RunFile, settings: TrainingSettings) -> None:
    """Raise InputError naming each setting of config.yaml that was changed since the run began."""
    here = config_yaml(settings)
    changes = [
        f"{section}.{name} is {show(here[section][name])}, was {show(value)}"
        for section, values in (run_file.settings or {}).items()
        for name, value in values.items()
        if name in here.get(section, {}) and here[section][name] != value
    ]
    if changes:
        raise InputError(
            f"{folder / CONFIG}: was changed since the run began: {'; '.join(changes)}",
            "change it back: --cycles N is for more cycles, and a new run with --config for other settings",
        )


def run_id_of(folder: Path) -> str | None:
    """Return the unique id of a run; None for runs of 0.1.0, which had none."""
    return read_run(folder).run_id if is_run(folder) else None


def _new_id(folder: Path) -> str:
    """Make a unique id that begins with the folder's name."""
    name = os.fsencode(name_of(folder)).decode(errors="backslashreplace")
    return f"{name}-{secrets.token_hex(4)}"


def refuse_other_recordings_than(folder: Path, run_file: RunFile, settings: TrainingSettings) -> None:
    """Raise InputError if the given recordings have changed since the run began."""
    if run_file.recordings_sha256 not in (None, recordings_sha256(settings)):
        raise InputError(
            f"{folder}: the recordings have changed since the run began",
            "restore the files, or start a new run",
        )


def note_resumed(folder: Path, settings: TrainingSettings, cycle: int) -> None:
    """Write that the run was resumed after a cycle."""
    run_file = read_run(folder)
    resumption = {"at": now(), "after_cycle": cycle, "cycles": settings.cycles, **_machine()}
    changed = {
        "cycles": settings.cycles,
        "resumed": [*run_file.resumed, resumption],
        "status": "running",
        "reason": None,
        "ended": None,
    }
    write_run(folder, run_file.model_copy(update=changed))


class Ending:
    """How a run ended that met no error: by `reason`, or finished if there is none."""

    reason: str | None = None


@contextmanager
def note_status_of(folder: Path, goes_on: bool = False) -> Iterator[Ending]:
    """Write the status of the block into run.json; an interruption gets a hint to resume.

    goes_on: the block only prepares training; then only an interruption is written.
    """
    ending = Ending()
    try:
        yield ending
    except BaseException as error:
        interrupted = isinstance(error, Interrupted) or not isinstance(error, Exception)
        reason = f"{type(error).__name__}: {error}"
        if interrupted or not goes_on:
            with suppress(TownletError):  # report the original error, not that it could not be written
                _note_end(folder, "interrupted" if interrupted else "failed", reason)
        again = f"townlet train --resume {shlex.quote(str(folder))}"
        if isinstance(error, Interrupted):
            error.hint = f"every finished cycle is saved; continue with: {again}"
        elif isinstance(error, DiskError) and error.hint == DISK_HINT and _is_saved(folder):
            error.hint = f"check free space and permissions, then continue with: {again}"
        raise
    if not goes_on:
        _note_end(folder, "interrupted" if ending.reason else "finished", ending.reason)


def note_warm_start(folder: Path, cloned: dict[str, float]) -> None:
    """Write the accuracy of the warm start."""
    write_run(folder, read_run(folder).model_copy(update={"warm_start": cloned}))


def _is_saved(folder: Path) -> bool:
    """Whether a run has a checkpoint, so that it can only be resumed."""
    with suppress(DiskError):
        return io.kind_of(folder / CHECKPOINTS / "latest.json") == "file"
    return False


def _note_end(folder: Path, status: str, reason: str | None) -> None:
    changed = {"status": status, "reason": reason, "ended": now()}
    write_run(folder, read_run(folder).model_copy(update=changed))


def _machine() -> dict[str, Any]:
    """Describe what decides, besides settings and seed, whether results are equal bit for bit."""
    return {
        "versions": {"python": platform.python_version(), **versions()},
        "torch_threads": torch.get_num_threads(),
    }


def now() -> str:
    """Return the time, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _git_commit() -> str | None:
    """Return the commit that is checked out in the current folder, if it is a repository."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
