"""What a report needs of a telemetry log, in one pass: curves by data mode, alerts, damage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import InputError, count
from townlet_core.report.curve import Curve, curve_of
from townlet_core.telemetry.alerts import Alert, AlertMonitor, AlertRule
from townlet_core.telemetry.curves import Curves
from townlet_core.telemetry.fields import AXES
from townlet_core.telemetry.reader import Line, read_records
from townlet_core.telemetry.records import Record, finite_number

CHUNK_RECORDS = 1024
MAX_ALERT_PLACES = 10_000  # of a rule, that are marked on a chart
# Counts per 1,000 agent steps, as `evaluate` measures them: a longer rollout, or one of more towns, has more.
PER_THOUSAND = {
    "conflicts_per_1000": "queue_conflict_events",
    "intensity_per_1000": "queue_conflict_intensity_sum",
}
_NUMBERS = (int, float)
Rules = Callable[[object], Sequence[AlertRule]]
_PLACES = (*AXES, "records")  # what curves can be drawn over; the number of the record is always there


class RuleAlerts(NamedTuple):
    """How often a rule tripped, and where."""

    rule: str
    field: str
    why: str  # what it means, and what to do; empty where the rule does not say
    times: int
    first: dict[str, float]  # by axis, and `epoch`
    last_value: float
    places: dict[str, list[float]]  # by axis


class RunLog(NamedTuple):
    """A log that was read to its end."""

    path: Path
    records: int
    damaged: int  # lines that held no record
    gaps: list[str]  # records that are missing, or of another run
    modes: dict[str, int]  # records of each data mode
    latest: Record
    axes: tuple[str, ...]  # of _PLACES, those that every record has, best first
    rules: list[AlertRule]  # that were tried
    alerts: list[RuleAlerts]
    curves: dict[str, Curves]  # by mode
    fields: tuple[str, ...]  # the columns of the curves

    def curve(self, field: str, mode: str, axis: str) -> Curve:
        """Return the curve of a field over an axis, with its interval if one is logged; it may be empty."""
        mean = self._curve(field, mode, axis)
        low, high = (self._curve(name, mode, axis).mean for name in interval_of(field))
        return mean._replace(low=low, high=high) if len(low) == len(high) == len(mean.x) else mean

    def _curve(self, field: str, mode: str, axis: str) -> Curve:
        if mode not in self.curves or field not in self.fields:
            return curve_of([])
        return curve_of(self.curves[mode].points(self.fields.index(field), _PLACES.index(axis)))


def interval_of(field: str) -> tuple[str, str]:
    """Name the fields that have the ends of a mean's interval, in logs that have them."""
    stem = field.removesuffix("_mean")
    return f"{stem}_low", f"{stem}_high"


def no_rules(scenario: object) -> list[AlertRule]:
    """Return no alert rules, whatever the scenario."""
    return []


def read_log(path: Path, fields: Sequence[str], rules: Rules = no_rules) -> RunLog:
    """Read a log.

    fields: the curves to keep, of PER_THOUSAND or of the telemetry's numbers. rules: returns the alert rules
    to try, from what the first record names as its scenario.
    Raises MissingError, DiskError, or InputError if it holds no record.
    """
    reading = _Reading(tuple(fields), rules)
    for _, record in read_records(path, reading.count_damage, on_gap=reading.gaps.append):
        reading.add(record)
    if not reading.records:
        raise InputError(f"{path}: no record in this log", "train first, or name another run")
    return reading.finish(path)


class _Reading:
    def __init__(self, fields: tuple[str, ...], rules: Rules) -> None:
        self.fields = fields
        self._rates = [(n, PER_THOUSAND[name]) for n, name in enumerate(fields) if name in PER_THOUSAND]
        self.records = self.damaged = 0
        self.gaps: list[str] = []
        self._rules = rules
        self._monitor = AlertMonitor([])
        self._alerts: dict[str, RuleAlerts] = {}
        self._modes: dict[str, int] = {}
        self._curves: dict[str, Curves] = {}
        self._rows: dict[str, list[tuple[list[float], list[float]]]] = {}  # by mode: places, values
        self._latest: Record = {}
        self._has = dict.fromkeys(AXES, 0)  # records with this axis
        self._is_used = dict.fromkeys(AXES, False)  # whether it is ever above 0

    def count_damage(self, line: Line, problem: str) -> None:
        self.damaged += 1

    def add(self, record: Record) -> None:
        """Add one record."""
        mode = record.get("data_mode")
        mode = mode if isinstance(mode, str) else "unknown"
        if not self.records:
            self._monitor = AlertMonitor(list(self._rules(record.get("scenario"))))
        self.records += 1
        self._latest = record
        self._modes[mode] = self._modes.get(mode, 0) + 1
        places = [*(finite_number(record.get(axis)) for axis in AXES), float(self.records)]
        for n, axis in enumerate(AXES):
            self._has[axis] += places[n] == places[n]  # not NaN
            self._is_used[axis] |= places[n] > 0
        rows = self._rows.setdefault(mode, [])
        values: list[Any] = [
            value if type(value) in _NUMBERS else math.nan for value in map(record.get, self.fields)
        ]
        for column, field in self._rates:
            values[column] = _per_thousand(record, field)
        rows.append((places, values))
        if len(rows) == CHUNK_RECORDS:
            self._fold(mode)
        for alert in self._monitor.check(record):
            self._note(alert, places, record)

    def _note(self, alert: Alert, places: list[float], record: Record) -> None:
        named = dict(zip(_PLACES, places, strict=True))
        before = self._alerts.get(alert.rule)
        if before is None:
            first = {**named, "epoch": finite_number(record.get("epoch"))}
            nowhere: dict[str, list[float]] = {axis: [] for axis in _PLACES}
            before = RuleAlerts(alert.rule, alert.field, alert.why, 0, first, alert.value, nowhere)
        if before.times < MAX_ALERT_PLACES:
            for axis, place in named.items():
                before.places[axis].append(place)
        self._alerts[alert.rule] = before._replace(times=before.times + 1, last_value=alert.value)

    def _fold(self, mode: str) -> None:
        rows = self._rows.pop(mode, [])
        if rows:
            curves = self._curves.setdefault(mode, Curves(len(_PLACES), len(self.fields)))
            values = np.array([values for _, values in rows], np.float64)
            values[~np.isfinite(values)] = np.nan
            curves.add(np.array([places for places, _ in rows]), values)

    def finish(self, path: Path) -> RunLog:
        for mode in list(self._rows):
            self._fold(mode)
        axes = [axis for axis in AXES if self._has[axis] == self.records and self._is_used[axis]]
        return RunLog(
            path,
            self.records,
            self.damaged,
            self.gaps,
            self._modes,
            self._latest,
            (*axes, "records"),
            self._monitor.rules,
            list(self._alerts.values()),
            self._curves,
            self.fields,
        )


def problems_of(log: RunLog) -> list[str]:
    """Say what is wrong with a log, a sentence each."""
    damage = [f"{count(log.damaged, 'damaged line')} left out"] if log.damaged else []
    return damage + log.gaps


def _per_thousand(record: Record, field: str) -> float:
    events, steps = finite_number(record.get(field)), finite_number(record.get("transitions"))
    return 1000 * events / steps if steps > 0 else math.nan
