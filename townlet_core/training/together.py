"""A run in several processes: rank 0 leads it, checks and writes; the others follow and compute."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from townlet_core.errors import InputError, MissingFileError
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.ppo.device import resolve_device, versions
from townlet_core.ppo.processes import Processes, may_restart, refuse_uneven
from townlet_core.scenario.load import scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.training.input_checks import own_scenario
from townlet_core.training.loop import Trainer
from townlet_core.training.progress import read_progress
from townlet_core.training.recordings import local_manifests, open_dataset, own_manifest
from townlet_core.training.reports import Reports, Trained
from townlet_core.training.run_directory import is_run
from townlet_core.training.run_file import reopen_run
from townlet_core.training.run_json import read_run
from townlet_core.training.settings import TrainingSettings, config_yaml, within
from townlet_core.training.signals import StopRequest


def agree_to_begin(
    processes: Processes | None,
    settings: TrainingSettings,
    scenario: Scenario | None,
    output: Path | None,
) -> None:
    """Raise InputError if the processes of a new run would not give the result of one."""
    if processes is None:
        return
    refuse_uneven(settings.shards, processes)
    if settings.source != "replay" and settings.num_towns < processes.size:
        raise InputError(
            f"--num-towns {settings.num_towns} and {processes.size} processes: expected a town for each",
            f"use --num-towns {processes.size} or more, or start fewer processes",
        )
    if may_restart() and output is None:
        raise InputError(
            "torchrun --max-restarts needs --output: processes that start again could not find their run",
            "name a run directory with --output",
        )
    own: dict[str, Any] = {
        f"{section}.{name}": value
        for section, values in config_yaml(settings).items()
        for name, value in values.items()
    }
    sha256 = scenario_sha256(scenario) if scenario else None
    own |= {"scenario_sha256": sha256, "output": str(output)}
    processes.refuse_differences({**_machine(settings), **own})


def agree_to_resume(processes: Processes | None, settings: TrainingSettings, folder: Path) -> None:
    """Raise InputError if the processes would not give the result of one, or do not see the same run."""
    if processes:
        refuse_uneven(settings.shards, processes)
        own = {"run": str(folder), "run_id": read_run(folder).run_id}
        processes.refuse_differences({**_machine(settings), **own})


def is_run_of(folder: Path, settings: TrainingSettings, scenario: Scenario | None) -> bool:
    """Whether a folder holds the run that a command begins; it may have begun it before a restart."""
    if not is_run(folder):
        return False
    found, sha256 = read_run(folder), scenario_sha256(scenario) if scenario else None
    wanted = (config_yaml(within(settings, folder)), settings.cycles, sha256)
    return (found.settings, found.cycles, found.scenario_sha256) == wanted


def _machine(settings: TrainingSettings) -> dict[str, Any]:
    return {**versions(), "device": resolve_device(settings.device).type}


def lead(
    processes: Processes | None, folder: Path, cycles: int, goes_on: bool, is_done: bool = False
) -> None:
    """Tell the others which run begins, goes on or is done, and wait until they are ready."""
    if processes:
        place = str(folder.absolute())
        processes.tell({"folder": place, "cycles": cycles, "goes_on": goes_on, "is_done": is_done})
        processes.send(b"")


def follow(
    processes: Processes, stop_request: StopRequest
) -> tuple[Path, TrainingSettings, Scenario | None, Trained]:
    """Wait for rank 0 to begin or resume a run, and train with it; nothing is written or reported."""
    message = processes.tell(None)
    folder = Path(message["folder"])
    if not is_run(folder):
        raise MissingFileError(
            f"rank {processes.rank}: {folder}: rank 0 has begun a run there, and here is none",
            "put the run on a disk that all machines share",
        )
    settings = reopen_run(folder, message["cycles"])
    scenario = own_scenario(folder, read_run(folder), Reports())
    if message["is_done"]:
        checkpoint = load_checkpoint(folder)
        processes.send(b"")
        result = Trained(read_progress(checkpoint), checkpoint.metadata.weights_sha256, [], {})
        return folder, settings, scenario, result
    dataset = None
    if settings.uses_recordings:
        given = settings.replay_manifest or settings.replay_sample
        dataset = open_dataset(
            settings, local_manifests(settings) if given else (own_manifest(settings, folder),)
        )
    trainer = Trainer(settings, folder, scenario, dataset, stop_request, Reports(), processes=processes)
    if message["goes_on"]:
        trainer.resume(load_checkpoint(folder))
    processes.send(b"")
    return folder, settings, scenario, trainer.run(math.inf)
