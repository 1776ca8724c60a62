"""Gymnasium's vector wrappers work on towns, also those that ask for one array and another autoreset mode."""

import gymnasium.wrappers.vector as wrappers
import numpy as np
import pytest
from env_towns import hungry_town
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from townlet_core.envs import TownVectorEnv

ANYWHERE = {
    "ClipReward": lambda env: wrappers.ClipReward(env, -0.5, 0.5),
    "DictInfoToList": wrappers.DictInfoToList,
    "NormalizeReward": wrappers.NormalizeReward,
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "TransformReward": lambda env: wrappers.TransformReward(env, lambda reward: 2 * reward),
}
IN_THE_NEXT_STEP = {
    **ANYWHERE,
    "DtypeObservation": lambda env: wrappers.DtypeObservation(env, np.float64),
    "FlattenObservation": wrappers.FlattenObservation,
    "NormalizeObservation": wrappers.NormalizeObservation,
    "RescaleObservation": lambda env: wrappers.RescaleObservation(env, 0, 1),
    "ReshapeObservation": lambda env: wrappers.ReshapeObservation(env, (2, 287)),
    "TransformObservation": lambda env: wrappers.TransformObservation(env, lambda seen: seen),
}


def plays(env, steps=40):
    """Play at random over the ends of several episodes."""
    sight, _ = env.reset(seed=1)
    assert env.observation_space.contains(sight)
    env.action_space.seed(1)
    for _ in range(steps):
        sight, rewards, *_ = env.step(env.action_space.sample())
        assert env.observation_space.contains(sight)
        assert np.isfinite(rewards).all()
    env.close()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("wrapper", ANYWHERE)
def test_a_wrapper_of_rewards_and_infos_plays_as_it_is(wrapper):
    plays(ANYWHERE[wrapper](TownVectorEnv(hungry_town(), 2)))


@pytest.mark.parametrize("wrapper", IN_THE_NEXT_STEP)
def test_a_wrapper_of_flat_observations_plays_with_reset_in_the_next_step(wrapper):
    env = TownVectorEnv(hungry_town(), 2, flat=True, autoreset_mode="NEXT_STEP")
    plays(IN_THE_NEXT_STEP[wrapper](env))


def test_one_half_of_the_observations_can_be_filtered_out():
    env = TownVectorEnv(hungry_town(), 2, autoreset_mode="NEXT_STEP")
    plays(wrappers.FilterObservation(env, ["features"]))


def test_observations_become_tensors():
    env = wrappers.NumpyToTorch(TownVectorEnv(hungry_town(), 2))
    sight, _ = env.reset()
    assert sight["map"].shape == (4, 4, 11, 11)
    assert env.step(env.env.action_space.sample())[1].shape == (4,)


def test_flat_observations_are_what_gymnasium_makes_of_the_others():
    plain, flat = (
        TownVectorEnv(hungry_town(), 2, autoreset_mode="NEXT_STEP"),
        TownVectorEnv(hungry_town(), 2, flat=True),
    )
    flattened = wrappers.FlattenObservation(plain)
    assert flat.single_observation_space == flattened.single_observation_space
    assert flat.observation_space == batch_space(flat.single_observation_space, 4)
    assert np.array_equal(flat.reset(seed=3)[0], flattened.reset(seed=3)[0])
    assert np.array_equal(flat.step([1, 2, 3, 4])[0], flattened.step([1, 2, 3, 4])[0])


@pytest.mark.parametrize("mode", list(AutoresetMode)[:2])
def test_episodes_are_recorded_with_the_length_that_they_have(mode):
    env = wrappers.RecordEpisodeStatistics(TownVectorEnv(hungry_town(delay=None), autoreset_mode=mode))
    env.reset(seed=1)
    for _ in range(26):  # two episodes of 12 ticks, and at most a step between them
        env.step([0, 0])
    # The wrapper counts the eight steps that bo was out of town to his second life.
    assert list(env.length_queue) == [4, 12, 8 + 4, 12]


def test_videos_show_the_town_of_every_row(tmp_path):
    env = TownVectorEnv(hungry_town(), 2, "rgb_array")
    with pytest.warns(UserWarning, match="same-step"):
        recorder = wrappers.RecordVideo(env, str(tmp_path / "videos"), episode_trigger=lambda episode: True)
    plays(recorder, 14)
    assert {path.name for path in (tmp_path / "videos").iterdir()} == {
        "rl-video-episode-0.mp4",
        "rl-video-episode-1.mp4",
    }


def test_a_window_shows_the_town_of_every_row(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    plays(wrappers.HumanRendering(TownVectorEnv(hungry_town(), 2, "rgb_array")), 3)


def test_frames_are_one_per_row_and_drawn_once_per_town():
    env = TownVectorEnv(hungry_town(), 3, "rgb_array")
    env.reset()
    frames = env.render()
    assert len(frames) == env.num_envs == 6
    assert frames[0] is frames[1]
    assert frames[1] is not frames[2]
