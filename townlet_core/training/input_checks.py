"""What is checked before a run begins or goes on, while nothing is written yet."""

from __future__ import annotations

import os
from pathlib import Path

from townlet_core import io
from townlet_core.errors import DiskError, InputError, count
from townlet_core.ppo.config import learning_rate_at
from townlet_core.ppo.device import resolve_device
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.scenario.load import load_scenario, scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.telemetry.writer import check_log, claim_log
from townlet_core.training.origin import origin_of
from townlet_core.training.recordings import (
    check_agreement,
    check_own_recordings,
    local_manifests,
    open_dataset,
)
from townlet_core.training.reports import Reports
from townlet_core.training.run_directory import LOG, check_removable, is_run, refuse_taken_places
from townlet_core.training.run_json import RunFile, read_run
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.tracking import check_tracking


def scenario_of(settings: TrainingSettings) -> Scenario | None:
    """Load the scenario; None for training on recordings alone, without evaluation.

    Raises InputError if it has no agents.
    """
    recordings = settings.replay_manifest or settings.replay_sample
    if not settings.uses_recordings and recordings:
        raise InputError(
            "--mode rollout learns from live towns only, and recordings were given",
            "use --mode mixed, or --warm-start bc",
        )
    if settings.source == "replay" and recordings and not settings.eval_every:
        return None
    scenario = load_scenario(settings.scenario)
    if not scenario.agents:
        raise InputError(f"{scenario.name}: has no agents to train", "add some under agents:")
    return scenario


def check_input(
    settings: TrainingSettings, scenario: Scenario | None, folder: Path, force: bool, is_dry: bool = False
) -> ReplayDataset | None:
    """Check all input before a run begins; return the given recordings, opened.

    is_dry: take no lock of the log, which writes a file.
    """
    refuse_taken_places(folder, settings.ppo_log, settings.capture_dir)
    if settings.ppo_log:
        check_writable(settings.ppo_log)
        if is_dry:
            check_log(settings.ppo_log, force)
        elif io.kind_of(settings.ppo_log.parent):
            claim_log(settings.ppo_log, force).release()  # claimed for good once everything else is sound
    for place in filter(None, (folder, settings.capture_dir)):
        check_writable(place / LOG)
    given = (*settings.replay_manifest, *settings.replay_sample)
    if force and is_run(folder):
        read_run(folder)  # other programs write files of that name, too
        check_removable(folder, given)
    dataset = open_dataset(settings, local_manifests(settings)) if given else None
    if dataset and scenario:
        check_agreement(dataset, scenario)
    if scenario and settings.uses_recordings and not given:
        check_own_recordings(scenario, settings)
    resolve_device(settings.device)
    check_tracking(settings)
    return dataset


def check_writable(path: Path) -> None:
    """Raise InputError or DiskError if a file could not be written, without writing it."""
    nearest = next(place for place in (path, *path.absolute().parents) if io.kind_of(place))
    if nearest != path and io.kind_of(nearest) != "folder":
        raise InputError(f"{nearest}: is a file, expected a folder", "choose another place")
    if not os.access(nearest, os.W_OK):
        raise DiskError(f"{path}: cannot be written: {nearest} is read-only", "choose another place")


def own_scenario(folder: Path, run_file: RunFile, reports: Reports) -> Scenario | None:
    """Load the scenario of a run: its copy, or the original file for a run of 0.1.0."""
    origin = origin_of(folder, run_file)
    if origin is None:
        return None
    if run_file.scenario_sha256 not in (None, scenario_sha256(origin.scenario)):
        raise InputError(
            f"{folder}: the scenario has changed since the run began",
            "restore the file, or start a new run",
        )
    if origin.warning:
        reports.warning(origin.warning)
    return origin.scenario


def warn_of_schedule(settings: TrainingSettings, done: int, before: int, reports: Reports) -> None:
    """Warn that another number of cycles changes the learning rate of a schedule."""
    then = learning_rate_at(settings, done / before)
    now = learning_rate_at(settings, done / settings.cycles)
    if now != then:
        reports.warning(
            f"--cycles {settings.cycles} moves the {settings.lr_schedule} schedule: after cycle {done} the "
            f"learning rate is {now:g}; with {count(before, 'cycle')} it was {then:g}"
        )
