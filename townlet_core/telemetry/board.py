"""What a dashboard shows of one log, without drawing it: facts, metrics of each data mode, latest alerts."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple

from townlet_core.telemetry.fields import CURVES, OF_BATCH
from townlet_core.telemetry.pace import Pace
from townlet_core.telemetry.reader import Line
from townlet_core.telemetry.records import Record, number
from townlet_core.telemetry.run_status import RunStatus
from townlet_core.telemetry.summary import format_number, one_line
from townlet_core.telemetry.watch import Seen, Watch

WINDOW = 60  # values a sparkline shows
CHANGE = 10  # values over which a change is measured
GAPS = 3  # latest ones kept


class Metric(NamedTuple):
    """A metric of one data mode. Replay and rollout are different quantities, and are never combined."""

    name: str
    values: list[float]  # the latest WINDOW
    latest: float
    change: float  # since CHANGE values before the latest, or since the first; NaN without two
    limit: str  # the range that the rules allow
    state: str  # "", "ok", "2 of 3" or "ALERT"


class Raised(NamedTuple):
    """A rule that has tripped: how often, and the latest line that raised it."""

    rule: str
    times: int
    epoch: Any
    line: Line
    value: float
    why: str

    @property
    def text(self) -> str:
        """All of it but the reason, on one line."""
        times = f" × {self.times}" if self.times > 1 else ""
        place = f"{self.line.path.name}:{self.line.number}"
        return one_line(f"{self.rule}{times}: {format_number(self.value)} at epoch {self.epoch}, {place}")


class Board:
    """The board of one log, filled record by record.

    name: of the log, for people. status: of its run, as read last. note: what stands above everything, such
    as that the log is not there yet.
    """

    def __init__(self, name: str, watch: Watch, metrics: tuple[str, ...] = CURVES) -> None:
        self.name = name
        self.watch = watch
        self.metrics = metrics
        self.pace = Pace()
        self.status: RunStatus | None = None
        self.note = ""
        self.latest: Record = {}
        self.gaps: deque[str] = deque(maxlen=GAPS)
        self._raised: dict[str, Raised] = {}  # by rule, the latest last
        # By data mode, then by metric: drawn through each other, modes are a sawtooth that tells nothing.
        self._values: dict[str, dict[str, deque[float]]] = {}
        self._places: dict[str, deque[float]] = {}  # environment steps of the records behind the curves
        self._cycles: dict[str, Any] = {}  # of the latest record, by data mode

    def add(self, seen: Seen) -> None:
        """Count one record in. Its pace has heard of it already."""
        record = self.latest = seen.record
        self.note = ""
        mode = str(record.get("data_mode", ""))
        curves = self._values.setdefault(mode, {name: deque(maxlen=WINDOW) for name in self.metrics})
        is_same_batch = mode in self._cycles and self._cycles[mode] == record.get("cycle_id", object())
        self._cycles[mode] = record.get("cycle_id", object())
        for name, values in curves.items():
            if name in record:
                if is_same_batch and name in OF_BATCH and values:
                    values[-1] = number(record[name])  # the other epochs of a cycle repeat what its data is
                else:
                    values.append(number(record[name]))
        self._places.setdefault(mode, deque(maxlen=WINDOW)).append(number(record.get("env_steps")))
        for alert in seen.alerts:
            before = self._raised.pop(alert.rule, None)
            times = before.times + 1 if before else 1
            epoch = record.get("epoch", "-")
            self._raised[alert.rule] = Raised(alert.rule, times, epoch, seen.line, alert.value, alert.why)

    def raised(self, most: int) -> list[Raised]:
        """Return the rules that have tripped, the latest first."""
        return list(reversed(self._raised.values()))[:most]

    def modes(self) -> list[str]:
        """Return the data modes seen so far, rollout first: its curves show learning."""
        return sorted(self._values, key=lambda mode: (mode != "rollout", mode))

    def env_steps(self, mode: str) -> tuple[float, float] | None:
        """Return the environment steps that the curves of a mode span; None if they are not counted."""
        known = [place for place in self._places[mode] if math.isfinite(place)]
        return (min(known), max(known)) if known and max(known) > 0 else None

    def table(self, mode: str) -> list[Metric]:
        """Return the metrics that records of a mode have."""
        return [
            self._metric(name, mode, list(values)) for name, values in self._values[mode].items() if values
        ]

    def _metric(self, name: str, mode: str, values: list[float]) -> Metric:
        assert self.watch.monitor is not None  # made with the first record
        limit, state = self.watch.monitor.standing(name, mode)
        before = values[-1 - CHANGE] if len(values) > CHANGE else values[0]
        change = values[-1] - before if len(values) > 1 else math.nan
        return Metric(name, values, values[-1], change, limit, state)
