"""Training runs of a second: a few towns, a narrow network."""

from pathlib import Path

from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.scenario.load import load_scenario
from townlet_core.training.loop import Trainer
from townlet_core.training.origin import read_text
from townlet_core.training.reports import Reports, Trained
from townlet_core.training.run_directory import is_run
from townlet_core.training.run_file import begin_run
from townlet_core.training.session import Listener, prepare_trainer, train
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest

SMALL = {
    "source": "mixed",
    "cycles": 3,
    "num_towns": 3,
    "rollout_ticks": 50,
    "hidden_size": 16,
    "capture_towns": 1,
    "num_epochs": 2,
    "num_mini_batches": 2,
}


def settings_of(**changes) -> TrainingSettings:
    return TrainingSettings(**{**SMALL, **changes})


def trainer_of(
    folder: Path, settings: TrainingSettings, stop=None, reports: Reports | None = None, resume: bool = False
) -> Trainer:
    """Begin a run, if there is none, and return its trainer, for tests that look into it or stop it."""
    scenario = None if settings.replay_manifest else load_scenario(settings.scenario)
    if not is_run(folder):
        begin_run(folder, settings, {}, scenario, read_text(settings.scenario) if scenario else None)
    trainer = prepare_trainer(
        settings, folder, scenario, None, stop or StopRequest(), reports or Reports(), Listener()
    )
    if resume:
        trainer.resume(load_checkpoint(folder))
    return trainer


def run_small(folder: Path, **changes) -> Trained:
    return train(settings_of(**changes), folder).result
