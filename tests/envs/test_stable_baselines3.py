"""Stable-Baselines3 plays and trains on towns."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from env_towns import hungry_town
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from townlet_core.envs import TownVectorEnv
from townlet_core.envs.stable_baselines3 import TownVecEnv
from townlet_core.errors import InputError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "stable_baselines3_queue_conflict.py"


def play(env, steps):
    return [env.step(np.zeros(env.num_envs, int)) for _ in range(steps)]


def test_an_end_by_time_is_told_apart_from_a_faint():
    env = TownVecEnv(hungry_town(delay=None))
    env.reset()
    *_, (_, _, dones, infos) = play(env, 4)
    assert dones.tolist() == [False, True]
    assert infos[0] == {}
    assert infos[1]["TimeLimit.truncated"] is False
    *_, (_, _, dones, infos) = play(env, 8)
    assert dones.tolist() == [True, False]
    assert infos[0]["TimeLimit.truncated"] is True
    assert infos[0]["terminal_observation"]["map"].shape == (4, 11, 11)


def test_it_says_what_the_vector_environment_says():
    env, plain = TownVecEnv("queue_conflict", 2), TownVectorEnv("queue_conflict", 2)
    env.seed(3)
    assert np.array_equal(env.reset()["features"], plain.reset(seed=3)[0]["features"])
    for _ in range(100):
        sights, rewards, dones, _ = env.step(np.full(6, 2))
        expected, paid, terminations, truncations, infos = plain.step(np.full(6, 2))
        assert np.array_equal(sights["map"], expected["map"])
        assert np.array_equal(rewards, paid.astype(np.float32))
        assert np.array_equal(dones, terminations | truncations)
        assert np.array_equal(np.stack(env.env_method("action_masks")), infos["action_mask"] == 1)


def test_rows_answer_for_the_environment_inside():
    env = TownVecEnv("queue_conflict", 2)
    assert env.get_attr("reward_range", [0, 5]) == [(-2.0, 2.0)] * 2  # clip_per_tick, both ways
    assert env.has_attr("action_masks")
    assert not env.has_attr("no_such_thing")
    with pytest.raises(AttributeError, match=r"only \('action_masks', 'render'\)"):
        env.env_method("jump")


def test_a_learner_must_not_share_arrays_with_the_towns():
    with pytest.raises(InputError, match="copy: found False, expected True"):
        TownVecEnv("queue_conflict", copy=False)


def test_ppo_learns_from_towns_in_which_people_faint():
    env = VecMonitor(TownVecEnv(hungry_town(), 4, map_type="uint8"))
    model = PPO("MultiInputPolicy", env, n_steps=16, batch_size=32, n_epochs=1, device="cpu", seed=0)
    model.learn(256)
    lengths = [episode["l"] for episode in model.ep_info_buffer]
    assert model.num_timesteps == 256
    assert {4, 12} <= set(lengths)


def test_the_example_trains_and_prints_the_comparison(monkeypatch, capsys):
    few = ["--steps", "960", "--towns", "2", "--episodes", "3"]
    monkeypatch.setattr("sys.argv", [EXAMPLE.name, *few])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [
        "queue_conflict:",
        "random",
        "scripted",
        "before",
        "after",
    ]
