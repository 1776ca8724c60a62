"""Report a run to TensorBoard while it trains, and after a resume without a point twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from townlet_core.training.progress import Progress
from townlet_core.training.reports import Reports
from townlet_core.training.run_directory import TENSORBOARD
from townlet_core.training.settings import TrainingSettings

MODES = {
    "replay": ("replay",),
    "rollout": ("rollout",),
    "mixed": ("replay", "rollout"),
}  # of a source's records


def check_tracking(settings: TrainingSettings) -> None:
    """Raise MissingLibraryError if what a run is to be tracked with is not installed."""
    if settings.track == "tensorboard":
        _tensorboard()


@contextmanager
def tracked(
    reports: Reports, settings: TrainingSettings, folder: Path, progress: Progress
) -> Iterator[Reports]:
    """Yield the reports of a training loop, which also write event files if the settings say so."""
    if settings.track == "none":
        yield reports
        return
    has_env_steps = settings.source != "replay"
    steps = {mode: purge_step(mode, progress, has_env_steps) for mode in MODES[settings.source]}
    place, epochs = folder / TENSORBOARD, settings.num_epochs
    tracker = _tensorboard().Tracker(place, settings.track_names, steps, has_env_steps, epochs)
    with closing(tracker):

        def record(found: dict[str, Any]) -> None:
            tracker.record(found)
            reports.record(found)

        def end_cycle(*ended: Any) -> None:
            tracker.end_cycle()
            reports.cycle(*ended)

        yield reports._replace(record=record, cycle=end_cycle)


def purge_step(mode: str, progress: Progress, has_env_steps: bool) -> int:
    """Return the first step of records that a checkpoint does not know: a resumed run writes them again.

    A rollout's records have the steps after it. Those of recordings come before it in a cycle, and have the
    steps of the checkpoint that the cycle began with.
    """
    if not has_env_steps:
        return progress.steps + 1
    return progress.env_steps + (mode == "rollout")


def _tensorboard() -> ModuleType:
    """Load the module that needs the optional library. Raises MissingLibraryError."""
    return import_module("townlet_core.telemetry.export_tensorboard")
