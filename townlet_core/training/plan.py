"""What `train` would do with these settings, found by checking all input and writing nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from townlet_core.errors import BusyError, InputError, shown
from townlet_core.locks import BUSY_HINT, holder_of
from townlet_core.training.building import network_shape, require_training_memory
from townlet_core.training.input_checks import check_input, scenario_of
from townlet_core.training.recordings import ScriptRecording, planned_recording
from townlet_core.training.run_directory import (
    LOG,
    Removed,
    choose_folder,
    is_being_removed,
    is_run,
    log_files,
    removal_of,
    without,
)
from townlet_core.training.seeds import folder_of, refuse_other_settings, refuse_shared_places
from townlet_core.training.settings import TrainingSettings, with_absolute_paths


class Plan(NamedTuple):
    """What one run would make, and remove."""

    folder: Path
    log: Path
    scenario: str  # its name; "recordings" without a scenario
    settings: TrainingSettings
    resumes: bool  # a run that is there already, of a set of seeds
    removed: Removed  # what --force would remove from the folder, and what would stay
    old_log: list[Path]  # what --force would remove at --ppo-log
    recording: ScriptRecording | None  # that the scripted policy would make
    parameters: int  # of the network
    memory: int  # bytes that training the network takes, without batches and towns


def plan_run(
    settings: TrainingSettings,
    output: str | Path | None = None,
    *,
    force: bool = False,
    runs: str | Path = "runs",
) -> Plan:
    """Check all input of `train`, whose arguments these are, and return what it would do.

    Recordings at s3:// addresses are copied into the cache, as `train` does. Raises what `train` raises
    before anything is written, and MemoryError.
    """
    if not isinstance(settings, TrainingSettings):
        raise InputError(f"settings: {shown(settings)}, expected TrainingSettings(...)")
    settings = with_absolute_paths(settings)
    scenario = scenario_of(settings)
    name = scenario.name if scenario else "replay"
    folder = choose_folder(None if output is None else Path(output), name, settings.seed, force, Path(runs))
    dataset = check_input(settings, scenario, folder, force, is_dry=True)
    holder = holder_of(folder)
    if holder:
        raise BusyError(f"{folder}: another process is writing here ({holder})", BUSY_HINT)
    old_log = log_files(settings.ppo_log) if force and settings.ppo_log else []
    removed = Removed([], [])
    if is_run(folder) or is_being_removed(folder):
        removed = without(removal_of(folder), folder, old_log)
    live = None if settings.source == "replay" and dataset else scenario
    shape = network_shape(settings, live, dataset)
    return Plan(
        folder,
        settings.ppo_log or folder / LOG,
        scenario.name if scenario else "recordings",
        settings,
        False,
        removed,
        [file for file in old_log if os.path.relpath(file, folder).partition("/")[0] not in removed.removed],
        planned_recording(scenario, settings, folder) if scenario else None,
        shape.parameter_count,
        require_training_memory(shape),
    )


def plan_seeds(
    settings: TrainingSettings,
    seeds: Sequence[int],
    output: str | Path | None = None,
    *,
    force: bool = False,
    runs: str | Path = "runs",
) -> list[Plan]:
    """Return what `train_seeds`, whose arguments these are, would do, a plan per seed. Raises as plan_run."""
    refuse_shared_places(settings)
    plans: list[Plan] = []
    for seed in seeds:
        own, folder = replace(settings, seed=seed), folder_of(output, seed)
        if folder and is_run(folder) and not force:
            refuse_other_settings(folder, own)
            planned = plan_run(own, runs=runs)
            plans.append(planned._replace(folder=folder, log=folder / LOG, resumes=True, recording=None))
        else:
            plans.append(plan_run(own, folder, force=force, runs=runs))
    return plans
