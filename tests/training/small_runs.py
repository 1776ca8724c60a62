"""Training runs of a second: a few towns, a narrow network."""

from pathlib import Path

from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.scenario.load import load_scenario
from townlet_core.training.loop import Reports, Trained, Trainer
from townlet_core.training.recordings import PREFIX, open_dataset, record_script
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
    """Build a trainer as the command does, or resume one from its folder."""
    scenario = None if settings.replay_manifest else load_scenario(settings.scenario)
    manifests = settings.replay_manifest
    if settings.uses_recordings and not manifests:
        manifests = (folder / "samples" / f"{PREFIX}_manifest.json",)
        if not manifests[0].exists():
            record_script(scenario, settings, folder / "samples")
    dataset = open_dataset(settings, manifests) if settings.uses_recordings else None
    trainer = Trainer(settings, folder, scenario, dataset, stop or StopRequest(), reports or Reports())
    if resume:
        trainer.resume(load_checkpoint(folder))
    return trainer


def run_small(folder: Path, **changes) -> Trained:
    return trainer_of(folder, settings_of(**changes)).run()
