"""Train the same settings with several seeds, and estimate what the seeds have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import InputError, Interrupted, RunFailed
from townlet_core.estimates import Estimate, estimate_mean
from townlet_core.ppo.processes import launched
from townlet_core.telemetry.reader import read_telemetry
from townlet_core.training.reports import Reports
from townlet_core.training.run_directory import is_run
from townlet_core.training.run_json import read_run
from townlet_core.training.session import Listener, Session, resume, train
from townlet_core.training.settings import (
    PLACES,
    TrainingSettings,
    config_yaml,
    with_absolute_paths,
    within,
)

# What is estimated over seeds: fields of the last record that has them.
FIELDS = ("reward_mean", "eval_return_mean", "eval_deterministic_return_mean")


class SeedSet(NamedTuple):
    """The runs of several seeds."""

    sessions: dict[int, Session]  # by seed, in order; those that --max-seconds left time for
    finals: dict[int, dict[str, float]]  # by seed: the FIELDS that its log ends with
    estimates: dict[str, Estimate]  # of each field that all finished runs have, over their seeds
    is_finished: bool  # whether all seeds were trained to the end
    failed: dict[int, RunFailed]  # by seed: why its run ended


def train_seeds(
    settings: TrainingSettings,
    seeds: Sequence[int],
    output: str | Path | None = None,
    *,
    force: bool = False,
    max_seconds: float = math.inf,
    runs: str | Path = "runs",
    sources: dict[str, str] | None = None,
    reports: Reports | None = None,
    listener: Listener | None = None,
    before: Callable[[int], Any] = lambda seed: None,
) -> SeedSet:
    """Train a run per seed, one after the other, and estimate means over the seeds that finished.

    output: a folder for the runs, each in a folder s0, s1, … of it; one that is there already is resumed if
    it has the same settings. By default each run takes its own place in the folder `runs`. before: told each
    seed. Everything else is as of `train`. A run that fails is in `failed`, and the next seed is trained.
    Raises what else `train` and `resume` raise; the hint of Interrupted says how to go on.
    """
    if launched() > 1:
        raise InputError(
            f"--seeds in {launched()} processes: they train one run", "start the launcher once per --seed"
        )
    refuse_shared_places(settings)
    until, sessions, failed = time.monotonic() + max_seconds, dict[int, Session](), dict[int, RunFailed]()
    for seed in seeds:
        own = replace(settings, seed=seed)
        folder = folder_of(output, seed)
        before(seed)
        left, session = until - time.monotonic(), None
        try:
            if folder and is_run(folder) and not force:
                refuse_other_settings(folder, own)
                session = resume(folder, own.cycles, max_seconds=left, reports=reports, listener=listener)
            else:
                session = train(
                    own,
                    folder,
                    force=force,
                    max_seconds=left,
                    runs=runs,
                    sources={**(sources or {}), "seed": "flag"},
                    reports=reports,
                    listener=listener,
                )
        except Interrupted as error:
            error.hint += _rest_of(seeds, seed, output)
            raise
        except RunFailed as error:
            failed[seed] = error
            (reports or Reports()).warning(f"seed {seed} failed: {error}")
        if session:
            sessions[seed] = session
        if (session and not session.is_finished) or time.monotonic() >= until:
            break
    finished = {seed: session for seed, session in sessions.items() if session.is_finished}
    finals = {seed: final_values(session) for seed, session in sessions.items()}
    return SeedSet(
        sessions, finals, _estimate([finals[seed] for seed in finished]), len(finished) == len(seeds), failed
    )


def refuse_shared_places(settings: TrainingSettings) -> None:
    """Raise InputError for a setting that names a place of one run."""
    for name in PLACES:
        if getattr(settings, name) is not None:
            raise InputError(f"{name}: one place cannot be that of several runs", "leave it out with --seeds")


def folder_of(output: str | Path | None, seed: int) -> Path | None:
    """Return the run directory of a seed in the folder of a set."""
    return None if output is None else Path(output) / f"s{seed}"


def _rest_of(seeds: Sequence[int], seed: int, output: str | Path | None) -> str:
    rest = ",".join(map(str, seeds[seeds.index(seed) + 1 :]))
    if output is not None:
        return "; the same command again goes on with all seeds"
    return f"; then train the others with --seeds {rest}" if rest else ""


def refuse_other_settings(folder: Path, settings: TrainingSettings) -> None:
    """Raise InputError unless the run in a folder was begun with these settings, apart from its cycles."""
    wanted = config_yaml(within(with_absolute_paths(settings), folder))
    for section, values in (read_run(folder).settings or {}).items():
        for name, value in values.items():
            here = wanted[section].get(name, value)
            if name != "cycles" and here != value:
                raise InputError(
                    f"{folder}: holds a run with other settings: {name} is {value!r}, expected {here!r}",
                    "choose another --output, or replace the runs with --force",
                )


def final_values(session: Session) -> dict[str, float]:
    """Return the FIELDS that a run's log ends with; the reward is that of live towns only."""
    found: dict[str, float] = {}
    for record in read_telemetry(session.log):
        kept = FIELDS if record["data_mode"] != "replay" else FIELDS[1:]
        found |= {name: float(record[name]) for name in kept if name in record}
    return found


def _estimate(finals: list[dict[str, float]]) -> dict[str, Estimate]:
    shared = [name for name in FIELDS if len(finals) > 1 and all(name in found for found in finals)]
    return {name: estimate_mean(np.array([found[name] for found in finals])) for name in shared}
