"""What agents see, do and get, as Gymnasium spaces. The ranges are those of docs/data.md#observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from townlet_core.scenario.model import Scenario
from townlet_core.vocab import ACTION_COUNT, AGENTS, MAP_SHAPE, Feature


def sight_space(scenario: Scenario, map_type: type) -> spaces.Dict:
    """Describe what one agent sees: `map` (4, 11, 11) of 0 and 1, and `features` (F,) float32."""
    low, high = feature_bounds(scenario.features, len(scenario.agents))
    return spaces.Dict(
        {
            "map": spaces.Box(0, 1, MAP_SHAPE, map_type),
            "features": spaces.Box(low, high, dtype=np.float32),
        }
    )


def flat_space(scenario: Scenario) -> spaces.Box:
    """Describe what one agent sees as one vector, (F + 484,) float32: the features, then the map."""
    return spaces.flatten_space(sight_space(scenario, np.float32))  # type: ignore[return-value]


def flat(maps: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Write sights as vectors of flat_space. maps: (..., 4, 11, 11), features: (..., F)."""
    tiles = maps.reshape(*features.shape[:-1], -1)
    return np.concatenate([features, tiles], axis=-1, dtype=np.float32)


def feature_bounds(features: Sequence[Feature], agents: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper bound of each feature, (F,) float32 each."""
    low = np.array([row.low for row in features], np.float32)
    high = np.array([agents if row.high == AGENTS else row.high for row in features], np.float32)
    return low, high


def mask_space() -> spaces.Box:
    """Describe an action mask: (9,) int8, 1 where the action is possible, as `Discrete.sample` takes it."""
    return spaces.Box(0, 1, (ACTION_COUNT,), np.int8)


def choice_space() -> spaces.Discrete:
    """Describe what one agent can do: the action ids, in the order of vocab.ACTIONS."""
    return spaces.Discrete(ACTION_COUNT)


def reward_range(scenario: Scenario) -> tuple[float, float]:
    """Return the least and the largest reward of a tick."""
    return -scenario.rewards.clip_per_tick, scenario.rewards.clip_per_tick
