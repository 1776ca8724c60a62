"""Telemetry under the names of other libraries: one point per update (docs/telemetry.md, Export)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import InputError
from townlet_core.telemetry.fields import BY_NAME, HISTOGRAM_BINS, NUMBERS, OF_BATCH
from townlet_core.telemetry.records import Record, finite_number
from townlet_core.telemetry.statistics import Batches

OWN = "townlet"  # before the names of fields that the other library does not have
_COUNTERS = ("steps", "env_ticks")  # of the fields that are positions, the ones worth a curve


class Name(NamedTuple):
    """The name of a field in another library, and what its value is multiplied by there."""

    name: str
    factor: float = 1.0


# The tables of docs/telemetry.md, Step counters and names in other libraries.
NAMES: dict[str, dict[str, Name]] = {
    "sb3": {
        "env_steps": Name("time/total_timesteps"),
        "env_steps_per_second": Name("time/fps"),
        "epoch": Name("train/n_updates"),
        "episode_return_mean": Name("rollout/ep_rew_mean"),
        "eval_deterministic_return_mean": Name("eval/mean_reward"),
        "loss_policy": Name("train/policy_gradient_loss"),
        "loss_value": Name("train/value_loss", 2.0),
        "loss_entropy": Name("train/entropy_loss", -1.0),
        "loss_total": Name("train/loss"),
        "kl_divergence": Name("train/approx_kl"),
        "clip_fraction": Name("train/clip_fraction"),
        "explained_variance": Name("train/explained_variance"),
        "lr": Name("train/learning_rate"),
    },
    "cleanrl": {
        "env_steps_per_second": Name("charts/SPS"),
        "episode_return_mean": Name("charts/episodic_return"),
        "loss_policy": Name("losses/policy_loss"),
        "loss_value": Name("losses/value_loss"),
        "loss_entropy": Name("losses/entropy"),
        "kl_divergence": Name("losses/approx_kl"),
        "clip_fraction": Name("losses/clipfrac"),
        "explained_variance": Name("losses/explained_variance"),
        "lr": Name("charts/learning_rate"),
    },
    "townlet": {},
}


def names_of_runs(places: Sequence[Path]) -> list[str]:
    """Name run folders and logs by their last part; where two share one, by their path in a common folder.

    Raises InputError for the same place twice.
    """
    whole = [Path(os.path.abspath(place)) for place in places]
    names = [path.name for path in whole]
    if len(set(names)) < len(names):
        common = os.path.commonpath([path.parent for path in whole])
        names = [os.path.relpath(path, common) for path in whole]
        for place, name in zip(places, names, strict=True):
            if names.count(name) > 1:
                raise InputError(f"{place}: named twice", "name every run once")
    return [os.fsencode(name).decode("utf-8", "backslashreplace") for name in names]


class Point(NamedTuple):
    """One update: the records of its epochs as one."""

    mode: str  # data_mode
    env_steps: float
    steps: float
    wall_time: float  # seconds since 1970; 0 if the log does not say
    values: dict[str, float]  # by their name in the other library
    histograms: dict[str, list[int]]


class Updates:
    """Joins the records of the epochs of one update, as other libraries log it.

    What describes the update is the mean over its epochs, of a maximum the largest; what describes its data
    or counts is the latest.
    """

    def __init__(self, names: str) -> None:
        """names: a key of NAMES."""
        self._names = NAMES[names]
        self._batches = Batches()
        self._mode = ""
        self._records: list[Record] = []

    def add(self, record: Record) -> Point | None:
        """Add a record; return the point of the update before it, if it begins another."""
        mode = record.get("data_mode")
        mode = mode if isinstance(mode, str) and mode else "unknown"
        before = self.finish() if self._batches.begins(record, mode) or mode != self._mode else None
        self._mode = mode
        self._records.append(record)
        return before

    @property
    def epochs(self) -> int:
        """How many epochs of the current update have been added."""
        return len(self._records)

    def finish(self) -> Point | None:
        """Return the point of the current update, if there is one."""
        records, self._records = self._records, []
        if not records:
            return None
        last = records[-1]
        values = {field: value for field in NUMBERS if (value := _joined(field, records)) is not None}
        named = {
            name: value * factor
            for field, value in values.items()
            for name, factor in [self._name(field)]
            if name
        }
        env_steps, steps = values.get("env_steps", math.nan), values.get("steps", math.nan)
        return Point(self._mode, env_steps, steps, _seconds(last.get("timestamp")), named, _histograms(last))

    def _name(self, field: str) -> Name:
        own = "" if BY_NAME[field].unit == "index" and field not in _COUNTERS else f"{OWN}/{field}"
        return self._names.get(field) or Name(own)


def _joined(field: str, records: list[Record]) -> float | None:
    """Return a field's value of an update, None if no record has a finite one."""
    found = (finite_number(record.get(field), below=1e308) for record in records)
    values = [value for value in found if not math.isnan(value)]
    if not values:
        return None
    if field in OF_BATCH or BY_NAME[field].unit == "index":
        return values[-1]
    return max(values) if field.endswith("_max") else sum(values) / len(values)


def _histograms(record: Record) -> dict[str, list[int]]:
    found = {name: record.get(name) for name, field in BY_NAME.items() if field.type == "histogram"}
    return {
        f"{OWN}/{name}": counts
        for name, counts in found.items()
        if isinstance(counts, list)
        and len(counts) == HISTOGRAM_BINS
        and all(type(one) is int and 0 <= one < 1 << 53 for one in counts)
    }


def _seconds(timestamp: Any) -> float:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return 0.0
