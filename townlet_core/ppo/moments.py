"""Mean and squared deviations of numbers that lie in several places, merged in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Mean and summed squared deviations of some rows, column by column, in float64."""

    rows: float  # how many
    mean: np.ndarray  # (size,)
    squares: np.ndarray  # (size,)

    @property
    def variance(self) -> np.ndarray:
        """The sample variance (size,), with n − 1; 0 for a single row."""
        return self.squares / max(self.rows - 1, 1)


def moments_of(rows: np.ndarray) -> Moments:
    """Return the moments of rows (N, size); NaN and infinity propagate."""
    rows = rows.astype(np.float64)
    if not len(rows):
        return Moments(0.0, *np.zeros((2, rows.shape[1])))
    mean = rows.mean(0)
    with np.errstate(invalid="ignore"):  # infinite numbers have no deviation
        return Moments(float(len(rows)), mean, np.square(rows - mean).sum(0))


def merge(parts: Sequence[Moments]) -> Moments:
    """Merge the moments of several sets of rows, from the first to the last.

        mean ← mean + δ n / (m + n)      squares ← squares + squares' + δ² m n / (m + n)

    with m rows so far, n new ones, and δ the new mean minus the old.
    Source: Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115, eq. 2.1.
    """
    count, mean, squares = parts[0]
    for more, other, deviations in parts[1:]:
        if more:
            total = count + more
            with np.errstate(invalid="ignore"):
                delta = other - mean
            squares = squares + deviations + delta**2 * count * more / total
            mean, count = mean + delta * more / total, total
    return Moments(count, mean, squares)


def packed(parts: Sequence[Moments]) -> np.ndarray:
    """Lay moments out as numbers (len(parts), 1 + 2 size), to be sent."""
    return np.array([[count, *mean, *squares] for count, mean, squares in parts])


def unpacked(numbers: np.ndarray) -> list[Moments]:
    """Return the moments that `packed` laid out."""
    size = numbers.shape[1] // 2
    return [Moments(float(row[0]), row[1 : 1 + size], row[1 + size :]) for row in numbers]
