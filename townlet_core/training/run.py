"""The run directory: its name, what stands in it, and how a run says what became of it."""

from __future__ import annotations

import io as memory
import os
import platform
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from townlet_core import io
from townlet_core.errors import InputError, Interrupted
from townlet_core.ppo.backend import torch, versions
from townlet_core.scenario.load import scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.training.feed import recordings_sha256
from townlet_core.training.settings import TrainingSettings, config_yaml, resolve_settings

CONFIG, SOURCES, RUN, LOG = "config.yaml", "config.sources.json", "run.json", "telemetry.jsonl"
FIRST_FILES = (io.LOCK_NAME, CONFIG, SOURCES)  # then RUN, and it has begun
RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"


def choose_folder(output: Path | None, name: str, seed: int, force: bool) -> Path:
    """Name a new run: the given folder, or runs/<scenario>-s<seed>-<n> with the first free n.

    Raises InputError if the folder is taken. With `force`, an old run may be there, until remove_old_run. A
    folder that holds no more than the first files of a run, which was killed while it wrote them, is free.
    """
    if output is None:
        n = 1
        while io.kind_of(folder := Path("runs") / f"{name}-s{seed}-{n}"):
            n += 1
        return folder
    if force and not is_run(output) and io.list_folder(output) and not _was_killed_at_once(output):
        raise InputError(f"{output}: holds something else than a run", "choose another --output")
    io.refuse_existing(output, force=force or _was_killed_at_once(output))
    return output


def is_run(folder: Path) -> bool:
    """Whether a run began in this folder."""
    return io.kind_of(folder / RUN) == "file"


def read_run(folder: Path) -> dict[str, Any]:
    """Read what run.json says. Raises InputError if it is not an object."""
    about = io.read_json(folder / RUN)
    if not isinstance(about, dict):
        raise InputError(f"{folder / RUN}: is not a JSON object", "restore it from a copy")
    return about


def run_id_of(folder: Path) -> str | None:
    """Return the id that tells a run from every other; None for one that began before there were ids."""
    found = read_run(folder).get("run_id") if is_run(folder) else None
    return found if isinstance(found, str) else None


def _new_id(folder: Path) -> str:
    """Make an id that no other run has, with the name of the folder for those who read it."""
    name = os.fsencode(os.path.basename(os.path.abspath(folder))).decode(errors="backslashreplace")
    return f"{name}-{secrets.token_hex(4)}"


def refuse_run(folder: Path) -> None:
    """Raise InputError if a run began in this folder after it was chosen."""
    if is_run(folder):
        raise InputError(f"{folder}: another run has begun here", "choose another --output")


def remove_old_run(folder: Path, recordings: Iterable[Path]) -> None:
    """Remove the run that a new one replaces. Raises InputError if the new one's recordings lie in it."""
    if not is_run(folder):
        return
    for path in recordings:
        if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise InputError(
                f"{path}: lies in {folder}, which --force would remove", "move it, or choose another --output"
            )
    with io.lock_folder(folder):
        io.remove_at_once(folder)


def _was_killed_at_once(folder: Path) -> bool:
    """Whether a run was about to begin here: it takes the lock first. A lone config.yaml is its author's."""
    names = io.list_folder(folder)
    return io.LOCK_NAME in names and all(
        name in FIRST_FILES or io.TEMPORARY.fullmatch(name) for name in names
    )


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
        "run_id": _new_id(folder),
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


def note_resumed(folder: Path, settings: TrainingSettings, scenario: Scenario | None, cycle: int) -> None:
    """Write that the run goes on after a cycle.

    Raises InputError if its scenario or the recordings it was given are not those that it began with.
    """
    about = read_run(folder)
    here = _digests(settings, scenario)
    for what, name in (("scenario has", "scenario_sha256"), ("recordings have", "recordings_sha256")):
        if about.get(name, here[name]) != here[name]:
            raise InputError(
                f"{folder}: the {what} changed since the run began",
                "restore the file, or start a new run",
            )
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
        interrupted = isinstance(error, (Interrupted, KeyboardInterrupt))
        reason = f"{type(error).__name__}: {error}"
        _note_end(folder, INTERRUPTED if interrupted else FAILED, reason)
        if isinstance(error, Interrupted):
            error.hint = f"continue with: townlet train --resume {shlex.quote(str(folder))}"
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
