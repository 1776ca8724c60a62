"""Observations, actions and rewards as Gymnasium spaces, with the bounds of the table in vocab.py."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from townlet_core.scenario.model import Scenario
from townlet_core.vocab import ACTION_COUNT, AGENTS, MAP_SHAPE, Feature


def dict_space(scenario: Scenario, map_type: type) -> spaces.Dict:
    """Return the space of an agent's observation: `map` (4, 11, 11) of 0 and 1, `features` (F,) float32."""
    low, high = feature_bounds(scenario.features, len(scenario.agents))
    return spaces.Dict(
        {
            "map": spaces.Box(0, 1, MAP_SHAPE, map_type),
            "features": spaces.Box(low, high, dtype=np.float32),
        }
    )


def flat_space(scenario: Scenario) -> spaces.Box:
    """Return the space of an observation as one vector, (F + 484,) float32: features, then map."""
    return spaces.flatten_space(dict_space(scenario, np.float32))  # type: ignore[return-value]


def flat(maps: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Join observations to vectors of flat_space. maps: (..., 4, 11, 11), features: (..., F)."""
    tiles = maps.reshape(*features.shape[:-1], -1)
    return np.concatenate([features, tiles], axis=-1, dtype=np.float32)


def feature_bounds(features: Sequence[Feature], agents: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper bound of each feature, (F,) float32 each."""
    low = np.array([row.low for row in features], np.float32)
    high = np.array([agents if row.high == AGENTS else row.high for row in features], np.float32)
    return low, high


def action_mask_space() -> spaces.Box:
    """Return the space of an action mask: (9,) int8, 1 for possible actions, as `Discrete.sample` expects."""
    return spaces.Box(0, 1, (ACTION_COUNT,), np.int8)


def action_space_of_agent() -> spaces.Discrete:
    """Return the space of an agent's actions: the ids of vocab.ACTIONS."""
    return spaces.Discrete(ACTION_COUNT)


def reward_range(scenario: Scenario) -> tuple[float, float]:
    """Return the least and the largest reward of a tick."""
    return -scenario.rewards.clip_per_tick, scenario.rewards.clip_per_tick
