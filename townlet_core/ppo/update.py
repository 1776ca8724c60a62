"""One PPO update: epochs of shuffled minibatches over one batch, each step taken only if it is finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from townlet_core.chance import generator
from townlet_core.errors import InputError, ShapeError
from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.cpu.backward import ManualBackward
from townlet_core.ppo.device import arithmetic, to_tensor, torch
from townlet_core.ppo.losses import PPOLoss, ppo_loss
from townlet_core.ppo.moments import Moments, merge, moments_of, packed, unpacked
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.shards import ONE, Shards
from townlet_core.ppo.statistics import (
    EpochStats,
    MiniBatchStats,
    SkippedUpdate,
    TrainBatch,
    describe_batch,
    statistics_columns,
    summarise,
)

SKIPS_THAT_END_A_RUN = 3  # not-finite updates in a row; the caller then ends with exit code 4
SMALLEST_STD = 1e-8
ROUNDING = 1e-6  # of the mean; a float32 advantage can't show a smaller spread
ADAM_EPSILON = 1e-5
# (rows, advantages, count) to a shard's part of a minibatch's gradient, (P,), and the sums of its losses.
Gradient = Callable[[torch.Tensor, torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]


class Minibatch(NamedTuple):
    """The rows of a minibatch, and the spread of its advantages over all shards."""

    rows: list[np.ndarray]  # of each own shard, int64
    size: int  # in all shards
    advantage_mean: float
    advantage_std: float  # 0 for a single row, or where it is only rounding


class Part(NamedTuple):
    """One shard's columns on the device, and how gradients on them are computed."""

    data: list[torch.Tensor]
    gradient: Gradient


def make_optimizer(network: ActorCritic, learning_rate: float) -> torch.optim.Adam:
    """Return fused Adam over all parameters, as PPO uses it (epsilon 1e-5)."""
    return torch.optim.Adam(network.parameters(), lr=learning_rate, eps=ADAM_EPSILON, fused=True)


def update_policy(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[TrainBatch],
    config: PPOConfig,
    coordinates: tuple[int, ...],
    learning_rate: float,
    should_stop: Callable[[], bool] = lambda: False,
    skipped_in_a_row: int = 0,
    on_skip: Callable[[SkippedUpdate], Any] = lambda skipped: None,
    shards: Shards = ONE,
) -> list[EpochStats]:
    """Train the network on one batch and return the statistics of each epoch.

    parts: the transitions of each own shard; a part may have none. Epoch e of shard k is shuffled by the
    generator at (*coordinates, e, k): equal arguments give equal weights, on any number of threads and
    processes. An update whose loss or gradient is not finite is skipped before it touches the weights or the
    optimiser, and `on_skip` is told which. The update ends early when `should_stop()` says so of any process
    (asked before each minibatch), when an epoch's mean KL divergence exceeds config.target_kl, or when
    SKIPS_THAT_END_A_RUN updates in a row were skipped, counting from `skipped_in_a_row`; the last epoch's
    statistics tell.
    Raises ShapeError or InputError if the batch cannot be trained on.
    """
    ready = prepare(network, parts, config, shards)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    batch_stats = describe_batch(shards.join(statistics_columns(parts), axis=1))
    history: list[EpochStats] = []
    for epoch in range(config.num_epochs):
        done: list[MiniBatchStats] = []
        skipped, stopped = 0, False
        minibatches = shuffle(parts, config.num_mini_batches, (*coordinates, epoch), shards)
        for number, minibatch in enumerate(minibatches):
            if stopped := shards.is_any(should_stop()) or skipped_in_a_row >= SKIPS_THAT_END_A_RUN:
                break
            stats = step(network, optimizer, ready, minibatch, config, shards)
            if stats.is_finite:
                done.append(stats)
                skipped_in_a_row = 0
            else:
                skipped, skipped_in_a_row = skipped + 1, skipped_in_a_row + 1
                on_skip(SkippedUpdate(epoch, number, minibatch.rows, stats))
        if done or skipped:
            history.append(summarise(done, batch_stats, learning_rate, skipped, skipped_in_a_row))
        if stopped or (config.target_kl and history[-1].kl_divergence > config.target_kl):
            break
    return history


def prepare(
    network: ActorCritic,
    parts: Sequence[TrainBatch],
    config: PPOConfig,
    shards: Shards,
    imitate: bool = False,
) -> list[Part]:
    """Check the batch, and get every own shard ready for its gradients: side by side, as they are used.

    Raises ShapeError or InputError if the batch cannot be trained on.
    """
    device = network.value_head.weight.device

    def ready(batch: TrainBatch) -> Part:
        check_batch(batch, network)
        data = on_device(batch, device)
        return Part(data, gradient_of(network, data, config, imitate))

    prepared = shards.map(ready, parts)
    if not shards.join(np.array([len(batch.actions) for batch in parts])).any():
        raise InputError(
            "the batch has no transitions", "give at least one tick at which an agent was in town"
        )
    return prepared


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


def shuffle(
    parts: Sequence[TrainBatch], minibatches: int, coordinates: tuple[int, ...], shards: Shards
) -> Iterator[Minibatch]:
    """Cut a permutation of every shard into minibatches, whose sizes differ by at most a row per shard.

    There are `minibatches`, but no more than the largest shard has rows, so that none is empty.
    """
    sizes = shards.join(np.array([len(batch.actions) for batch in parts]))
    count = min(minibatches, int(sizes.max()))
    rows = [
        np.array_split(generator(*coordinates, *([shard] if shard else [])).permutation(size), count)
        for shard, size in zip(shards.own, sizes[shards.own.start : shards.own.stop], strict=True)
    ]
    own = [
        moments_of(batch.advantages[piece, None])
        for batch, pieces in zip(parts, rows, strict=True)
        for piece in pieces
    ]
    every = unpacked(shards.join(packed(own)))
    for number in range(count):
        found = merge(every[number::count])
        yield Minibatch(
            [pieces[number] for pieces in rows], int(found.rows), float(found.mean[0]), spread(found)
        )


def spread(advantages: Moments) -> float:
    """Return the standard deviation (n − 1); 0 for a single row, or where it is only rounding."""
    mean, std = float(advantages.mean[0]), float(np.sqrt(advantages.variance[0]))
    return 0.0 if std <= SMALLEST_STD + ROUNDING * abs(mean) else std


def step(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    parts: list[Part],
    minibatch: Minibatch,
    config: PPOConfig,
    shards: Shards,
) -> MiniBatchStats:
    """Take one optimiser step on a minibatch; skip it if a loss or the gradient is not finite."""

    def of_shard(part: tuple[Part, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        (data, gradient), numbers = part
        rows = torch.from_numpy(numbers).to(data[0].device)
        advantages = data[6].index_select(0, rows)
        if config.advantage_normalization:
            advantages = normalise(advantages, minibatch)
        return gradient(rows, advantages, minibatch.size)

    own = shards.map(of_shard, zip(parts, minibatch.rows, strict=True))
    gradient, losses = (shards.add_up(vectors) for vectors in zip(*own, strict=True))
    assign(network, gradient)
    grad_norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.max_grad_norm)
    # The one read from the device per minibatch. It has to come before the step.
    numbers = torch.cat((losses / minibatch.size, grad_norm.double()[None])).tolist()
    stats = MiniBatchStats(numbers[:-1], numbers[-1], minibatch.advantage_std, minibatch.size)
    if stats.is_finite:
        optimizer.step()
    return stats


def normalise(advantages: torch.Tensor, minibatch: Minibatch) -> torch.Tensor:
    """Normalise to mean 0 and deviation 1 of the minibatch; equal advantages become about 0.

    A single one is unchanged.
    """
    if minibatch.size == 1:
        return advantages
    return (advantages - minibatch.advantage_mean) / (minibatch.advantage_std or 1.0)


def assign(network: ActorCritic, gradient: torch.Tensor) -> None:
    """Make a vector (P,) the gradient of the network's parameters, in their order."""
    parameters = list(network.parameters())
    pieces = gradient.split([parameter.numel() for parameter in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.grad = piece.view_as(parameter)


def backpropagate(
    network: ActorCritic,
    data: list[torch.Tensor],
    config: PPOConfig,
    rows: torch.Tensor,
    advantages: torch.Tensor,
    count: int,
    imitate: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute what ManualBackward.backpropagate does, with autograd.

    Gradients are added up over pieces of micro_batch rows. If the network normalises returns, the value loss
    is in their standard deviations.
    """
    unit = network.returns.std.float() if network.returns is not None else None
    parameters = list(network.parameters())
    gradient = torch.cat([torch.zeros_like(parameter).flatten() for parameter in parameters])
    losses = torch.zeros(len(PPOLoss._fields), dtype=torch.float64, device=rows.device)
    size = config.micro_batch or max(len(rows), 1)
    for piece, advantage in zip(rows.split(size), advantages.split(size), strict=True):
        if not len(piece):
            continue
        map, features, mask, actions, old_log_probs, old_values, _, returns = (
            column.index_select(0, piece) for column in data
        )
        with arithmetic(config.precision, map.device):
            logits, values = network(map, features)
        if unit is not None:
            values, old_values, returns = values / unit, old_values / unit, returns / unit
        old = (old_log_probs, old_values)
        loss = ppo_loss(logits, values, mask, actions, *old, advantage, returns, config, imitate)
        found = torch.autograd.grad(loss.total * (len(piece) / count), parameters)
        gradient += torch.cat([part.flatten() for part in found])
        losses += len(piece) * torch.stack([part.detach().double() for part in loss])
    return gradient, losses
