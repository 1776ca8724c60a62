"""The means of a log's fields cycle by cycle, in bounded memory, and the trends that they show."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

PARTS = 96  # even; a longer log merges pairs of neighbouring parts, as often as needed
STEADY = 1.0  # standard deviations; a smaller change does not stand out of the scatter
_ROUNDING = 1e-12  # scatter below this share of the mean is that of rounded sums


class Trend(NamedTuple):
    """How a field changed over the log: the mean of its last third of cycles against that of its first."""

    first: float
    last: float
    change: float  # last − first
    deviations: float  # change / pooled standard deviation of cycles within the thirds; NaN if unknown
    direction: str  # up, down, steady (|deviations| < STEADY), or unknown


class Cycles(NamedTuple):
    """The means of fields over some neighbouring cycles."""

    first_cycle: float  # NaN if the records do not say
    last_cycle: float
    means: dict[str, float]


class Parts:
    """Adds up the fields of one data mode over parts of equally many batches: cycles, in order."""

    def __init__(self, fields: int) -> None:
        self.batches = 0
        self._stride = 1  # batches per part
        self._sums, self._counts = np.zeros((PARTS, fields)), np.zeros((PARTS, fields), np.int64)
        self._first, self._last = np.full(PARTS, np.nan), np.full(PARTS, np.nan)  # cycles

    def begin(self, is_first: np.ndarray, cycles: np.ndarray) -> np.ndarray:
        """Begin to add n records; return the part (n,) that each belongs to.

        is_first: whether a record begins a batch. cycles: NaN where a record does not say.
        """
        numbers = self.batches - 1 + np.cumsum(is_first)
        self.batches = int(numbers[-1]) + 1
        while (self.batches - 1) // self._stride >= PARTS:
            self._halve()
        parts = numbers // self._stride
        starts = _starts(parts)
        rows = parts[starts]
        self._first[rows] = np.fmin(self._first[rows], np.fmin.reduceat(cycles, starts))
        self._last[rows] = np.fmax(self._last[rows], np.fmax.reduceat(cycles, starts))
        return parts

    def add(self, fields: np.ndarray, values: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Add values (n, len(fields)) of some fields to parts (n,); return their sums by field."""
        starts = _starts(parts)
        rows = parts[starts]
        self._counts[np.ix_(rows, fields)] += np.diff(starts, append=len(parts))[:, None]
        with np.errstate(over="ignore", invalid="ignore"):  # overflow gives inf or NaN without a warning
            sums = np.add.reduceat(values, starts)
            self._sums[np.ix_(rows, fields)] += sums
            return np.asarray(sums.sum(0))

    def trend(self, field: int) -> Trend | None:
        """Return the trend of a field, None if it has a value in fewer than three parts."""
        rows = np.flatnonzero(self._counts[:, field])
        third = len(rows) // 3
        if not third:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            means = self._sums[rows, field] / self._counts[rows, field]
            return _trend(means[:third], means[-third:])

    def cycles(self, fields: dict[str, int], most: int) -> list[Cycles]:
        """Return the means of fields, by name and column, over at most `most` spans of equal length."""
        count = -(-self.batches // self._stride)
        spans = np.array_split(np.arange(count), min(most, count))
        return [self._span(fields, span) for span in spans]

    def _span(self, fields: dict[str, int], rows: np.ndarray) -> Cycles:
        counts = self._counts[rows].sum(0)
        with np.errstate(over="ignore", invalid="ignore"):
            means = self._sums[rows].sum(0) / np.maximum(counts, 1)
        ends = np.fmin.reduce(self._first[rows]), np.fmax.reduce(self._last[rows])
        found = {name: float(means[column]) for name, column in fields.items() if counts[column]}
        return Cycles(float(ends[0]), float(ends[1]), found)

    def _halve(self) -> None:
        """Merge pairs of parts, which frees half of the memory."""
        self._stride *= 2
        half = PARTS // 2
        with np.errstate(over="ignore", invalid="ignore"):
            self._sums[:half] = self._sums[::2] + self._sums[1::2]
        self._counts[:half] = self._counts[::2] + self._counts[1::2]
        self._first[:half] = np.fmin(self._first[::2], self._first[1::2])
        self._last[:half] = np.fmax(self._last[::2], self._last[1::2])
        for array, empty in ((self._sums, 0), (self._counts, 0), (self._first, np.nan), (self._last, np.nan)):
            array[half:] = empty


def _starts(parts: np.ndarray) -> np.ndarray:
    """Return where the records of each part start."""
    return np.flatnonzero(np.append(True, parts[1:] != parts[:-1]))


def _trend(before: np.ndarray, after: np.ndarray) -> Trend:
    first, last = float(before.mean()), float(after.mean())
    change = last - first
    if len(before) < 2 or not math.isfinite(change):
        return Trend(first, last, change, math.nan, "unknown")
    scatter = math.sqrt((float(before.var(ddof=1)) + float(after.var(ddof=1))) / 2)
    scale = max(abs(first), abs(last)) * _ROUNDING
    if abs(change) <= scale:
        return Trend(first, last, 0.0, 0.0, "steady")
    deviations = change / scatter if scatter > scale else math.copysign(math.inf, change)
    direction = "steady" if abs(deviations) < STEADY else "up" if change > 0 else "down"
    return Trend(first, last, change, deviations, direction)
