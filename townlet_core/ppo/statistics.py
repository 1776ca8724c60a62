"""The batch of an update, and the statistics of a minibatch and an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from townlet_core.ppo.losses import PPOLoss, ess_fraction

ROUNDING = 1e-12  # a variance below this share of the squared mean is rounding of float32 numbers


class TrainBatch(NamedTuple):
    """N transitions in any order; only ticks at which the agent was in town."""

    map: np.ndarray  # (N, C, H, W) float32 or uint8
    features: np.ndarray  # (N, F) float32
    action_mask: np.ndarray  # (N, A) bool, True where legal
    actions: np.ndarray  # (N,) int64
    old_log_probs: np.ndarray  # (N,) float32, of the policy the ratio is measured against
    old_values: np.ndarray  # (N,) float32
    advantages: np.ndarray  # (N,) float32
    returns: np.ndarray  # (N,) float32, value targets
    rewards: np.ndarray  # (N,) float32, for the statistics only


class EpochStats(NamedTuple):
    """Statistics of one epoch, under the telemetry's names; skipped updates are only counted."""

    loss_policy: float
    loss_value: float
    loss_entropy: float  # the mean entropy itself, in nats: larger is more random
    loss_total: float
    clip_fraction: float
    clip_fraction_max: float  # of a minibatch
    clip_triggered_minibatches: int  # minibatches in which any ratio was clipped
    adv_mean: float  # of the batch, before normalisation
    adv_std: float
    adv_min_std: float  # smallest of a minibatch
    adv_zero_std_batches: int  # minibatches without spread: equal advantages, or a lone transition
    grad_norm: float  # before clipping, mean over updates
    grad_norm_max: float
    kl_divergence: float  # k3 estimator against old_log_probs
    kl_divergence_max: float  # of a minibatch
    batch_entropy_mean: float  # nats, over transitions
    batch_entropy_std: float
    reward_advantage_corr: float  # 0 where undefined
    explained_variance: float  # of the returns by old_values; 0 where undefined
    ratio_mean: float
    ess_fraction: float
    updates: int  # optimiser steps taken
    transitions: int  # transitions in those steps
    lr: float
    skipped_updates: int  # minibatches dropped because loss or gradient was not finite
    skipped_in_a_row: int  # how many updates in a row were skipped when the epoch ended


class MiniBatchStats(NamedTuple):
    """Statistics of one minibatch."""

    losses: list[float]  # one for each field of PPOLoss
    grad_norm: float
    advantage_std: float
    transitions: int

    @property
    def is_finite(self) -> bool:
        """Whether loss and gradient are finite, so that the optimiser may step."""
        return bool(np.isfinite([*self.losses, self.grad_norm, self.advantage_std]).all())


class SkippedUpdate(NamedTuple):
    """A minibatch whose step was skipped, because its loss or its gradient was not finite."""

    epoch: int  # of the update, from 0
    minibatch: int  # of the epoch, from 0
    rows: list[np.ndarray]  # int64, its rows in the TrainBatch of each own shard
    stats: MiniBatchStats


class BatchStats(NamedTuple):
    """Statistics of the data itself, over the rows whose numbers are all finite."""

    adv_mean: float
    adv_std: float
    reward_advantage_corr: float
    explained_variance: float


def statistics_columns(parts: Sequence[TrainBatch]) -> np.ndarray:
    """Return rewards, advantages, returns and old values of some shards, (4, N) float64."""
    columns = [(part.rewards, part.advantages, part.returns, part.old_values) for part in parts]
    return np.concatenate([np.stack(part) for part in columns], axis=1).astype(np.float64)


def describe_batch(columns: np.ndarray) -> BatchStats:
    """Sum up the data of an update, given as statistics_columns; zeros where no row is finite."""
    rewards, advantages, returns, old_values = columns[:, np.isfinite(columns).all(0)]
    if not len(rewards):
        return BatchStats(0.0, 0.0, 0.0, 0.0)
    unexplained = (returns - old_values).var()
    return BatchStats(
        adv_mean=float(advantages.mean()),
        adv_std=float(advantages.std()),
        reward_advantage_corr=correlation(rewards, advantages),
        explained_variance=float(1 - unexplained / returns.var()) if varies(returns) else 0.0,
    )


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation, 0 where one of the two does not vary."""
    if not (varies(first) and varies(second)):
        return 0.0
    first, second = first - first.mean(), second - second.mean()
    return float(np.clip((first * second).mean() / (first.std() * second.std()), -1.0, 1.0))


def varies(numbers: np.ndarray) -> bool:
    """Return whether the numbers differ by more than rounding."""
    return bool(numbers.var() > ROUNDING * numbers.mean() ** 2)


def summarise(
    done: list[MiniBatchStats],
    batch: BatchStats,
    learning_rate: float,
    skipped: int,
    skipped_in_a_row: int,
) -> EpochStats:
    """Average the minibatches by their size; an epoch in which every update was skipped reports zeros."""
    weights = np.array([stats.transitions for stats in done], np.float64)
    losses = np.array([stats.losses for stats in done]).reshape(-1, len(PPOLoss._fields))
    norms = np.array([stats.grad_norm for stats in done])
    spreads = np.array([stats.advantage_std for stats in done])
    averages = weights @ losses / max(weights.sum(), 1)
    mean = dict(zip(PPOLoss._fields, averages.tolist(), strict=True))
    clipped = losses[:, PPOLoss._fields.index("clip_fraction")]
    kl = losses[:, PPOLoss._fields.index("approx_kl")]
    return EpochStats(
        loss_policy=mean["policy"],
        loss_value=mean["value"],
        loss_entropy=mean["entropy"],
        loss_total=mean["total"],
        clip_fraction=mean["clip_fraction"],
        clip_fraction_max=float(clipped.max(initial=0)),
        clip_triggered_minibatches=int((clipped > 0).sum()),
        adv_min_std=float(spreads.min()) if done else 0.0,
        adv_zero_std_batches=int((spreads == 0).sum()),
        grad_norm=float(norms.mean()) if done else 0.0,
        grad_norm_max=float(norms.max(initial=0)),
        kl_divergence=mean["approx_kl"],
        kl_divergence_max=float(kl.max(initial=0)),
        batch_entropy_mean=mean["entropy"],
        batch_entropy_std=float(np.sqrt(max(mean["entropy_square"] - mean["entropy"] ** 2, 0))),
        ratio_mean=mean["ratio_mean"],
        ess_fraction=ess_fraction(mean["ratio_mean"], mean["ratio_square"]),
        updates=len(done),
        transitions=int(weights.sum()),
        lr=learning_rate,
        skipped_updates=skipped,
        skipped_in_a_row=skipped_in_a_row,
        **batch._asdict(),
    )
