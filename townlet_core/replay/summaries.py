"""Mean, deviation, extremes and histogram of named columns, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

BINS = 32  # at most, in a histogram
_FINEST = -20  # bins are 2**-20 wide or wider,
_DIGITS = 24  # and not narrower than the steps between float32 numbers of this size
_BLOCK = 1 << 18  # numbers that are added together


class _Block:
    """Rows of some columns that wait until there are enough of them."""

    def __init__(self, places: np.ndarray) -> None:
        self.places = places  # of the columns
        self.rows = np.empty((max(1, _BLOCK // len(places)), len(places)))
        self.filled = 0


class Summaries:
    """Summaries of columns, which are known by name; rows may have any of them.

    Rows are added in blocks of a fixed number, so that it does not matter how many come at a time.

    The bins of a histogram are [i · w, (i + 1) · w) for whole i. The width w is the smallest power of two for
    which at most BINS bins cover the column. Bins of a width are unions of bins of half the width, so a
    histogram depends on the numbers alone, and not on their order.
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._blocks: dict[tuple[str, ...], _Block] = {}
        self._count: np.ndarray = np.zeros(0, np.int64)
        self._mean: np.ndarray = np.zeros(0)
        self._squares: np.ndarray = np.zeros(0)  # sum of squared deviations
        self._low: np.ndarray = np.zeros(0)
        self._high: np.ndarray = np.zeros(0)
        self._exponent: np.ndarray = np.zeros(0, np.int64)  # of the width: w = 2**exponent
        self._first: np.ndarray = np.zeros(0, np.int64)  # i of the first bin
        self._bins: np.ndarray = np.zeros((0, BINS), np.int64)

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the order in which they came."""
        return list(self._places)

    def add(self, names: Sequence[str], rows: np.ndarray) -> None:
        """Add rows (N, len(names)) of finite numbers to the named columns, each named once."""
        key = tuple(names)
        if key not in self._blocks:
            self._blocks[key] = _Block(self._find(key))
        block, start = self._blocks[key], 0
        while start < len(rows):
            some = rows[start : start + len(block.rows) - block.filled]
            block.rows[block.filled : block.filled + len(some)] = some
            block.filled += len(some)
            start += len(some)
            if block.filled == len(block.rows):
                self._flush(block)

    def moments(self, name: str) -> tuple[int, float, float]:
        """Return count, mean and standard deviation of a column; the deviation is the population's."""
        self._flush_all()
        at = self._places[name]
        count = int(self._count[at])
        return count, float(self._mean[at]), float(np.sqrt(self._squares[at] / count))

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return by column `{count, mean, std, min, max, histogram: {start, width, counts}}`."""
        self._flush_all()
        found = {}
        for name, at in self._places.items():
            count, mean, std = self.moments(name)
            width, last = 2.0 ** int(self._exponent[at]), int(np.flatnonzero(self._bins[at])[-1])
            histogram = {
                "start": int(self._first[at]) * width,
                "width": width,
                "counts": self._bins[at, : last + 1].tolist(),
            }
            extremes = {"min": float(self._low[at]) + 0.0, "max": float(self._high[at]) + 0.0}  # no -0
            found[name] = {"count": count, "mean": mean, "std": std, **extremes, "histogram": histogram}
        return found

    def as_features(self) -> dict[str, Any]:
        """Return `{names, count, mean, std}` of columns that came together (docs/data.md, Manifest)."""
        count, mean, std = zip(*map(self.moments, self.names), strict=True)
        return {"names": self.names, "count": count[0], "mean": list(mean), "std": list(std)}

    def _flush_all(self) -> None:
        for block in self._blocks.values():
            if block.filled:
                self._flush(block)

    def _flush(self, block: _Block) -> None:
        """Add the rows of a block, which is empty afterwards."""
        at, rows = block.places, block.rows[: block.filled]
        block.filled = 0
        self._add_moments(at, rows)
        self._widen(at, rows.min(axis=0), rows.max(axis=0))
        places = np.floor(np.ldexp(rows, -self._exponent[at])).astype(np.int64) - self._first[at]
        flat = (places + np.arange(len(at)) * BINS).ravel()
        self._bins[at] += np.bincount(flat, minlength=len(at) * BINS).reshape(-1, BINS)

    def _find(self, names: Sequence[str]) -> np.ndarray:
        """Return where the columns are, after making room for new ones."""
        if new := [name for name in names if name not in self._places]:
            for name in new:
                self._places[name] = len(self._places)
            room = (0, len(new))
            self._count, self._mean, self._squares = (
                np.pad(array, room) for array in (self._count, self._mean, self._squares)
            )
            self._low = np.pad(self._low, room, constant_values=np.inf)
            self._high = np.pad(self._high, room, constant_values=-np.inf)
            self._exponent, self._first = np.pad(self._exponent, room), np.pad(self._first, room)
            self._bins = np.pad(self._bins, (room, (0, 0)))
        return np.array([self._places[name] for name in names])

    def _add_moments(self, at: np.ndarray, block: np.ndarray) -> None:
        """Add a block to count, mean and squared deviations.

            mean ← mean + δ n / (m + n)      squares ← squares + squares' + δ² m n / (m + n)

        with m rows so far, n new ones, and δ the new mean minus the old.
        Source: Chan, Golub and LeVeque 1979, eq. 2.1.
        """
        rows, before = len(block), self._count[at]
        mean = block.mean(axis=0)
        shift, share = mean - self._mean[at], rows / (before + rows)
        self._squares[at] += np.square(block - mean).sum(axis=0) + np.square(shift) * before * share
        self._mean[at] += shift * share
        self._count[at] += rows

    def _widen(self, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Extend the extremes, and merge bins where they no longer cover them."""
        if (low >= self._low[at]).all() and (high <= self._high[at]).all():
            return
        self._low[at], self._high[at] = np.minimum(self._low[at], low), np.maximum(self._high[at], high)
        exponent = _exponents(self._low[at], self._high[at])
        first = np.floor(np.ldexp(self._low[at], -exponent)).astype(np.int64)
        moved = (exponent != self._exponent[at]) | (first != self._first[at])
        for n in np.flatnonzero(moved):
            column = at[n]
            filled = np.flatnonzero(self._bins[column])
            steps = min(int(exponent[n] - self._exponent[column]), 63)
            bins = np.zeros(BINS, np.int64)
            if len(filled):
                places = ((self._first[column] + filled) >> steps) - first[n]
                np.add.at(bins, places, self._bins[column, filled])
            self._bins[column] = bins
        self._exponent[at], self._first[at] = exponent, first


def _exponents(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the exponent of the smallest width for which at most BINS bins cover low to high."""
    size = np.frexp(np.maximum(np.abs(low), np.abs(high)))[1].astype(np.int64)
    least = np.maximum(size - _DIGITS, _FINEST)
    span = np.frexp(high - low)[1].astype(np.int64) - int(np.log2(BINS)) - 1  # half of this is too narrow
    exponent = np.where(high > low, np.maximum(span, least), least)
    while (
        too_narrow := np.floor(np.ldexp(high, -exponent)) - np.floor(np.ldexp(low, -exponent)) >= BINS
    ).any():
        exponent += too_narrow
    return exponent
