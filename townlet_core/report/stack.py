"""Stacked areas: parts of a sum on top of each other, positive ones upwards and negative ones downwards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from townlet_core.report.chart import Series
from townlet_core.report.curve import Curve


class Area(NamedTuple):
    """The area between two edges over the same places, (N,) float64 each."""

    x: np.ndarray
    near: np.ndarray  # the edge nearer to zero
    far: np.ndarray
    colour: int


def stack(series: tuple[Series, ...]) -> list[Area]:
    """Stack series over the places of the first; one that changes its sign lies on both sides of zero."""
    x = series[0].curve.x
    up, down = np.zeros(len(x)), np.zeros(len(x))
    areas = []
    for one in series:
        value = _over(one.curve, x)
        above, below = up + np.maximum(value, 0), down + np.minimum(value, 0)
        sides = ((up, above), (down, below))
        areas += [Area(x, near, far, one.colour) for near, far in sides if (near != far).any()]
        up, down = above, below
    return areas


def total(series: tuple[Series, ...]) -> Curve:
    """Sum the series up, over the places of the first."""
    x = series[0].curve.x
    value = np.sum([_over(one.curve, x) for one in series], axis=0)
    return Curve(x, value, value, value)


def _over(curve: Curve, x: np.ndarray) -> np.ndarray:
    return np.interp(x, curve.x, curve.mean)
