"""A warm start: imitate recordings, all but a few that are held out to judge it, before PPO begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import InputError
from townlet_core.ppo.backend import torch
from townlet_core.ppo.cloning import CloneLoss, clone_batch
from townlet_core.ppo.network import ActorCritic, act
from townlet_core.replay.batch import ReplayBatch
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.rng import generator
from townlet_core.training.batches import has_ended, replay_batch
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.stopping import StopRequest

HELD_OUT = 0.1  # share of the samples, at least one
SPLIT, PASS = 0xC10E, 0xC10F  # coordinates of chance: who is held out, how an epoch is shuffled


class Cloned(NamedTuple):
    """How well the network imitates after an epoch."""

    epoch: int  # from 1
    loss_policy: float  # −log π of the recorded actions, nats, mean over the samples trained on
    loss_value: float
    held_out_accuracy: float  # share of held-out actions that are the network's likeliest one
    majority_accuracy: float  # the same for whoever always says what is commonest where it was trained
    samples: int  # trained on
    held_out_samples: int


def held_out_samples(count: int, seed: int) -> np.ndarray:
    """Choose the samples, by their numbers, that are never trained on."""
    return generator(seed, SPLIT).permutation(count)[: max(1, int(count * HELD_OUT))]


def clone_epoch(
    network: ActorCritic,
    optimizer: torch.optim.Optimizer,
    dataset: ReplayDataset,
    settings: TrainingSettings,
    epoch: int,
    stop: StopRequest,
) -> Cloned:
    """Imitate all samples once but those held out, and say how well those are then foretold.

    Equal arguments give equal weights. Raises Interrupted between two batches of samples.
    """
    held_out = held_out_samples(dataset.sample_count, settings.seed)
    config = settings.ppo
    losses, sizes, kept_back = [], [], []
    counts = np.zeros(dataset.action_dim, np.int64)
    for number, (held, batch) in enumerate(split_batches(dataset, epoch, held_out)):
        kept_back.append(choose(batch, held))
        kept = choose(batch, ~held & learnable(batch, config.bootstrap_truncations))
        if kept.transitions:
            judged, _ = replay_batch([kept], network, config, "none")
            losses.append(
                clone_batch(network, optimizer, judged, config, (settings.seed, PASS, epoch, number))
            )
            sizes.append(len(judged.actions))
            counts += np.bincount(kept.actions.reshape(-1), minlength=len(counts))
        stop.check()
    if not losses:
        raise InputError(
            "the recordings have one tick each: nothing to imitate", "capture longer ones with --ticks"
        )
    mean = CloneLoss(*np.average(np.array(losses), axis=0, weights=sizes).tolist())
    right, commonest = foretold(network, kept_back, int(counts.argmax()))
    left_out = len(held_out)
    return Cloned(epoch + 1, *mean, right, commonest, dataset.sample_count - left_out, left_out)


def split_batches(
    dataset: ReplayDataset, epoch: int, held_out: np.ndarray
) -> Iterator[tuple[np.ndarray, ReplayBatch]]:
    """Yield each batch of an epoch, and which of its samples are held out, (N,) bool."""
    for members, batch in zip(dataset.batch_order(epoch), dataset.batches(epoch), strict=True):
        yield np.isin(members, held_out), batch


def choose(batch: ReplayBatch, wanted: np.ndarray) -> ReplayBatch:
    """Take some of a batch's samples."""
    columns: dict[str, Any] = {
        name: value[:, wanted] for name, value in batch._asdict().items() if isinstance(value, np.ndarray)
    }
    names = tuple(name for name, taken in zip(batch.names, wanted, strict=True) if taken)
    return batch._replace(names=names, **columns)


def learnable(batch: ReplayBatch, bootstrap_truncations: bool) -> np.ndarray:
    """Which samples say what an action was worth: not a single tick that something unseen followed."""
    return has_ended(batch, bootstrap_truncations) | (len(batch.actions) > 1)


def foretold(network: ActorCritic, batches: list[ReplayBatch], commonest: int) -> tuple[float, float]:
    """Share of recorded actions that are the network's likeliest, and share that are `commonest`."""
    right = common = total = 0
    for batch in batches:
        if batch.transitions:
            actions = batch.actions.reshape(-1)
            maps, features, masks = (
                column.reshape(-1, *column.shape[2:])
                for column in (batch.map, batch.features, batch.action_mask)
            )
            likeliest, _, _ = act(network, maps, features, masks, None)
            right += int((likeliest == actions).sum())
            common += int((actions == commonest).sum())
            total += len(actions)
    return right / total, common / total
