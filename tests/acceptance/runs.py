"""Training runs of the ordinary kind, whose logs say what healthy looks like; each is kept once trained."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import RunFailed
from townlet_core.telemetry.reader import read_telemetry
from townlet_core.training.run_directory import LOG
from townlet_core.training.session import train
from townlet_core.training.settings import TrainingSettings

# The two kinds of settings that the documentation recommends: the defaults, and those of docs/results.md.
DEFAULT: dict[str, Any] = {}
TUNED = {"learning_rate": 1e-3, "lr_schedule": "linear", "bootstrap_truncations": False}
DAY = {
    "num_towns": 8,
    "rollout_ticks": 1440,
    "num_mini_batches": 32,
    "normalise_returns": True,
    "learning_rate": 1e-3,
    "lr_schedule": "linear",
    "entropy_coef": 0.001,
}


class Kind(NamedTuple):
    """An ordinary kind of run."""

    name: str
    settings: dict[str, Any]
    cycles: int = 10
    seeds: int | None = None  # if fewer than usual, because it takes long


SHORT_TOWNS = (Kind("default", DEFAULT), Kind("tuned", TUNED), Kind("long", TUNED, 40, 1))
KINDS = {
    "employment_punctuality": SHORT_TOWNS,
    "kitchen_breakfast": SHORT_TOWNS,
    "observation_baseline": SHORT_TOWNS,
    "queue_conflict": SHORT_TOWNS,
    "rivalry_decay": SHORT_TOWNS,
    "town_day": (Kind("default", DEFAULT, seeds=2), Kind("tuned", DAY, 4, 1)),
}


def log_of(folder: Path, scenario: str, kind: Kind, seed: int) -> Path:
    """Return the log of a run, trained now if it is not there yet."""
    log = folder / f"{scenario}-{kind.name}-s{seed}.jsonl"
    if io.kind_of(log) is None:
        settings = {"scenario": scenario, "source": "mixed", "cycles": kind.cycles, "seed": seed}
        train_to(log, settings | kind.settings)
    return log


def train_to(log: Path, settings: dict[str, Any]) -> None:
    """Train in a folder that is thrown away, and keep the log, also of a run that fails in a known way."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        with suppress(RunFailed):
            train(TrainingSettings(**settings), run)
        log.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(run / LOG, log)


def records_of(log: Path) -> Iterator[dict[str, Any]]:
    """Return the records of a log."""
    return read_telemetry(log)
