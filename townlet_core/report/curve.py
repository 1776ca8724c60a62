"""Curves with a range around them: thinned to what a chart can show, and averaged over runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from townlet_core.estimates import t_quantile
from townlet_core.telemetry.curves import Point

MAX_DRAWN = 1e150  # larger numbers are drawn as this one: their squares would overflow
MAX_POINTS = 100  # of a curve on a chart: about one per three pixels


class Curve(NamedTuple):
    """N points from left to right, each a mean and the range around it; all arrays are (N,) float64."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def curve_of(points: Sequence[Point], most: int = MAX_POINTS) -> Curve:
    """Turn points into a curve of at most `most`; where several become one, their mean and their range."""
    columns = np.clip(np.array(points, np.float64).reshape(-1, 4).T, -MAX_DRAWN, MAX_DRAWN)
    starts = np.arange(0, columns.shape[1], max(1, math.ceil(columns.shape[1] / most)))
    if not len(starts):
        return Curve(*columns)
    ends = np.append(starts[1:], columns.shape[1]) - 1
    counts = ends - starts + 1
    return Curve(
        columns[0][ends],
        np.add.reduceat(columns[1], starts) / counts,
        np.minimum.reduceat(columns[2], starts),
        np.maximum.reduceat(columns[3], starts),
    )


def average(curves: Sequence[Curve]) -> Curve:
    """Average the curves of several runs; the range is the 95 % Student's t interval over them.

    Runs of other seeds take a few environment steps more or fewer. Then all are interpolated at the points of
    the one with the fewest, over the steps that all of them have. One curve is returned as it is.
    """
    if len(curves) == 1:
        return curves[0]
    x = min((curve.x for curve in curves), key=len)
    first, last = max(curve.x[0] for curve in curves), min(curve.x[-1] for curve in curves)
    shared = x[(x >= first) & (x <= last)]
    x = shared if len(shared) else np.array([last])  # between two of its points
    values = np.stack([np.interp(x, curve.x, curve.mean) for curve in curves])
    mean = values.mean(0)
    half = t_quantile(len(curves) - 1) * values.std(0, ddof=1) / math.sqrt(len(curves))
    return Curve(x, mean, mean - half, mean + half)
