"""Ranges of the spaces are those of docs/data.md, and play stays inside them."""

import re
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference.scenarios import random_scenario

from townlet_core.envs import TownVectorEnv
from townlet_core.envs.spaces import feature_bounds
from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.vocab import features_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()


def documented_range(name):
    """Return the range that the table of features gives for a feature of the built-in kinds."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S+?)(?:…| |, )", PAGE, flags=re.M))
    ends = dict(re.findall(r"^\| `(\w+)` \| \S+?(?:…|, )(\S+) \|", PAGE, flags=re.M))
    row = re.sub(r"^neighbour\d", "neighbourN", name)
    row = row if row in ends else re.sub(r"^[a-z]+(?=_)", "KIND", row)
    return float(rows[row].replace("−", "-").rstrip(",")), ends[row]


@pytest.mark.parametrize("row", features_of(), ids=lambda row: row.name)
def test_a_feature_has_the_range_of_the_table(row):
    least, most = documented_range(row.name)
    (low,), (high,) = feature_bounds((row,), agents=5)
    assert (low, high) == (least, 5 if most == "agents" else float(most))


def stays_inside(env, steps, seed):
    """Play at random, impossible actions included, and look at every observation, mask and reward."""
    chance = np.random.default_rng(seed)
    sights, infos = env.reset(seed=seed)
    least, most = env.reward_range
    for _ in range(steps):
        assert env.observation_space.contains(sights)
        assert infos["action_mask"][:, 0].all()
        sights, rewards, _, _, infos = env.step(chance.integers(-1, 11, env.num_envs))
        assert (rewards >= least).all()
        assert (rewards <= most).all()
        for last in filter(None, infos.get("final_obs", ())):
            assert env.single_observation_space.contains(last)


@pytest.mark.parametrize("map_type", ["uint8", "float32"])
@pytest.mark.parametrize("scenario", list(bundled_scenarios()))
def test_random_play_stays_inside_the_spaces(scenario, map_type):
    stays_inside(TownVectorEnv(scenario, 4, map_type=map_type), 400, seed=3)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_random_play_in_random_towns_stays_inside_the_spaces(seed):
    # They do things that no file may, such as meals at a workplace.
    with patch("townlet_core.scenario.load.check_scenario", return_value=[]):
        towns = TownVectorEnv(random_scenario(seed), 2)
    stays_inside(towns, 60, seed)
