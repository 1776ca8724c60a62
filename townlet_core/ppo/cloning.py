"""Behaviour cloning: cross-entropy on recorded actions and regression on recorded returns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import NotFiniteError
from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.device import torch
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import check_batch, gradient_of, on_device, shuffled_rows, step

MINIBATCH = 256  # transitions per step; small, because a few recordings have to give many steps
PLAIN: dict[str, Any] = {
    "advantage_normalization": False,
    "entropy_coef": 0.0,
    "value_clip": None,
}  # nothing of PPO's


class CloneLoss(NamedTuple):
    """Losses of one pass over a batch, means over its transitions."""

    policy: float  # −mean log π(a|s) over the legal actions, nats
    value: float  # ½ mean squared error, in the unit of the critic


def clone_batch(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    batch: TrainBatch,
    config: PPOConfig,
    coordinates: tuple[int, ...],
) -> CloneLoss:
    """Pass once over a batch and lower −log π(a|s) + value_loss_coef · ½ (V(s) − return)².

    Shuffled by the generator at `coordinates`; learning rate, coefficient and gradient limit are config's.
    Raises NotFiniteError before a step whose loss or gradient is not finite, ShapeError or InputError if the
    batch does not fit the network.
    """
    batch = batch._replace(advantages=np.ones_like(batch.advantages))  # every action counts alike
    config = replace(config, **PLAIN)
    check_batch(batch, network)
    data = on_device(batch, network.value_head.weight.device)
    gradient = gradient_of(network, data, config, imitate=True)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate
    count, total = len(batch.actions), np.zeros(len(CloneLoss._fields))
    for rows in shuffled_rows(count, -(-count // MINIBATCH), coordinates):
        stats = step(network, optimizer, data, rows, config, gradient)
        if not stats.is_finite:
            raise NotFiniteError("loss or gradient of the warm start is not finite")
        _, policy, value, *_ = stats.losses
        total += len(rows) * np.array((policy, value))
    return CloneLoss(*(total / count).tolist())
