"""Behaviour cloning: make recorded actions likely and recorded returns expected, before PPO begins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from townlet_core.errors import NotFiniteError
from townlet_core.ppo.backend import torch
from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.losses import value_loss
from townlet_core.ppo.network import ActorCritic, masked_log_probs
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import check_batch, on_device, shuffled_rows

MINIBATCH = 256  # transitions per step; small, because a few recordings have to give many steps


class CloneLoss(NamedTuple):
    """What one pass over a batch did, as means over its transitions."""

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
    check_batch(batch, network)
    data = on_device(batch, network.value_head.weight.device)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate
    count, total = len(batch.actions), np.zeros(len(CloneLoss._fields))
    for rows in shuffled_rows(count, -(-count // MINIBATCH), coordinates):
        total += len(rows) * np.array(step(network, optimizer, data, rows, config))
    return CloneLoss(*(total / count).tolist())


def step(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    data: list[torch.Tensor],
    rows: torch.Tensor,
    config: PPOConfig,
) -> CloneLoss:
    rows = rows.to(data[0].device)
    map, features, action_mask, actions, _, old_values, _, returns = (c.index_select(0, rows) for c in data)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(map.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        logits, values = network(map, features)
    log_probs = masked_log_probs(logits, action_mask).gather(1, actions[:, None])
    unit = network.returns.std.float() if network.returns is not None else 1.0
    value = value_loss(values / unit, old_values / unit, returns / unit, None)
    policy = -log_probs.mean()
    (policy + config.value_loss_coef * value).backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
    numbers = torch.stack((policy.detach(), value.detach(), norm)).tolist()
    if not np.isfinite(numbers).all():
        raise NotFiniteError("loss or gradient of the warm start is not finite")
    optimizer.step()
    return CloneLoss(*numbers[:2])
