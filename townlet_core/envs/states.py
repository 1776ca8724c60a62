"""The state of a whole town as one vector, for centralised critics (docs/environments.md#state)."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from townlet_core.envs.spaces import feature_bounds
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.state import NOBODY
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import NEIGHBOUR_FEATURES, STOCK_SCALE

OF_AGENTS = ("alive", "x", "y")  # before the agent's features
OF_OBJECTS = ("in_use", "reserved", "line", "stock", "out_of_order")
OF_PAIRS = ("rivalry", "trust", "familiarity")  # with the bounds of a neighbour's features


def state_names(scenario: Scenario) -> tuple[str, ...]:
    """Name the entries of the state: agents, objects, then pairs of agents, in the scenario's order."""
    people = [agent.id for agent in scenario.agents]
    return (
        *(f"{agent}/{name}" for agent in people for name in (*OF_AGENTS, *scenario.feature_names)),
        *(f"{thing.id}/{name}" for thing in scenario.objects for name in OF_OBJECTS),
        *(f"{a}/{b}/{name}" for i, a in enumerate(people) for b in people[i + 1 :] for name in OF_PAIRS),
    )


def state_space(scenario: Scenario) -> spaces.Box:
    """Return the space of one town's state, (S,) float32."""
    agents, objects = len(scenario.agents), len(scenario.objects)
    pairs = agents * (agents - 1) // 2
    of_pairs = [row for name in OF_PAIRS for row in NEIGHBOUR_FEATURES if row.name == name]
    low, high = (
        np.concatenate(
            [
                *[np.full(len(OF_AGENTS), bound), features] * agents,
                np.full(len(OF_OBJECTS) * objects, bound),
                np.tile(of_pair, pairs),
            ],
            dtype=np.float32,
        )
        for bound, features, of_pair in zip(
            (0, 1), feature_bounds(scenario.features, agents), feature_bounds(of_pairs, agents), strict=True
        )
    )
    return spaces.Box(low, high, dtype=np.float32)


def town_states(towns: Towns) -> np.ndarray:
    """Return the state of every town, (B, S) float32; all 0 for an agent out of town."""
    state, features = towns.state, towns.observe().features
    agents, things = state.agents, state.objects
    alive = agents["alive"]
    width, height = towns.scenario.size
    people = np.concatenate(
        [
            alive[..., None],
            (alive * agents["x"] / max(width - 1, 1))[..., None],
            (alive * agents["y"] / max(height - 1, 1))[..., None],
            features,
        ],
        axis=2,
    )
    stock = np.maximum(things["stock"], 0)
    objects = np.stack(
        [
            things["user"] != NOBODY,
            things["holder"] != NOBODY,
            things["line_length"] / alive.shape[1],
            stock / (stock + STOCK_SCALE),
            things["out_of_order"],
        ],
        axis=2,
    )
    first, second = np.triu_indices(alive.shape[1], 1)
    pairs = np.stack([getattr(state, name)[:, first, second] for name in OF_PAIRS], axis=2)
    blocks = (block.reshape(len(alive), -1) for block in (people, objects, pairs))
    return np.concatenate(list(blocks), axis=1).astype(np.float32)
