"""Is A better than B: differences of means, and the probability of improvement."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from townlet_core.errors import ShapeError
from townlet_core.estimates import LEVEL, Estimate, t_quantile

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


def estimate_difference(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Estimate how much larger the mean of the first is than that of the second, of independent values.

        x̄ − ȳ ± t_{.975, ν} √(s_x²/N + s_y²/M),  ν = (a + b)² / (a²/(N−1) + b²/(M−1)),  a = s_x²/N, b = s_y²/M

    first: (N,), second: (M,), such as the scores of the seeds of two learners; N, M ≥ 2.
    Raises ShapeError for fewer.
    Source: Welch 1947, doi:10.1093/biomet/34.1-2.28.
    """
    _require_two(first, "first")
    _require_two(second, "second")
    errors = [float(np.var(values, ddof=1, dtype=np.float64)) / len(values) for values in (first, second)]
    difference = float(np.mean(first, dtype=np.float64) - np.mean(second, dtype=np.float64))
    degrees = effective_degrees(errors, [len(first) - 1, len(second) - 1])
    half = t_quantile(degrees) * math.sqrt(sum(errors))
    return Estimate(difference, difference - half, difference + half)


def difference_of_estimates(first: Estimate, second: Estimate) -> Estimate:
    """Estimate the difference of two independent means from their own symmetric intervals, of any kind.

        x̄ − ȳ ± √(h_x² + h_y²),  h = half the width of an interval

    Such as of a mean over seeds and a baseline's mean over episodes. Two intervals that overlap may still
    belong to means that differ.
    Source: Zou and Donner 2008, doi:10.1002/sim.3095.
    """
    difference = first.mean - second.mean
    half = math.hypot(first.high - first.mean, second.high - second.mean)
    return Estimate(difference, difference - half, difference + half)


def probability_of_improvement(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Estimate:
    """Estimate how probably a run of A scores higher than a run of B in the same task; ties count one half.

        P̂ = 1/K Σ_k 1/(N_k M_k) Σ_i Σ_j ([x_ki > y_kj] + ½ [x_ki = y_kj])

    pairs: the scores of A, (N_k,), and of B, (M_k,), in each of K tasks; N_k, M_k ≥ 2.
    The interval holds every P with |P̂ − P| ≤ z √V(P), where V is the variance of the Mann–Whitney estimate.
    Unlike a bootstrap, it has a width also where all runs of A are above all of B.
    Raises ShapeError for no task, or fewer than two scores.
    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.3; interval: Newcombe 2006, doi:10.1002/sim.2324,
    method 5.
    """
    if not pairs:
        raise ShapeError("pairs is empty, expected at least one task")
    for first, second in pairs:
        _require_two(first, "first")
        _require_two(second, "second")
    probability = float(np.mean([_share_above(first, second) for first, second in pairs]))
    sizes = [(len(first), len(second)) for first, second in pairs]

    def is_within(candidate: float) -> bool:
        variance = sum(_mann_whitney_variance(candidate, n, m) for n, m in sizes) / len(sizes) ** 2
        return abs(probability - candidate) <= _Z * math.sqrt(variance)

    return Estimate(
        probability, _last_within(is_within, probability, 0.0), _last_within(is_within, probability, 1.0)
    )


def effective_degrees(errors: Sequence[float], degrees: Sequence[int]) -> float:
    """Return the degrees of freedom of a sum of squared standard errors, each with its own.

    Source: Satterthwaite 1946, doi:10.2307/3002019.
    """
    if not any(errors):
        return float(sum(degrees))
    found = sum(errors) ** 2 / sum(error**2 / degree for error, degree in zip(errors, degrees, strict=True))
    return max(found, min(degrees))  # it is, but for rounding


def _share_above(first: np.ndarray, second: np.ndarray) -> float:
    above, equal = np.greater.outer(first, second), np.equal.outer(first, second)
    return float(above.mean() + equal.mean() / 2)


def _mann_whitney_variance(probability: float, n: int, m: int) -> float:
    """Return the variance of P̂ for n and m values, as if both were exponentially distributed."""
    more = (n + m) / 2 - 1
    spread = (1 - probability) / (2 - probability) + probability / (1 + probability)
    return probability * (1 - probability) * (1 + more * spread) / (n * m)


def _last_within(is_within: Callable[[float], bool], inside: float, outside: float) -> float:
    """Bisect for the end of an interval that holds `inside`; it may reach `outside`."""
    if is_within(outside):
        return outside
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_within(middle) else (inside, middle)
    return inside


def _require_two(values: np.ndarray, name: str) -> None:
    if len(values) < 2:
        raise ShapeError(f"{name} has length {len(values)}, expected at least 2: one alone has no spread")
