"""One order for all environments: reset, then everything, and nothing after close."""

import gymnasium
import numpy as np
import pytest
from env_towns import ENVIRONMENTS, hungry_town

from townlet_core.envs import TownVectorEnv
from townlet_core.envs.stable_baselines3 import TownVecEnv
from townlet_core.errors import InputError

DOORS = [name for name in ENVIRONMENTS if name != "Towns"]


def calls(env):
    """Name everything that needs an episode, but for what only one of them has."""
    waits = dict.fromkeys(["ada", "bo"], 0) if hasattr(env, "possible_agents") else np.zeros(4, int)
    found = {"step": lambda: env.step(waits), "render": env.render, "state": env.state}
    if isinstance(env, TownVecEnv):
        found["action_masks"] = env.action_masks
    return found


@pytest.mark.parametrize("name", DOORS)
def test_nothing_happens_before_the_first_reset(name):
    env = ENVIRONMENTS[name](2)
    for call, method in calls(env).items():
        with pytest.raises(InputError, match=rf"the episode has not begun; call reset\(\) before {call}\(\)"):
            method()
        with pytest.raises(gymnasium.error.ResetNeeded):
            method()
    inside = getattr(env, "env", env)
    assert inside.towns.state.towns["tick"].tolist() == [0] * len(inside.towns.state.towns)
    env.reset()
    assert inside.towns.state.towns["episode"][0] == 0
    assert all(method() is not None for method in calls(env).values())


@pytest.mark.parametrize("name", DOORS)
def test_nothing_happens_after_close(name):
    env = ENVIRONMENTS[name](2)
    env.reset()
    env.close()
    env.close()
    for method in (env.reset, *calls(env).values()):
        with pytest.raises(InputError, match="the environment is closed; make another one"):
            method()
        with pytest.raises(gymnasium.error.ClosedEnvironmentError):
            method()


@pytest.mark.parametrize("name", DOORS)
def test_every_reset_without_a_seed_begins_the_next_episode(name):
    env = ENVIRONMENTS[name](2)
    inside = getattr(env, "env", env)
    for episode in range(3):
        env.reset()
        assert inside.towns.state.towns["episode"][0] == episode
        assert inside.towns.state.towns["tick"][0] == 0


def test_a_step_waits_for_its_actions():
    env = TownVecEnv(hungry_town())
    env.reset()
    with pytest.raises(gymnasium.error.ResetNeeded, match="call step_async"):
        env.step_wait()


def test_a_refused_step_changes_nothing():
    env, twin = TownVectorEnv("queue_conflict"), TownVectorEnv("queue_conflict")
    env.reset(seed=1)
    twin.reset(seed=1)
    with pytest.raises(InputError):
        env.step([0, 0, 0.5])
    assert np.array_equal(env.step([1, 2, 3])[0]["features"], twin.step([1, 2, 3])[0]["features"])
