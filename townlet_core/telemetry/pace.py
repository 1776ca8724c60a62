"""How fast a run goes on, when it will be done, and how long ago it was last heard of."""

from __future__ import annotations

import math
import re
from collections import deque
from datetime import UTC, datetime

from townlet_core.errors import InputError, shown
from townlet_core.telemetry.records import Record, whole_number

CYCLES = 20  # latest ones that the pace is measured over
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str, option: str) -> float:
    """Parse a positive duration such as 90, 60s, 5m or 2h, in seconds. Raises InputError."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", text.strip(), re.ASCII)
    if match is None or float(match[1]) == 0:
        raise InputError(f"{option} {shown(text)}: expected a duration above 0", "such as 60s, 5m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def format_duration(seconds: float) -> str:
    """Format seconds with their two largest units: 3 s, 2 min 5 s, 1 h 20 min, 3 d 4 h."""
    if not math.isfinite(seconds):
        return "–"
    whole = max(0, round(seconds))
    for size, name, smaller, below in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


class Pace:
    """When each of the latest cycles was first heard of, on the trainer's clock, and the last sign of life.

    last: seconds since 1970 of the latest record; NaN before the first. cycle: that of the latest record.
    """

    def __init__(self) -> None:
        self.last = math.nan
        self.cycle: int | None = None
        self._begins: deque[tuple[int, float]] = deque(maxlen=CYCLES + 1)

    def hear(self, record: Record, arrived: float) -> float:
        """Count a record in, and return when it was written; `arrived` is for those without a timestamp."""
        written = written_at(record)
        self.last = arrived if math.isnan(written) else min(written, arrived)  # a clock may be ahead
        cycle = whole_number(record.get("cycle_id"))
        if cycle is None:
            return self.last
        if self.cycle is not None and cycle < self.cycle:  # a resumed run plays its last cycles again
            self._begins.clear()
        if cycle != self.cycle:
            self._begins.append((cycle, self.last))
        self.cycle = cycle
        return self.last

    @property
    def seconds_per_cycle(self) -> float:
        """Seconds from the first record of a cycle to that of the next; NaN while unknown."""
        if len(self._begins) < 2:
            return math.nan
        (first, began), (last, ended) = self._begins[0], self._begins[-1]
        return (ended - began) / (last - first)

    def seconds_left(self, cycles: int | None) -> float:
        """Estimate the seconds from the latest record to the end of so many cycles; NaN if unknown."""
        if cycles is None or self.cycle is None:
            return math.nan
        return max(0, cycles - self.cycle - 1) * self.seconds_per_cycle


def written_at(record: Record) -> float:
    """Return a record's timestamp in seconds since 1970; NaN if it has none."""
    text = record.get("timestamp")
    if not isinstance(text, str):
        return math.nan
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return math.nan
