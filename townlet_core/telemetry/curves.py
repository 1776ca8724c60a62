"""Downsampled curves of a log in bounded memory, and curves as a line of text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CURVE_POINTS = 1000  # even; a longer curve merges pairs of neighbouring points, as often as needed
BARS = "▁▂▃▄▅▆▇█"


class Point(NamedTuple):
    """The value of a record, or the statistics of several neighbouring records."""

    x: float  # of the last of them
    mean: float
    low: float
    high: float


class Curves:
    """The curves of several fields over any of several axes, filled record by record."""

    def __init__(self, axes: int, fields: int) -> None:
        self.records = 0
        self._stride = 1  # records per point
        self._x = np.full((CURVE_POINTS, axes), np.nan)
        self._counts = np.zeros((CURVE_POINTS, fields), np.int64)
        self._sums = np.zeros((CURVE_POINTS, fields))
        self._low = np.full((CURVE_POINTS, fields), np.inf)
        self._high = np.full((CURVE_POINTS, fields), -np.inf)

    def add(self, x: np.ndarray, values: np.ndarray) -> None:
        """Add n records: x (n, axes) and values (n, fields), NaN where a record had none."""
        while (self.records + len(values) - 1) // self._stride >= CURVE_POINTS:
            self._halve()
        rows = (self.records + np.arange(len(values))) // self._stride
        self.records += len(values)
        known = ~np.isnan(values)
        starts = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))  # of the records of one point
        rows = rows[starts]
        self._x[rows] = x[np.append(starts[1:], len(x)) - 1]  # the last record says where a point stands
        self._counts[rows] += np.add.reduceat(known, starts, dtype=np.int64)
        with np.errstate(over="ignore", invalid="ignore"):  # overflow gives inf or NaN without a warning
            self._sums[rows] += np.add.reduceat(np.where(known, values, 0.0), starts)
        low = np.minimum.reduceat(np.where(known, values, np.inf), starts)
        high = np.maximum.reduceat(np.where(known, values, -np.inf), starts)
        self._low[rows] = np.minimum(self._low[rows], low)
        self._high[rows] = np.maximum(self._high[rows], high)

    def points(self, field: int, axis: int | None) -> list[Point]:
        """Return a field's curve, gaps left out, over an axis or over the records themselves.

        Neighbours of one x are one point: epochs of one rollout have the same environment steps.
        """
        rows = np.flatnonzero(self._counts[:, field])
        if not len(rows):
            return []
        ends = np.minimum((rows + 1) * self._stride, self.records)
        x = ends.astype(np.float64) if axis is None else self._x[rows, axis]
        starts = np.flatnonzero(np.append(True, x[1:] != x[:-1]))
        counts = np.add.reduceat(self._counts[rows, field], starts)
        with np.errstate(over="ignore", invalid="ignore"):
            means = np.add.reduceat(self._sums[rows, field], starts) / counts
        low = np.minimum.reduceat(self._low[rows, field], starts)
        high = np.maximum.reduceat(self._high[rows, field], starts)
        points = map(Point, x[starts].tolist(), means.tolist(), low.tolist(), high.tolist())
        return [point for point in points if np.isfinite(point.mean)]

    def _halve(self) -> None:
        """Merge pairs of points, which frees half of the memory."""
        self._stride *= 2
        half = CURVE_POINTS // 2
        first, second = self._x[::2], self._x[1::2]
        self._x[:half] = np.where(np.isnan(second), first, second)
        with np.errstate(over="ignore", invalid="ignore"):
            self._sums[:half] = self._sums[::2] + self._sums[1::2]
        self._counts[:half] = self._counts[::2] + self._counts[1::2]
        self._low[:half] = np.minimum(self._low[::2], self._low[1::2])
        self._high[:half] = np.maximum(self._high[::2], self._high[1::2])
        for array, empty in ((self._x, np.nan), (self._sums, 0), (self._counts, 0)):
            array[half:] = empty
        self._low[half:], self._high[half:] = np.inf, -np.inf


def bars_of(points: list[Point], most: int) -> str:
    """Draw a curve as text, its axis from left to right; each bar is the mean of the points it stands for.

    A bar that stands for none repeats the one before it.
    """
    x = np.array([point.x for point in points])
    means = np.array([point.mean for point in points])
    count = min(most, len(points))
    span = x.max() - x.min()
    with np.errstate(invalid="ignore", over="ignore"):
        place = (x - x.min()) / span * count if span > 0 else np.zeros(len(x))
    bins = np.clip(np.nan_to_num(place), 0, count - 1).astype(int)
    heights: list[float] = []
    for n in range(count):
        chosen = means[bins == n]
        heights.append(float(chosen.mean()) if len(chosen) else heights[-1] if heights else float(means[0]))
    return sparkline(heights)


def sparkline(values: list[float]) -> str:
    """Draw one bar per value between the least and the largest; `×` for one that is not finite."""
    finite = [value for value in values if abs(value) < float("inf")]
    if not finite:
        return "×" * len(values)
    low, high = min(finite), max(finite)
    step = (high / 2 - low / 2) / (len(BARS) - 1)  # halved: the difference of two huge numbers may overflow
    return "".join(
        _bar((value / 2 - low / 2) / step if step else 3, abs(value) < float("inf")) for value in values
    )


def _bar(height: float, is_finite: bool) -> str:
    return BARS[round(height)] if is_finite else "×"
