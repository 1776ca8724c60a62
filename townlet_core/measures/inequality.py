"""Inequality of amounts, and the order and reciprocity of contests between agents."""

from __future__ import annotations

import numpy as np


def gini(amounts: np.ndarray) -> float:
    """Measure the inequality of non-negative amounts, (A,): 0 if all are equal, 1 − 1/A if one has all.

        G = Σ_i Σ_j |x_i − x_j| / (2 A Σ_i x_i)

    Undefined for returns, which may be negative. Source: Gini 1912; Sen 1973, On Economic Inequality.
    """
    total = amounts.sum()
    if total <= 0:
        return 0.0
    differences = np.abs(amounts[:, None] - amounts[None, :]).sum()
    return float(differences / (2 * len(amounts) * total))


def dominated(contests: np.ndarray) -> np.ndarray:
    """Count the agents that each agent dominates: those of whom it won more contests than it lost.

    contests: (…, A, A); contests[i, j] is how often i lost to j. As many won as lost count one half, also
    where there was none. Returns (…, A).
    """
    won, lost = np.swapaxes(contests, -1, -2), contests
    others = ~np.eye(contests.shape[-1], dtype=bool)
    return ((won > lost) + 0.5 * ((won == lost) & others)).sum(-1)


def hierarchy(numbers: np.ndarray) -> np.ndarray:
    """Return Landau's linearity: 1 if the agents form a pecking order, 0 if none dominates another.

        h = 12 / (A³ − A) Σ_a (V_a − (A − 1) / 2)²

    numbers: (…, A), V, of `dominated`. NaN for one agent.
    Source: Landau 1951, doi:10.1007/BF02478336.
    """
    agents = numbers.shape[-1]
    if agents < 2:
        return np.full(numbers.shape[:-1], np.nan)
    return 12 / (agents**3 - agents) * ((numbers - (agents - 1) / 2) ** 2).sum(-1)


def returned(contests: np.ndarray) -> np.ndarray:
    """Count the lost contests of each agent that the winner lost to it as well, (…, A).

        Σ_j min(w_ij, w_ji)

    contests: as of `dominated`. Their share of all contests is the reciprocity of a weighted network.
    Source: Squartini et al. 2013, doi:10.1038/srep02729.
    """
    return np.minimum(contests, np.swapaxes(contests, -1, -2)).sum(-1)
