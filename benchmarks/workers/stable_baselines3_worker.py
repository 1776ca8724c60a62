"""Stable-Baselines3: PPO updates on given data, and whole cycles in a world that does nothing."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from serve import rate, serve
from stable_baselines3 import PPO
from stable_baselines3.common.logger import configure
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv

MAP, FEATURES, ACTIONS, WIDTH = 484, 64, 9, 256
LANES = 256  # environments side by side, as many as agents in benchmarks/ppo.py
LEARNERS: dict[int, PPO] = {}  # by transitions


class Idle(gymnasium.Env):
    """An environment that is never played: it only says what is seen and done."""

    observation_space = gymnasium.spaces.Box(-10.0, 10.0, (MAP + FEATURES,), np.float32)
    action_space = gymnasium.spaces.Discrete(ACTIONS)


class Nothing(VecEnv):
    """As many environments as lanes, in which nothing ever happens: what a loop costs without a world."""

    def __init__(self) -> None:
        super().__init__(LANES, Idle.observation_space, Idle.action_space)
        self.seen = np.zeros((LANES, MAP + FEATURES), np.float32)
        self.rewards, self.dones = np.zeros(LANES, np.float32), np.zeros(LANES, bool)
        self.infos: list[dict] = [{} for _ in range(LANES)]

    def reset(self) -> np.ndarray:
        return self.seen

    def step_async(self, actions: np.ndarray) -> None:
        pass

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict]]:
        return self.seen, self.rewards, self.dones, self.infos

    def close(self) -> None:
        pass

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [None] * LANES

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        pass

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return [None] * LANES

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * LANES


class Trunk(BaseFeaturesExtractor):
    """Map and features each through a layer, both together through another, as townlet's network."""

    def __init__(self, space: gymnasium.Space) -> None:
        super().__init__(space, WIDTH)
        self.map_layer = torch.nn.Sequential(torch.nn.Linear(MAP, WIDTH), torch.nn.ReLU())
        self.feature_layer = torch.nn.Sequential(torch.nn.Linear(FEATURES, WIDTH), torch.nn.ReLU())
        self.trunk = torch.nn.Sequential(torch.nn.Linear(2 * WIDTH, WIDTH), torch.nn.ReLU())

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return self.trunk(torch.cat((self.map_layer(seen[:, :MAP]), self.feature_layer(seen[:, MAP:])), 1))


def measure(what: str, transitions: int, minibatch: int, threads: int, seconds: float) -> float:
    """Measure `update` (transitions times epochs per second), `gae` or `cycle` (transitions per second)."""
    torch.set_num_threads(threads)
    if transitions not in LEARNERS:
        LEARNERS[transitions] = make_learner(transitions, minibatch)
    learner = LEARNERS[transitions]
    buffer = learner.rollout_buffer
    if what == "cycle":

        def cycle() -> int:
            learner.learn(transitions, reset_num_timesteps=True)
            return transitions

        return rate(cycle, seconds)
    if what == "gae":
        fill(buffer)
        last, dones = torch.zeros(LANES), np.zeros(LANES, bool)

        def estimate() -> int:
            buffer.compute_returns_and_advantage(last, dones)
            return transitions

        return rate(estimate, seconds)

    def update() -> int:
        learner.train()
        return transitions * learner.n_epochs

    fill(buffer)
    list(buffer.get(minibatch))  # lays the buffer out once, as we get our batch laid out
    return rate(update, seconds)


def make_learner(transitions: int, minibatch: int) -> PPO:
    learner = PPO(
        "MlpPolicy",
        Nothing(),
        n_steps=transitions // LANES,
        batch_size=minibatch,
        n_epochs=4,
        clip_range_vf=0.2,
        ent_coef=0.01,
        device="cpu",
        policy_kwargs={"features_extractor_class": Trunk, "net_arch": []},
        seed=0,
    )
    learner.set_logger(configure(None, []))
    return learner


def fill(buffer: Any) -> None:
    """Put in random transitions, those of benchmarks/ppo.py in kind."""
    rng = np.random.default_rng(0)
    buffer.reset()
    shape = buffer.rewards.shape
    buffer.observations[:, :, :MAP] = rng.random((*shape, MAP)) < 0.1
    buffer.observations[:, :, MAP:] = rng.random((*shape, FEATURES))
    buffer.actions[:] = rng.integers(0, ACTIONS, buffer.actions.shape)
    buffer.log_probs[:] = -np.log(ACTIONS)
    for column in (buffer.rewards, buffer.values, buffer.advantages, buffer.returns):
        column[:] = rng.normal(size=shape)
    buffer.pos, buffer.full = buffer.buffer_size, True


if __name__ == "__main__":
    serve(measure)
