"""The state of a town, for centralised critics: what its numbers are called, and that they say what is."""

import numpy as np
import pytest
from env_towns import everybody_waits, hungry_town, rows_wait

from townlet_core.envs import TownVectorEnv, parallel_env
from townlet_core.scenario.catalogue import bundled_scenarios


def named(env, state):
    return dict(zip(env.state_names, state.tolist(), strict=True))


def test_it_says_where_agents_are_and_what_they_see_of_themselves():
    env = parallel_env(hungry_town(delay=None))
    env.reset()
    for _ in range(3):
        everybody_waits(env)
    state = named(env, env.state())
    assert [state[f"bo/{name}"] for name in ("alive", "x", "y")] == [1.0, 1.0, 1.0]
    assert state["bo/need_hunger"] == pytest.approx(0.05)
    everybody_waits(env)
    state = named(env, env.state())
    assert {state[name] for name in env.state_names if name.startswith("bo/")} == {0.0}
    assert state["ada/need_hunger"] == pytest.approx(0.7)


def test_it_says_who_uses_what_and_who_is_cross_with_whom():
    env = TownVectorEnv("queue_conflict", 2)
    env.reset(seed=1)
    towns = env.towns.state
    towns.objects["user"][1, 0], towns.objects["line_length"][1, 0] = 2, 1
    towns.rivalry[1, 0, 2] = towns.rivalry[1, 2, 0] = 0.5
    first, second = (named(env, state) for state in env.state())
    place = env.scenario.objects[0].id
    assert [second[f"{place}/{name}"] for name in ("in_use", "reserved", "line")] == pytest.approx(
        [1, 0, 1 / 3]
    )
    assert (second["anna/cara/rivalry"], first["anna/cara/rivalry"]) == (0.5, 0.0)


def test_both_environments_tell_the_same_state():
    one, many = parallel_env("queue_conflict"), TownVectorEnv("queue_conflict", 3)
    one.reset(seed=4)
    many.reset(seed=4)
    for _ in range(10):
        assert np.array_equal(one.state(), many.state()[0])
        one.step(dict.fromkeys(one.agents, 2))
        many.step(np.full(9, 2))
    assert one.state_space == many.state_space
    assert one.state_names == many.state_names


@pytest.mark.parametrize("scenario", list(bundled_scenarios()))
def test_random_play_stays_inside_the_space(scenario):
    env, chance = TownVectorEnv(scenario, 2), np.random.default_rng(0)
    env.reset(seed=2)
    assert len(env.state_names) == len(set(env.state_names)) == env.state_space.shape[0]
    for _ in range(100):
        assert all(env.state_space.contains(state) for state in env.state())
        env.step(chance.integers(0, 9, env.num_envs))


def test_asking_for_it_changes_nothing_that_was_returned():
    env = TownVectorEnv("queue_conflict", copy=False)
    sights, _ = env.reset(seed=1)
    before = sights["features"].copy()
    env.state()
    assert np.array_equal(sights["features"], before)
    rows_wait(env)
