"""SuperSuit, TorchRL, sb3-contrib, PettingZoo's and Stable-Baselines3's wrappers take towns as they are."""

import numpy as np
import pytest
import supersuit
from env_towns import hungry_town
from pettingzoo.test import parallel_api_test
from pettingzoo.test.state_test import test_state as check_state
from pettingzoo.test.state_test import test_state_space as check_state_space
from pettingzoo.utils import aec_to_parallel, parallel_to_aec
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import (
    VecCheckNan,
    VecExtractDictObs,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecVideoRecorder,
)
from torchrl.envs.libs.gym import GymWrapper
from torchrl.envs.libs.pettingzoo import PettingZooWrapper
from torchrl.envs.utils import MarlGroupMapType, check_env_specs

from townlet_core.envs import TownVectorEnv, parallel_env
from townlet_core.envs.stable_baselines3 import ModelPolicy, TownVecEnv
from townlet_core.evaluate import evaluate
from townlet_core.simulation.towns import Towns

TOGETHER = MarlGroupMapType.ALL_IN_ONE_GROUP
ANY_SIGHT = {
    "clip_reward": supersuit.clip_reward_v0,
    "delay_observations": lambda env: supersuit.delay_observations_v0(env, 2),
    "frame_skip": lambda env: supersuit.frame_skip_v0(env, 3),
    "frame_skip at random": lambda env: supersuit.frame_skip_v0(env, (1, 3)),
    "sticky_actions": lambda env: supersuit.sticky_actions_v0(env, 0.5),
}
FLAT_SIGHT = {
    **ANY_SIGHT,
    "agent_indicator": supersuit.agent_indicator_v0,
    "black_death": supersuit.black_death_v3,
    "dtype": lambda env: supersuit.dtype_v0(env, np.float16),
    "frame_stack": lambda env: supersuit.frame_stack_v1(env, 3),
    "max_observation": lambda env: supersuit.max_observation_v0(env, 2),
    "normalize_obs": supersuit.normalize_obs_v0,
    "pad_observations": supersuit.pad_observations_v0,
}


@pytest.mark.parametrize(
    ("wrapper", "flat"), [*((name, False) for name in ANY_SIGHT), *((name, True) for name in FLAT_SIGHT)]
)
def test_a_wrapper_of_supersuit_plays(wrapper, flat):
    env = FLAT_SIGHT[wrapper](parallel_env(hungry_town(), newcomers=False, flat=flat))
    for _ in range(2):
        sights, _ = env.reset(seed=1)
        while env.agents:
            assert set(env.agents) <= set(sights)
            assert not flat or all(sights[name].shape == env.observation_space(name).shape for name in sights)
            sights, *_ = env.step({name: env.action_space(name).sample() for name in env.agents})


def test_frames_are_skipped_with_the_same_chance_for_the_same_seed():
    first, second = (supersuit.frame_skip_v0(parallel_env("queue_conflict"), (1, 5)) for _ in range(2))
    for env in (first, second):
        env.reset(seed=3)
        for _ in range(6):
            env.step(dict.fromkeys(env.agents, 2))
    assert first.unwrapped.towns.state.towns["tick"] == second.unwrapped.towns.state.towns["tick"] != 6


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("has_state", [False, True])
def test_torchrl_plays_the_parallel_environment(flat, has_state):
    env = PettingZooWrapper(
        parallel_env("queue_conflict", newcomers=False, flat=flat), group_map=TOGETHER, return_state=has_state
    )
    check_env_specs(env)
    played = env.rollout(90, break_when_any_done=False)
    assert played["next", "done"].sum() == 1
    assert played["agents", "action_mask"].shape == (90, 3, 9)
    assert played["agents", "info", "reward_terms"].shape == (90, 3, 8)
    if has_state:
        assert played["state"].shape == (90, *env.state_space.shape)
        assert played["next", "state"][:-1].tolist()[5] == played["state"][1:].tolist()[5]


def test_torchrl_plays_on_while_somebody_is_in_town():
    town = parallel_env(hungry_town(), newcomers=False, flat=True)
    env = PettingZooWrapper(town, group_map=TOGETHER, use_mask=True, done_on_any=False)
    played = env.rollout(12)
    assert played["next", "agents", "mask"].sum(dim=0).tolist() == [11, 3]  # of those who act next


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("mode", ["SAME_STEP", "DISABLED"])
def test_torchrl_plays_the_vector_environment(flat, mode):
    env = GymWrapper(TownVectorEnv("queue_conflict", 2, flat=flat, autoreset_mode=mode))
    check_env_specs(env)
    played = env.rollout(90, break_when_any_done=False)
    assert played["next", "truncated"].sum(dim=(1, 2)).tolist() == [1] * 6


def test_pettingzoo_checks_state_and_turns():
    env = parallel_to_aec(parallel_env("queue_conflict"))
    env.reset(seed=0)
    check_state_space(env)
    check_state(env, num_cycles=30)
    parallel_api_test(aec_to_parallel(parallel_to_aec(parallel_env("queue_conflict", flat=True))), 90)


@pytest.mark.parametrize("flat", [False, True])
def test_maskable_ppo_never_does_what_is_impossible(flat):
    towns = TownVecEnv("queue_conflict", 2, flat=flat)
    policy = "MlpPolicy" if flat else "MultiInputPolicy"
    model = MaskablePPO(policy, towns, n_steps=16, batch_size=48, n_epochs=1, device="cpu", seed=0)
    model.learn(192)
    state = towns.env.towns.state.towns
    assert (state["actions"].sum(), state["invalid_actions"].sum()) == (192, 0)
    towns = Towns(towns.env.scenario, 2)
    for _ in range(20):
        towns.step(ModelPolicy(model).act(towns, towns.observe()).actions)
    assert not towns.state.towns["invalid_actions"].any()


def test_ppo_learns_from_flat_observations_and_is_evaluated_on_them():
    towns = TownVecEnv("queue_conflict", 2, flat=True)
    model = PPO("MlpPolicy", towns, n_steps=16, batch_size=48, n_epochs=1, device="cpu", seed=0).learn(96)
    assert evaluate(towns.env.scenario, ModelPolicy(model), 2, seed=1)["return"].mean < 0


@pytest.mark.parametrize("flat", [False, True])
def test_wrappers_of_stable_baselines3_play(flat, tmp_path):
    env = TownVecEnv(hungry_town(), 2, flat=flat, render_mode="rgb_array")
    for wrapper in (VecMonitor, VecCheckNan, lambda env: VecFrameStack(env, 2)):
        env = wrapper(env)
    env = VecNormalize(env, norm_obs_keys=None if flat else ["features"])
    env = VecVideoRecorder(env, str(tmp_path), record_video_trigger=lambda step: step == 0, video_length=5)
    env = env if flat else VecExtractDictObs(env, "features")
    env.reset()
    for _ in range(14):
        sight, *_ = env.step(np.zeros(env.num_envs, int))
        assert sight.shape == (4, *env.observation_space.shape)
    assert list(tmp_path.glob("*.mp4"))
    env.close()


def test_towns_of_stable_baselines3_are_drawn():
    seen = TownVecEnv("queue_conflict", 2, render_mode="rgb_array")
    text = TownVecEnv("queue_conflict", 2, render_mode="ansi")
    for env in (seen, text):
        env.reset()
    assert seen.render().shape[2] == 3
    assert len(seen.get_images()) == 2
    assert text.render().count("tick 0, ") == 2
    assert text.env_method("render", indices=[3])[0].startswith("tick 0, ")
