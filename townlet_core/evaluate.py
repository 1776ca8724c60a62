"""Evaluate a policy: measures of whole episodes, with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable
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

TOWNS_AT_ONCE = 32
_CONFLICT_SUMS = ("conflict_events", "conflict_intensity")
_OUTCOMES = ("reward", "earned", "terminated", *_CONFLICT_SUMS)  # per agent and tick

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
    if episodes < 2:
        raise InputError(f"episodes: {episodes}, expected at least 2, for an interval")
    scenario = resolve_scenario(scenario)
    policy = scripted_policy(policy, scenario) if isinstance(policy, str) else policy
    if not scenario.agents:
        raise InputError(f"{scenario.name}: has no agents to evaluate")
    rows: list[np.ndarray] = []
    for first in range(0, episodes, TOWNS_AT_ONCE):
        count = min(TOWNS_AT_ONCE, episodes - first)
        rows.append(_play_episodes(Towns(scenario, count, seed, first_town=first), policy))
        for _ in range(count):
            after_episode()
    values = np.concatenate(rows)
    return {name: estimate_mean(values[:, m]) for m, name in enumerate(MEASURES)}


def _play_episodes(towns: Towns, policy: Policy) -> np.ndarray:
    """Play one episode in each town. Returns (B, measures) float64, in the order of MEASURES."""
    agents, over = towns.state.agents, np.zeros(len(towns.state.towns), bool)
    sums = {name: np.zeros(agents.shape) for name in (*_OUTCOMES, *NEEDS, "late", "lived")}
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
    return _measures(sums)


def _measures(sums: dict[str, np.ndarray]) -> np.ndarray:
    """Turn sums over an episode, (B, A) each, into (B, measures)."""
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
