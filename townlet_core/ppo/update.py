"""One PPO update: epochs of shuffled minibatches over one batch, each step taken only if it is finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from townlet_core.chance import generator
from townlet_core.errors import InputError, ShapeError
from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.cpu.backward import ManualBackward
from townlet_core.ppo.device import arithmetic, to_tensor, torch
from townlet_core.ppo.losses import PPOLoss, ppo_loss
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.statistics import (
    EpochStats,
    MiniBatchStats,
    SkippedUpdate,
    TrainBatch,
    describe_batch,
    summarise,
)

SKIPS_THAT_END_A_RUN = 3  # not-finite updates in a row; the caller then ends with exit code 4
SMALLEST_STD = 1e-8
ROUNDING = 1e-6  # of the mean; a float32 advantage can't show a smaller spread
ADAM_EPSILON = 1e-5
# (rows, advantages) of a minibatch to its losses, one for each field of PPOLoss.
Gradient = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def make_optimizer(network: ActorCritic, learning_rate: float) -> torch.optim.Adam:
    """Return fused Adam over all parameters, as PPO uses it (epsilon 1e-5)."""
    return torch.optim.Adam(network.parameters(), lr=learning_rate, eps=ADAM_EPSILON, fused=True)


def update_policy(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    batch: TrainBatch,
    config: PPOConfig,
    coordinates: tuple[int, ...],
    learning_rate: float,
    should_stop: Callable[[], bool] = lambda: False,
    skipped_in_a_row: int = 0,
    on_skip: Callable[[SkippedUpdate], Any] = lambda skipped: None,
) -> list[EpochStats]:
    """Train the network on one batch and return the statistics of each epoch.

    Epoch e is shuffled by the generator at (*coordinates, e): equal arguments give equal weights. An update
    whose loss or gradient is not finite is skipped before it touches the weights or the optimiser, and
    `on_skip` is told which. The update ends early when `should_stop()` says so (asked before each
    minibatch), when an epoch's mean KL divergence exceeds config.target_kl, or when SKIPS_THAT_END_A_RUN
    updates in a row were skipped, counting from `skipped_in_a_row`; the last epoch's statistics tell.
    Raises ShapeError or InputError if the batch cannot be trained on.
    """
    check_batch(batch, network)
    data = on_device(batch, network.value_head.weight.device)
    gradient = gradient_of(network, data, config)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    batch_stats = describe_batch(batch)
    history: list[EpochStats] = []
    for epoch in range(config.num_epochs):
        done: list[MiniBatchStats] = []
        skipped, stopped = 0, False
        minibatches = shuffled_rows(len(batch.actions), config.num_mini_batches, (*coordinates, epoch))
        for number, rows in enumerate(minibatches):
            if stopped := should_stop() or skipped_in_a_row >= SKIPS_THAT_END_A_RUN:
                break
            stats = step(network, optimizer, data, rows, config, gradient)
            if stats.is_finite:
                done.append(stats)
                skipped_in_a_row = 0
            else:
                skipped, skipped_in_a_row = skipped + 1, skipped_in_a_row + 1
                on_skip(SkippedUpdate(epoch, number, rows.numpy(), stats))
        if done or skipped:
            history.append(summarise(done, batch_stats, learning_rate, skipped, skipped_in_a_row))
        if stopped or (config.target_kl and history[-1].kl_divergence > config.target_kl):
            break
    return history


def gradient_of(
    network: ActorCritic, data: list[torch.Tensor], config: PPOConfig, imitate: bool = False
) -> Gradient:
    """Choose how gradients are computed: the written-out path on the CPU, autograd elsewhere."""
    if data[0].is_cpu:
        return ManualBackward(network, data, config, imitate=imitate).backpropagate
    return partial(backpropagate, network, data, config, imitate=imitate)


def check_batch(batch: TrainBatch, network: ActorCritic) -> None:
    """Raise ShapeError or InputError if columns do not fit the network, or an action is illegal."""
    shape, count = network.config, len(batch.actions)
    if count == 0:
        raise InputError(
            "the batch has no transitions", "give at least one tick at which an agent was in town"
        )
    one_each = dict.fromkeys(TrainBatch._fields[3:], (count,))
    expected = {
        "map": (count, *shape.map_shape),
        "features": (count, shape.feature_count),
        "action_mask": (count, shape.action_count),
        **one_each,
    }
    for name, column in batch._asdict().items():
        if column.shape != expected[name]:
            raise ShapeError(f"batch.{name} has shape {column.shape}, expected {expected[name]}")
    known = (batch.actions >= 0) & (batch.actions < shape.action_count)
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise InputError(
            f"batch.actions[{row}] is {batch.actions[row]}, expected an id from 0 to {shape.action_count - 1}"
        )
    legal = np.take_along_axis(batch.action_mask, batch.actions[:, None].astype(np.int64), 1)[:, 0]
    if not legal.all():
        row = int(np.flatnonzero(~legal)[0])
        raise InputError(f"batch.actions[{row}] is {batch.actions[row]}, which the action mask forbids there")


def on_device(batch: TrainBatch, device: torch.device) -> list[torch.Tensor]:
    """Move the columns that training reads, in the order of the fields."""
    kinds = (batch.map.dtype.type, np.float32, np.bool_, np.int64, *[np.float32] * 4)
    return [to_tensor(column, device, kind) for column, kind in zip(batch, kinds, strict=False)]


def shuffled_rows(count: int, parts: int, coordinates: tuple[int, ...]) -> Iterator[torch.Tensor]:
    """Cut a permutation into `parts` minibatches that differ by at most one row, none of them empty."""
    order = generator(*coordinates).permutation(count)
    return map(torch.from_numpy, np.array_split(order, min(parts, count)))


def step(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    data: list[torch.Tensor],
    rows: torch.Tensor,
    config: PPOConfig,
    gradient: Gradient,
) -> MiniBatchStats:
    """Take one optimiser step on these rows; skip it if a loss or the gradient is not finite."""
    rows = rows.to(data[0].device)
    advantages = data[6].index_select(0, rows)
    std = spread(advantages)
    if config.advantage_normalization:
        advantages = normalise(advantages, std)
    losses = gradient(rows, advantages)
    grad_norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
    # The one read from the device per minibatch. It has to come before the step.
    numbers = torch.stack((*losses.double(), grad_norm.double(), std.double())).tolist()
    stats = MiniBatchStats(numbers[:-2], numbers[-2], numbers[-1], len(rows))
    if stats.is_finite:
        optimizer.step()
    return stats


def spread(advantages: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation (n − 1); 0 for a single row, or where it is only rounding."""
    if len(advantages) == 1:
        return torch.zeros_like(advantages[0])
    std, mean = torch.std_mean(advantages)
    return torch.where(std <= SMALLEST_STD + ROUNDING * mean.abs(), torch.zeros_like(std), std)


def normalise(advantages: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Normalise to mean 0 and deviation 1; equal advantages become about 0, a single one is unchanged."""
    if len(advantages) == 1:
        return advantages
    return (advantages - advantages.mean()) / torch.where(std == 0, torch.ones_like(std), std)


def backpropagate(
    network: ActorCritic,
    data: list[torch.Tensor],
    config: PPOConfig,
    rows: torch.Tensor,
    advantages: torch.Tensor,
    imitate: bool = False,
) -> torch.Tensor:
    """Compute the parameters' gradients of a minibatch with autograd; return its losses, in PPOLoss's order.

    rows: (n,) of the batch. advantages: (n,), normalised if wanted. Gradients are accumulated over pieces of
    micro_batch rows, weighted by their share of the rows. If the network normalises returns, the value loss
    is in their standard deviations.
    """
    unit = network.returns.std.float() if network.returns is not None else None
    for parameter in network.parameters():
        parameter.grad = None
    losses = torch.zeros(len(PPOLoss._fields), dtype=torch.float64, device=rows.device)
    size = config.micro_batch or len(rows)
    for piece, advantage in zip(rows.split(size), advantages.split(size), strict=True):
        map, features, mask, actions, old_log_probs, old_values, _, returns = (
            column.index_select(0, piece) for column in data
        )
        with arithmetic(config.precision, map.device):
            logits, values = network(map, features)
        if unit is not None:
            values, old_values, returns = values / unit, old_values / unit, returns / unit
        old = (old_log_probs, old_values)
        loss = ppo_loss(logits, values, mask, actions, *old, advantage, returns, config, imitate)
        share = len(piece) / len(rows)
        (loss.total * share).backward()
        losses += share * torch.stack([part.detach().double() for part in loss])
    return losses
