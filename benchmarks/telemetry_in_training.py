"""The share of a training run's time that its telemetry takes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest import mock

from benchmarks.figures import Effort, Figure
from townlet_core.telemetry.writer import TelemetryWriter
from townlet_core.training import loop
from townlet_core.training.session import train
from townlet_core.training.settings import TrainingSettings

SCENARIO = "queue_conflict"  # the smallest town, whose cycles are the shortest
CYCLES = 2


def share_of_training(effort: Effort) -> Figure:
    """Train with default settings, and measure how much of that time making and writing records takes."""
    least: dict[str, Any] = {} if effort.full else {"source": "rollout", "num_towns": 1, "rollout_ticks": 8}
    settings = TrainingSettings(scenario=SCENARIO, cycles=CYCLES, **least)
    with tempfile.TemporaryDirectory() as folder:
        if effort.full:  # so that nothing is loaded or compiled while it is measured
            train(replace(settings, cycles=1), Path(folder) / "warm-up")
        telemetry, run = _seconds(settings, Path(folder) / "run")
    return Figure("telemetry in a training run", 100 * telemetry / run, "% of its time", 1)


def _seconds(settings: TrainingSettings, folder: Path) -> tuple[float, float]:
    """Train; return the seconds of the run's telemetry, and of the whole run."""
    spent = [0.0]
    with (
        mock.patch.object(loop, "epoch_record", _clocked(loop.epoch_record, spent)),
        mock.patch.object(TelemetryWriter, "write", _clocked(TelemetryWriter.write, spent)),
        mock.patch.object(TelemetryWriter, "flush", _clocked(TelemetryWriter.flush, spent)),
    ):
        began = perf_counter()
        train(settings, folder)
        return spent[0], perf_counter() - began


def _clocked(work: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Return a function that does the same and adds the seconds that it takes to `spent[0]`."""

    def clocked(*arguments: Any, **named: Any) -> Any:
        began = perf_counter()
        try:
            return work(*arguments, **named)
        finally:
            spent[0] += perf_counter() - began

    return clocked
