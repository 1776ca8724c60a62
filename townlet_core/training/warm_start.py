"""Warm start: clone the behaviour in recordings before PPO begins; measure accuracy on held-out samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from townlet_core.chance import generator
from townlet_core.ppo.cloning import CloneLoss, clone_batch
from townlet_core.ppo.device import torch
from townlet_core.ppo.network import ActorCritic, act
from townlet_core.ppo.options import Precision
from townlet_core.ppo.shards import ONE, Shards
from townlet_core.replay.batch import ReplayBatch
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.training.advantage_targets import replay_batch, rows_of
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest

HELD_OUT = 0.1  # share of the samples, at least one
SPLIT, PASS = 0xC10E, 0xC10F  # random coordinates: the held-out split, the shuffle of an epoch


class Cloned(NamedTuple):
    """Losses and accuracy of an epoch of behaviour cloning."""

    epoch: int  # from 1
    loss_policy: float  # −log π of the recorded actions, nats, mean over the samples trained on
    loss_value: float
    held_out_accuracy: float  # of the network's most probable action
    majority_accuracy: float  # of the most frequent action of the training samples
    samples: int  # trained on
    held_out_samples: int


def held_out_samples(count: int, seed: int) -> set[int]:
    """Choose the numbers of the samples that are held out."""
    return set(generator(seed, SPLIT).permutation(count)[: max(1, int(count * HELD_OUT))].tolist())


def clone_epoch(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    dataset: ReplayDataset,
    settings: TrainingSettings,
    epoch: int,
    stop_request: StopRequest,
    shards: Shards = ONE,
) -> Cloned:
    """Train one epoch on all samples but those held out, and measure the accuracy on those.

    Equal arguments give equal weights. Raises Interrupted between two batches of samples.
    """
    held_out = held_out_samples(dataset.sample_count, settings.seed)
    config, order = settings.ppo, dataset.batch_order(epoch)
    losses, sizes = [], []
    counts = np.zeros(dataset.action_dim, np.int64)
    for number, members in enumerate(order):
        if kept := [member for member in members if member not in held_out]:
            batch = dataset.stack(kept)
            targets, _ = replay_batch([batch], network, config, "none", shards)
            coordinates, own = (settings.seed, PASS, epoch, number), rows_of(targets, shards)
            losses.append(clone_batch(network, optimizer, own, config, coordinates, shards))
            sizes.append(len(targets.actions))
            counts += np.bincount(batch.actions.reshape(-1), minlength=len(counts))
        stop_request.check()
    mean = CloneLoss(*np.average(np.array(losses), axis=0, weights=sizes).tolist())
    held_out_batches = ([member for member in members if member in held_out] for members in order)
    batches = (dataset.stack(members) for members in held_out_batches if members)
    accuracy, majority = measure_accuracy(network, batches, int(counts.argmax()), config.precision)
    left_out = len(held_out)
    return Cloned(epoch + 1, *mean, accuracy, majority, dataset.sample_count - left_out, left_out)


def measure_accuracy(
    network: ActorCritic, batches: Iterable[ReplayBatch], majority: int, precision: Precision
) -> tuple[float, float]:
    """Return the accuracy of the network's most probable action, and that of always choosing `majority`."""
    correct = common = total = 0
    for batch in batches:
        actions = batch.actions.reshape(-1)
        maps, features, masks = (
            column.reshape(-1, *column.shape[2:]) for column in (batch.map, batch.features, batch.action_mask)
        )
        likeliest, _, _ = act(network, maps, features, masks, None, precision)
        correct += int((likeliest == actions).sum())
        common += int((actions == majority).sum())
        total += len(actions)
    return correct / total, common / total
