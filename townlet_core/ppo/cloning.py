"""Behaviour cloning: cross-entropy on recorded actions and regression on recorded returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import NotFiniteError
from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.device import torch
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.shards import ONE, Shards
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import prepare, shuffle, step

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
    parts: Sequence[TrainBatch],
    config: PPOConfig,
    coordinates: tuple[int, ...],
    shards: Shards = ONE,
) -> CloneLoss:
    """Pass once over a batch and lower −log π(a|s) + value_loss_coef · ½ (V(s) − return)².

    parts: the transitions of each own shard. Shuffled by the generator at `coordinates`; learning rate,
    coefficient and gradient limit are config's.
    Raises NotFiniteError before a step whose loss or gradient is not finite, ShapeError or InputError if the
    batch does not fit the network.
    """
    parts = [part._replace(advantages=np.ones_like(part.advantages)) for part in parts]  # all count alike
    config = replace(config, **PLAIN)
    ready = prepare(network, parts, config, shards, imitate=True)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate
    count = int(shards.join(np.array([len(part.actions) for part in parts])).sum())
    total = np.zeros(len(CloneLoss._fields))
    for minibatch in shuffle(parts, -(-count // MINIBATCH), coordinates, shards):
        stats = step(network, optimizer, ready, minibatch, config, shards)
        if not stats.is_finite:
            raise NotFiniteError("loss or gradient of the warm start is not finite")
        _, policy, value, *_ = stats.losses
        total += minibatch.size * np.array((policy, value))
    return CloneLoss(*(total / count).tolist())
