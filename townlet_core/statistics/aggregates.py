"""Aggregates of scores over runs and tasks: the interquartile mean, and performance profiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from townlet_core.chance import generator
from townlet_core.errors import ShapeError
from townlet_core.estimates import LEVEL, Estimate, t_quantile
from townlet_core.statistics.comparison import effective_degrees

RESAMPLES = 2000
_BOOTSTRAP = 0xB005  # random coordinate
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


class Profile(NamedTuple):
    """The fraction of runs that score above each threshold; all arrays are (K,) float64."""

    thresholds: np.ndarray
    fraction: np.ndarray
    low: np.ndarray
    high: np.ndarray


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Return the mean of the middle half: ⌊N/4⌋ of N scores are left out at either end of the last axis."""
    cut = scores.shape[-1] // 4
    return np.sort(scores, -1)[..., cut : scores.shape[-1] - cut].mean(-1)


def estimate_iqm(strata: Sequence[np.ndarray]) -> Estimate:
    """Estimate the interquartile mean of all scores, with an interval from a stratified bootstrap.

        IQM ± t_{.975, ν} s*

    strata: the scores of the runs in each task, (N_k,) each, N_k ≥ 2. s* is the standard deviation of the IQM
    over RESAMPLES draws of N_k runs with replacement within each task, where the deviations of task k are
    scaled by √(N_k / (N_k − 1)), because a draw from few runs varies too little. ν are Satterthwaite's
    degrees of freedom. Of normal scores of one task, the percentile interval of the same draws covers 76 %
    for 3 runs and 89 % for 5; this one covers 94 to 97.5 %. The draws are a function of the sizes, so equal
    scores have equal intervals.
    Raises ShapeError for no task, or fewer than two runs of one.
    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.2; scaling: Rao and Wu 1988,
    doi:10.1080/01621459.1988.10478591.
    """
    if not strata or min(map(len, strata)) < 2:
        raise ShapeError("expected a task, and at least 2 scores of each: one alone has no spread")
    scores = [np.asarray(values, np.float64) for values in strata]
    draws = [_resample(values, task) for task, values in enumerate(scores)]
    point = float(interquartile_mean(np.concatenate(scores)))
    spread = float(interquartile_mean(np.concatenate(draws, axis=1)).std())
    errors = [float(values.var(ddof=1)) / len(values) for values in scores]
    half = t_quantile(effective_degrees(errors, [len(values) - 1 for values in scores])) * spread
    return Estimate(point, point - half, point + half)


def _resample(values: np.ndarray, task: int) -> np.ndarray:
    """Draw from the runs of a task, (RESAMPLES, N), and scale the deviations from their mean."""
    count, mean = len(values), values.mean()
    return mean + math.sqrt(count / (count - 1)) * (values - mean)[_places(count, task)]


@lru_cache(maxsize=64)
def _places(count: int, task: int) -> np.ndarray:
    return generator(count, task, _BOOTSTRAP).integers(0, count, (RESAMPLES, count), np.int32)


def performance_profile(scores: np.ndarray, thresholds: np.ndarray) -> Profile:
    """Return the fraction of runs with a score above each threshold, with pointwise Wilson intervals.

        F̂(τ) = 1/N Σ_i [x_i > τ]

    scores: (N,), of all runs of all tasks. thresholds: (K,).
    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.3; interval: Wilson 1927,
    doi:10.1080/01621459.1927.10502953.
    """
    count = len(scores)
    fraction = np.greater.outer(np.asarray(scores), thresholds).mean(0)
    scale = 1 + _Z**2 / count
    middle = (fraction + _Z**2 / (2 * count)) / scale
    half = _Z * np.sqrt(fraction * (1 - fraction) / count + _Z**2 / (4 * count**2)) / scale
    return Profile(thresholds, fraction, np.maximum(middle - half, 0), np.minimum(middle + half, 1))
