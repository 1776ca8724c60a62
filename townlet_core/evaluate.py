"""How good a policy is: whole episodes played, and what they brought, with intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from townlet_core.capture.frames import Policy
from townlet_core.errors import InputError
from townlet_core.rng import generator
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import NEEDS

TOWNS_AT_ONCE = 32
RESAMPLES = 2000
_BOOTSTRAP_STREAM = 0xB007
_CONFLICT_SUMS = ("conflict_events", "conflict_intensity")
_OUTCOMES = ("reward", "earned", "terminated", *_CONFLICT_SUMS, *NEEDS)  # of an agent's tick


class Estimate(NamedTuple):
    """A mean over episodes and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


# What is measured, once per episode. Rates are per 1,000 ticks of one agent.
MEASURES = {
    "return": "sum of rewards over the episode, mean over agents",
    "conflicts": "queue conflicts per 1,000 agent-ticks",
    "intensity": "their intensity per 1,000 agent-ticks",
    "need_hunger": "mean over agents and ticks, 1 is satisfied",
    "need_hygiene": "mean over agents and ticks",
    "need_energy": "mean over agents and ticks",
    "late_ticks": "penalised late ticks per agent",
    "wages": "money earned per agent",
    "faints": "faints per agent",
    "gini": "inequality of the agents' returns above the lowest one: 0 where all are alike",
}


def evaluate(
    scenario: Scenario,
    policy: Policy,
    episodes: int,
    seed: int,
    after_episode: Callable[[], Any] = lambda: None,
) -> dict[str, Estimate]:
    """Play `episodes` episodes, each in a town of its own, and estimate every measure.

    Raises InputError if nobody lives in the scenario.
    """
    if not scenario.agents:
        raise InputError(f"{scenario.name}: has no agents to evaluate")
    rows: list[np.ndarray] = []
    for first in range(0, episodes, TOWNS_AT_ONCE):
        count = min(TOWNS_AT_ONCE, episodes - first)
        rows.append(_play_episodes(Towns(scenario, count, seed, first_town=first), policy))
        for _ in range(count):
            after_episode()
    values = np.concatenate(rows)
    return {name: bootstrap(values[:, m], seed) for m, name in enumerate(MEASURES)}


def _play_episodes(towns: Towns, policy: Policy) -> np.ndarray:
    """Play one episode in each town. Returns (B, measures) float64, in the order of MEASURES."""
    agents, over = towns.state.agents, np.zeros(len(towns.state.towns), bool)
    sums = {name: np.zeros(agents.shape) for name in (*_OUTCOMES, "late", "lived")}
    while not over.all():
        lived = agents["alive"] & ~over[:, None]
        towns.step(policy.act(towns, towns.observe()).actions)
        sums["lived"] += lived
        sums["late"] += lived & (agents["late_penalty"] > 0)
        for name in _OUTCOMES:
            sums[name] += np.where(lived, agents[name], 0)
        # A town whose episode ended early is played on with the others, and no longer counted.
        ended = towns.state.towns["over"].copy()
        over |= ended
        if ended.any() and not over.all():
            towns.restart(ended)
    lived_ticks = sums["lived"].sum(1)
    per_thousand = {name: 1000 * sums[name].sum(1) / lived_ticks for name in _CONFLICT_SUMS}
    return np.stack(
        [
            sums["reward"].mean(1),
            *(per_thousand[name] for name in _CONFLICT_SUMS),
            *(sums[need].sum(1) / lived_ticks for need in NEEDS),
            sums["late"].mean(1),
            sums["earned"].mean(1),
            sums["terminated"].mean(1),
            np.array([gini(returns - returns.min()) for returns in sums["reward"]]),
        ],
        axis=1,
    )


def bootstrap(values: np.ndarray, seed: int) -> Estimate:
    """Estimate a mean with its 95 % percentile interval. values: (N,), one per episode.

    Source: Efron 1979, doi:10.1214/aos/1176344552.
    """
    rng = generator(seed, _BOOTSTRAP_STREAM)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high))


def gini(returns: np.ndarray) -> float:
    """Measure the inequality of non-negative amounts, (A,): 0 all alike, near 1 one has all."""
    total = returns.sum()
    if total <= 0:
        return 0.0
    differences = np.abs(returns[:, None] - returns[None, :]).sum()
    return float(differences / (2 * len(returns) * total))
