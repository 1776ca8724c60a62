"""Evaluate a policy: measures of whole episodes, with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core.capture.rollout import Policy, scripted_policy
from townlet_core.errors import InputError
from townlet_core.estimates import Estimate, estimate_mean
from townlet_core.scenario.load import resolve_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import NEEDS

TOWNS_AT_ONCE = 32  # episodes of a block; a network's output may depend on it in its last bits
_CONFLICT_SUMS = ("conflict_events", "conflict_intensity")
_OUTCOMES = ("reward", "earned", "terminated", *_CONFLICT_SUMS)  # per agent and tick

# What is kept of an episode: a sum over its ticks for every agent that lived, from which measures follow.
SUMS = (*_OUTCOMES, *NEEDS, "late", "lived")
Rows = dict[str, np.ndarray]  # of each of SUMS (episodes, A) float64

# What is measured, once per episode. Rates are per 1,000 agent steps: ticks of one agent in town.
# An agent here is a slot of the scenario: a newcomer's rewards count with those of the agent it replaced.
MEASURES = {
    "return": "sum of rewards over the episode, mean over agents",
    "return_min": "return of the worst-off agent of the episode",
    "return_range": "highest return of an agent less the lowest",
    "conflicts": "queue conflicts per 1,000 agent steps",
    "intensity": "their intensity per 1,000 agent steps",
    **{f"need_{need}": "mean satisfaction over agent steps, 0 to 1" for need in NEEDS},
    "late_ticks": "penalised late ticks per agent",
    "wages": "money earned per agent",
    "faints": "faints per agent",
    "gini_wages": "Gini coefficient of the agents' wages: 0 is equal, also where nobody earns anything",
    "gini_needs": "Gini coefficient of the agents' mean satisfaction of all needs",
}


def evaluate(
    scenario: Scenario | str | Path,
    policy: Policy | str,
    episodes: int = 100,
    seed: int = 1000,
    after_episode: Callable[[], Any] = lambda: None,
) -> dict[str, Estimate]:
    """Play `episodes` episodes, each in a town of its own, and estimate every measure's mean over episodes.

    policy: a policy, `scripted` or `random`.
    The intervals cover the variation between episodes of this policy, not between training seeds.
    Raises InputError if the scenario has no agents, and for fewer than two episodes.
    """
    scenario = resolve_scenario(scenario)
    policy = scripted_policy(policy, scenario) if isinstance(policy, str) else policy
    check_evaluation(scenario, episodes)
    blocks = (
        play_block(scenario, policy, episodes, seed, block, after_episode)
        for block in range(count_blocks(episodes))
    )
    return estimate_measures([measure_episodes(rows) for rows in blocks])


def check_evaluation(scenario: Scenario, episodes: int) -> None:
    """Raise InputError if the scenario has no agents, and for fewer than two episodes."""
    if episodes < 2:
        raise InputError(f"episodes: {episodes}, expected at least 2, for an interval")
    if not scenario.agents:
        raise InputError(f"{scenario.name}: has no agents to evaluate")


def count_blocks(episodes: int) -> int:
    """Return how many blocks of episodes there are."""
    return -(-episodes // TOWNS_AT_ONCE)


def episodes_of(episodes: int, block: int) -> range:
    """Return the numbers of a block's episodes, which are those of their towns."""
    first = block * TOWNS_AT_ONCE
    return range(first, min(first + TOWNS_AT_ONCE, episodes))


def play_block(
    scenario: Scenario,
    policy: Policy,
    episodes: int,
    seed: int,
    block: int,
    after_episode: Callable[[], Any] = lambda: None,
) -> Rows:
    """Play the episodes of a block, of the `episodes` of an evaluation; equal arguments give equal rows."""
    numbers = episodes_of(episodes, block)
    rows = _play_episodes(Towns(scenario, len(numbers), seed, first_town=numbers.start), policy)
    for _ in numbers:
        after_episode()
    return rows


def _play_episodes(towns: Towns, policy: Policy) -> Rows:
    """Play one episode in each town."""
    agents, over = towns.state.agents, np.zeros(len(towns.state.towns), bool)
    sums = {name: np.zeros(agents.shape) for name in SUMS}
    while not over.all():
        lived = agents["alive"] & ~over[:, None]
        towns.step(policy.act(towns, towns.observe()).actions)
        sums["lived"] += lived
        sums["late"] += lived & (agents["late_penalty"] > 0)
        for name in _OUTCOMES:
            sums[name] += np.where(lived, agents[name], 0)
        for n, need in enumerate(NEEDS):
            sums[need] += np.where(lived, agents["needs"][..., n], 0)
        # A town whose episode ended early keeps running with the others, and no longer counts.
        ended = towns.state.towns["over"].copy()
        over |= ended
        if ended.any() and not over.all():
            towns.restart(ended)
    return sums


def measure_episodes(sums: Rows) -> np.ndarray:
    """Compute the measures of a block's episodes, (episodes, measures) float64 in the order of MEASURES."""
    returns = sums["reward"]
    lived_ticks = sums["lived"].sum(1)
    satisfaction = sum(sums[need] for need in NEEDS) / (len(NEEDS) * np.maximum(sums["lived"], 1))
    per_thousand = {name: 1000 * sums[name].sum(1) / lived_ticks for name in _CONFLICT_SUMS}
    return np.stack(
        [
            returns.mean(1),
            returns.min(1),
            np.ptp(returns, axis=1),
            *(per_thousand[name] for name in _CONFLICT_SUMS),
            *(sums[need].sum(1) / lived_ticks for need in NEEDS),
            sums["late"].mean(1),
            sums["earned"].mean(1),
            sums["terminated"].mean(1),
            np.array([gini(wages) for wages in sums["earned"]]),
            np.array([gini(means) for means in satisfaction]),
        ],
        axis=1,
    )


def estimate_measures(values: Sequence[np.ndarray]) -> dict[str, Estimate]:
    """Estimate every measure's mean over episodes. values: (episodes, measures) of each block, in order."""
    together = np.concatenate(values)
    return {name: estimate_mean(together[:, m]) for m, name in enumerate(MEASURES)}


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
