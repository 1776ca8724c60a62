"""Evaluate a policy: measures of whole episodes, with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core.capture.rollout import Policy, scripted_policy
from townlet_core.errors import InputError
from townlet_core.estimates import Estimate
from townlet_core.measures.table import estimate_measures, measure_episodes
from townlet_core.measures.tally import OUTCOMES, Events, Rows, Tally, Tick
from townlet_core.scenario.load import resolve_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Towns

TOWNS_AT_ONCE = 32


def evaluate(
    scenario: Scenario | str | Path,
    policy: Policy | str,
    episodes: int = 100,
    seed: int = 1000,
    after_episode: Callable[[], Any] = lambda: None,
) -> dict[str, Estimate]:
    """Play `episodes` episodes, each in a town of its own, and estimate every measure's mean over episodes.

    policy: a policy, `scripted` or `random`.
    The intervals cover the variation between episodes of this policy, not between training seeds. A measure
    that no episode defines, such as the reciprocity of episodes without a conflict, is NaN.
    Raises InputError if the scenario has no agents, and for fewer than two episodes.
    """
    return estimate_measures(evaluate_episodes(scenario, policy, episodes, seed, after_episode))


def evaluate_episodes(
    scenario: Scenario | str | Path,
    policy: Policy | str,
    episodes: int = 100,
    seed: int = 1000,
    after_episode: Callable[[], Any] = lambda: None,
) -> np.ndarray:
    """Play episodes as `evaluate` does, and return the measures of each: (episodes, measures), as MEASURES.

    The same seed gives other policies the same episodes, row by row. Raises as `evaluate` does.
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
        rows.append(measure_episodes(_play_episodes(Towns(scenario, count, seed, first_town=first), policy)))
        for _ in range(count):
            after_episode()
    return np.concatenate(rows)


def _play_episodes(towns: Towns, policy: Policy) -> Rows:
    """Play one episode in each town."""
    agents, over = towns.state.agents, np.zeros(len(towns.state.towns), bool)
    tally = Tally(*agents.shape)
    while not over.all():
        lived = agents["alive"] & ~over[:, None]
        needs = agents["needs"].copy()
        towns.step(policy.act(towns, towns.observe()).actions)
        outcomes = {name: agents[name] for name in OUTCOMES}
        tally.add_tick(Tick(lived, needs, agents["late_penalty"] > 0, outcomes), _events_of(towns, over))
        # A town whose episode ended early keeps running with the others, and no longer counts.
        ended = towns.state.towns["over"].copy()
        over |= ended
        if ended.any() and not over.all():
            towns.restart(ended)
    return tally.rows()


def _events_of(towns: Towns, over: np.ndarray) -> Events:
    """Return the events of the last tick, of episodes that are not over."""
    events = towns.state.events
    counts = np.where(over, 0, towns.state.towns["event_count"])
    happened = np.arange(events.shape[1])[: counts.max()] < counts[:, None]
    found = events[:, : happened.shape[1]][happened]
    ids = (found[name].astype(np.int64) for name in ("type", "reason", "actor", "rival"))
    return Events(happened.nonzero()[0], *ids)
