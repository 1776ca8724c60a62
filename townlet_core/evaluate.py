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

TOWNS_AT_ONCE = 32  # episodes of a block; a network's output may depend on it in its last bits


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
    scenario = resolve_scenario(scenario)
    policy = scripted_policy(policy, scenario) if isinstance(policy, str) else policy
    check_evaluation(scenario, episodes)
    blocks = (
        play_block(scenario, policy, episodes, seed, block, after_episode)
        for block in range(count_blocks(episodes))
    )
    return np.concatenate([measure_episodes(rows) for rows in blocks])


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
