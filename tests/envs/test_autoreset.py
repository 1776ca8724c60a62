"""When a town whose episode is over begins the next one: in the same step, in the next, or when told to."""

import gymnasium
import numpy as np
import pytest
from env_towns import hungry_town, rows_wait
from gymnasium.vector import AutoresetMode

from townlet_core.envs import TownVectorEnv
from townlet_core.envs.stable_baselines3 import TownVecEnv
from townlet_core.errors import InputError
from townlet_core.vocab import NEEDS

HUNGER = NEEDS.index("hunger")


def begun(mode, num_towns=1, **words):
    env = TownVectorEnv(hungry_town(**words), num_towns, autoreset_mode=mode)
    env.reset(seed=1)
    return env


def progress(env, sights):
    return sights["features"][:, env.feature_names.index("episode_progress")].tolist()


def ticks(env):
    return env.towns.state.towns["tick"].tolist()


def test_the_mode_is_where_both_ecosystems_look_for_it():
    assert TownVectorEnv("queue_conflict").autoreset_mode is AutoresetMode.SAME_STEP
    for mode in AutoresetMode:
        env = TownVectorEnv("queue_conflict", autoreset_mode=mode)
        assert env.autoreset_mode is env.metadata["autoreset_mode"] is mode
        named = TownVectorEnv("queue_conflict", autoreset_mode=mode.name)
        assert (
            named.autoreset_mode is TownVectorEnv("queue_conflict", autoreset_mode=mode.value).autoreset_mode
        )


def test_in_the_next_step_the_last_sight_is_shown_before_the_next_episode():
    env = begun("NEXT_STEP", delay=None)
    *_, last = [rows_wait(env) for _ in range(12)]
    sights, rewards, _, truncations, infos = last
    assert truncations.tolist() == [True, False]
    assert progress(env, sights) == [1.0, 0.0]  # bo fainted long ago
    assert "final_obs" not in infos
    sights, rewards, terminations, truncations, infos = rows_wait(env)
    assert progress(env, sights) == [0.0, 0.0]
    for told in (rewards, infos["reward_terms"], terminations, truncations):
        assert not told.any()
    assert infos["alive"].tolist() == [True, True]
    assert env.towns.state.towns["episode"].tolist() == [1]
    assert rows_wait(env)[1].any()


def test_a_town_that_is_over_begins_again_while_the_others_play():
    town = hungry_town(ada=0.2, delay=None)
    env = TownVectorEnv(town, 2, autoreset_mode="NEXT_STEP")
    env.reset(seed=1)
    env.towns.state.agents["needs"][1, :, HUNGER] = 1.0
    for _ in range(4):
        *_, terminations, _, _ = rows_wait(env)
    assert terminations.tolist() == [True, True, False, False]
    assert ticks(env) == [4, 4]
    before = env.towns.state.agents["needs"][1, :, HUNGER].copy()
    rows_wait(env)
    assert ticks(env) == [0, 5]
    assert np.allclose(env.towns.state.agents["needs"][1, :, HUNGER], before - 0.05)
    assert env.towns.state.towns["actions"].tolist() == [8, 10]
    rows_wait(env)
    assert ticks(env) == [1, 6]


def test_episodes_are_the_same_in_every_mode():
    chance = np.random.default_rng(0).integers(0, 9, (24, 6))
    after, same, told = (TownVectorEnv("queue_conflict", 2, autoreset_mode=mode) for mode in AutoresetMode)
    rewards = {env: [] for env in (same, after, told)}
    for env in rewards:
        env.reset(seed=5)
        for actions in [*chance] * 7:  # two episodes of 80 ticks
            *_, over, _ = step = env.step(actions)
            rewards[env].append(step[1])
            if env is after and over.all():
                env.step(actions)
            if env is told and over.all():
                env.reset(options={"reset_mask": over})
    assert np.array_equal(rewards[same], rewards[told])
    assert np.array_equal(rewards[same], rewards[after])


def test_when_told_to_a_town_waits_for_its_reset():
    env = begun("DISABLED", num_towns=2, delay=None)
    *_, (_, _, terminations, truncations, _) = [rows_wait(env) for _ in range(12)]
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode is over in 2 of 2 towns; call reset"):
        rows_wait(env)
    mask = (terminations | truncations) & np.array([True, True, False, False])
    sights, infos = env.reset(options={"reset_mask": mask})
    assert ticks(env) == [0, 12]
    assert infos["alive"].tolist() == [True, True, True, False]
    assert progress(env, sights) == [0.0, 0.0, 1.0, 0.0]
    env.reset()
    assert env.towns.state.towns["episode"].tolist() == [2, 1]
    rows_wait(env)


def test_who_fainted_can_be_named_and_goes_on_as_the_town_does():
    env = begun("DISABLED")
    *_, (sights, _, terminations, _, _) = [rows_wait(env) for _ in range(4)]
    again, infos = env.reset(options={"reset_mask": terminations})
    assert ticks(env) == [4]
    assert infos["alive"].tolist() == [True, False]
    assert np.array_equal(again["features"], sights["features"])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ([True, False], r"expected a bool array of shape \(2,\)"),
        (np.array([1, 0]), r"expected a bool array of shape \(2,\)"),
        (np.array([False, False]), "with at least one True"),
        (np.array([True] * 3), r"expected a bool array of shape \(2,\)"),
        (np.array([True, False]), "found 1 row of a town that goes on"),
    ],
)
def test_a_mask_names_rows_that_ended(mask, message):
    env = begun("DISABLED")
    with pytest.raises(InputError, match=message):
        env.reset(options={"reset_mask": mask})


def test_a_part_cannot_be_reset_before_the_whole_nor_with_a_seed():
    env = TownVectorEnv(hungry_town(), 2)
    mask = np.array([True, True, False, False])
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode has not begun"):
        env.reset(options={"reset_mask": mask})
    env.reset()
    with pytest.raises(InputError, match="seed: found one beside"):
        env.reset(seed=1, options={"reset_mask": mask})
    env.reset(options={"reset_mask": mask})
    assert env.towns.state.towns["episode"].tolist() == [1, 0]


@pytest.mark.parametrize("mode", ["NEXT_STEP", AutoresetMode.DISABLED])
def test_where_newcomers_come_at_once_only_the_same_step_will_do(mode):
    with pytest.raises(InputError, match="expected SAME_STEP: in hungry a newcomer takes the row"):
        TownVectorEnv(hungry_town(delay=0), autoreset_mode=mode)


def test_stable_baselines3_has_it_in_the_same_step():
    with pytest.raises(InputError, match="autoreset_mode: found NEXT_STEP, expected SAME_STEP"):
        TownVecEnv("queue_conflict", autoreset_mode="NEXT_STEP")
    with pytest.raises(
        InputError, match="autoreset_mode: found 'never', expected one of: NEXT_STEP, SAME_STEP"
    ):
        TownVectorEnv("queue_conflict", autoreset_mode="never")
