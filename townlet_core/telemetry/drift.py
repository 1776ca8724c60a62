"""Drift of a log from a baseline: the difference of means, per field and data mode."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.telemetry.fields import BY_NAME, NUMBERS
from townlet_core.telemetry.gather import read_statistics
from townlet_core.telemetry.reader import Line
from townlet_core.telemetry.statistics import Statistics

# Positions in the run and speeds say nothing about what was learned.
DRIFTING = tuple(name for name in NUMBERS if BY_NAME[name].unit not in ("index", "s", "1/s"))
SMALLEST_BASE = 1e-6  # below this, relative drift would amplify rounding errors


class Drift(NamedTuple):
    """One field's mean in the log against its mean in the baseline."""

    mode: str  # a data mode; "unknown" where neither has one
    field: str
    baseline: float
    mean: float
    drift: float  # |mean − baseline|
    relative: float  # drift / |baseline|; the drift itself where |baseline| < SMALLEST_BASE
    change: float  # mean − baseline: the drift with its direction


def load_baseline(path: Path) -> Statistics:
    """Load a baseline: a log, or one record as a JSON file.

    Raises MissingError, or InputError if the file holds neither or is damaged.
    """
    damage = ""

    def remember_first(line: Line, problem: str) -> None:
        nonlocal damage
        damage = damage or f"{line.place}: {problem}"

    statistics = read_statistics(path, remember_first)
    if statistics.records == 0:
        record = io.read_json(path)
        if type(record) is not dict:
            raise InputError(f"{path}: not a telemetry log or record", "give a log, or one record as JSON")
        statistics.add(record)
    elif damage:
        raise InputError(f"baseline {damage}", f"townlet telemetry validate {shlex.quote(str(path))}")
    if not any(map(statistics.extremes, statistics.modes())):
        raise InputError(f"{path}: holds no telemetry field", "give a log, or one record as JSON")
    return statistics


def measure_drift(log: Statistics, baseline: Statistics) -> list[Drift]:
    """Compare the means of the common fields, separately for each data mode.

    A baseline without data modes is compared with every mode of the log, and the other way round.
    Raises InputError where log and baseline have no mode in common.
    """
    return [
        drift
        for mode, other in _pairs(list(log.modes()), list(baseline.modes()))
        for drift in _drifts_of(mode if mode != "unknown" else other, log.means(mode), baseline.means(other))
    ]


def _pairs(modes: list[str], bases: list[str]) -> list[tuple[str, str]]:
    """Pair the modes of a log with those of a baseline."""
    if ["unknown"] in (modes, bases):
        return [(mode, base) for mode in modes for base in bases]
    common = [(mode, mode) for mode in modes if mode in bases]
    if not common:
        raise InputError(
            f"the baseline holds records of {' and '.join(bases)}, the log of {' and '.join(modes)}: "
            "nothing to compare",
            "give a baseline of the same data mode",
        )
    return common


def _drifts_of(mode: str, means: dict[str, float], bases: dict[str, float]) -> list[Drift]:
    return [_drift(mode, name, bases[name], means[name]) for name in DRIFTING if name in means.keys() & bases]


def _drift(mode: str, field: str, base: float, mean: float) -> Drift:
    change = mean - base if math.isfinite(mean) and math.isfinite(base) else math.nan
    scale = abs(base) if abs(base) >= SMALLEST_BASE else 1.0
    return Drift(mode, field, base, mean, abs(change), abs(change) / scale, change)
