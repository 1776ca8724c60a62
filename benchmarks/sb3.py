"""PPO of Stable-Baselines3 on a town, with the same network, settings and number of environment steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from townlet_core.envs.stable_baselines3 import ModelPolicy, TownVecEnv
from townlet_core.scenario.model import Scenario
from townlet_core.training.settings import TrainingSettings


class Trunk(BaseFeaturesExtractor):
    """The layers of ActorCritic: one for the map, one for the features, one for both."""

    def __init__(self, space: Any, width: int) -> None:
        super().__init__(space, width)
        map_size, feature_count = (int(np.prod(space[name].shape)) for name in ("map", "features"))
        self.map_layer = torch.nn.Sequential(torch.nn.Linear(map_size, width), torch.nn.ReLU())
        self.feature_layer = torch.nn.Sequential(torch.nn.Linear(feature_count, width), torch.nn.ReLU())
        self.trunk = torch.nn.Sequential(torch.nn.Linear(2 * width, width), torch.nn.ReLU())

    def forward(self, seen: dict[str, torch.Tensor]) -> torch.Tensor:
        both = (self.map_layer(seen["map"].flatten(1).float()), self.feature_layer(seen["features"]))
        return self.trunk(torch.cat(both, 1))


class Rewards(BaseCallback):
    """Record the mean reward of every rollout, and treat time limits as terminal without bootstrapping."""

    def __init__(self, bootstrap_truncations: bool) -> None:
        super().__init__()
        self.bootstrap_truncations = bootstrap_truncations
        self.means: list[float] = []
        self.ticks: list[float] = []

    def _on_step(self) -> bool:
        self.ticks.append(float(self.locals["rewards"].mean()))
        if not self.bootstrap_truncations:
            for info in self.locals["infos"]:
                info.pop("TimeLimit.truncated", None)
        return True

    def _on_rollout_end(self) -> None:
        self.means.append(float(np.mean(self.ticks)))
        self.ticks.clear()


def train(scenario: Scenario, settings: TrainingSettings, ticks: int) -> tuple[list[float], ModelPolicy]:
    """Train for settings.cycles rollouts of `ticks` ticks; returns each one's mean reward, and the policy."""
    towns = TownVecEnv(scenario, settings.num_towns, map_type="uint8")
    rate = settings.learning_rate

    def rate_left(left: float) -> float:
        # Progress is updated after the rollout of a cycle; here the rate is that of its start.
        return rate * min(1.0, left + 1 / settings.cycles) if settings.lr_schedule == "linear" else rate

    rows = ticks * towns.num_envs
    model = PPO(
        "MultiInputPolicy",
        towns,
        n_steps=ticks,
        batch_size=rows // settings.num_mini_batches,
        n_epochs=settings.num_epochs,
        learning_rate=rate_left,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_param,
        # Clips in units of the value, so it is off where ours clips in standard deviations.
        clip_range_vf=None if settings.normalise_returns else settings.value_clip,
        ent_coef=settings.entropy_coef,
        vf_coef=settings.value_loss_coef / 2,  # ours weighs half the squared error
        max_grad_norm=settings.max_grad_norm,
        policy_kwargs={
            "features_extractor_class": Trunk,
            "features_extractor_kwargs": {"width": settings.hidden_size},
            "normalize_images": False,
            "net_arch": [],
        },
        seed=settings.seed,
        device="cpu",
    )
    noted = Rewards(settings.bootstrap_truncations)
    model.learn(settings.cycles * rows, callback=noted)
    return noted.means, ModelPolicy(model)
