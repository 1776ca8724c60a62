"""From frames and recordings to batches to learn from, with advantages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from townlet_core.capture.frames import Frames
from townlet_core.errors import InputError
from townlet_core.ppo.advantages import VTrace, advantages, vtrace
from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.losses import ess_fraction
from townlet_core.ppo.network import ActorCritic, score_actions
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import SMALLEST_STD
from townlet_core.replay.batch import ReplayBatch


class OffPolicy(NamedTuple):
    """How far recorded data is from the current policy."""

    ratio_mean: float  # mean importance ratio; 1 is on-policy
    ess_fraction: float  # effective sample size over sample size


def rollout_batch(frames: Frames, config: PPOConfig) -> TrainBatch:
    """Estimate advantages of fresh frames with GAE and keep the ticks at which an agent was in town."""
    ticks, towns, agents = frames.actions.shape
    lanes = (ticks, towns * agents)
    estimates = advantages(
        frames.rewards.reshape(lanes),
        frames.values.reshape(ticks + 1, -1),
        (frames.terminations | frames.truncations).reshape(lanes),
        config.gamma,
        config.gae_lambda,
        frames.truncation_values.reshape(lanes) if config.bootstrap_truncations else None,
    ).reshape(frames.actions.shape)
    lived = frames.alive
    values = frames.values[:-1]
    return TrainBatch(
        map=frames.map[lived],
        features=frames.features[lived],
        action_mask=frames.action_mask[lived],
        actions=frames.actions[lived],
        old_log_probs=frames.log_probs[lived],
        old_values=values[lived],
        advantages=estimates[lived],
        returns=(estimates + values)[lived],
        rewards=frames.rewards[lived],
    )


def replay_batch(
    recorded: list[ReplayBatch],
    network: ActorCritic,
    config: PPOConfig,
    correction: str = "self_imitation",
) -> tuple[TrainBatch, OffPolicy]:
    """Judge recorded transitions, which another policy chose, with the critic that is learning now.

    "self_imitation": the return that was recorded, less the critic's value, where that is positive: what went
    better than the critic expects is imitated, nothing else, and raises the critic's value, never lowers it.
    Source: Oh et al. 2018, arXiv:1806.05635. "vtrace": advantages weighted by truncated importance ratios.
    "none": the return less the value, as it is, for who imitates everything.

    With config.advantage_normalization the advantages are divided by the root mean square of what the critic
    was wrong by, better or worse, but keep their mean: it says whether the other policy is worth following,
    and once the learner does better, little is left of it.

    The last tick of a recording that has not ended for good has no observation after it, so it serves
    as the bootstrap of the tick before and is not learned from itself.
    Raises InputError if that leaves nothing.
    """
    parts: list[TrainBatch] = []
    errors: list[np.ndarray] = []
    log_rhos: list[np.ndarray] = []
    for batch in recorded:
        ended = has_ended(batch, config.bootstrap_truncations)
        for lanes, ticks in ((ended, len(batch.actions)), (~ended, len(batch.actions) - 1)):
            if lanes.any() and ticks > 0:
                part, wrong_by, rhos = _judge(batch, lanes, ticks, network, config, correction)
                parts.append(part)
                errors.append(wrong_by)
                log_rhos.append(rhos)
    if not parts:
        raise InputError(
            "the recordings have one tick each, and none has ended for good: nothing to learn from",
            "capture longer ones with --ticks",
        )
    ratios = np.exp(np.minimum(np.concatenate(log_rhos).astype(np.float64), 20.0))
    mean, square = float(ratios.mean()), float((ratios**2).mean())
    whole = TrainBatch(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if config.advantage_normalization:
        finite = np.concatenate(errors)
        finite = finite[np.isfinite(finite)].astype(np.float64)
        scale = max(float(np.sqrt(np.square(finite).mean())) if len(finite) else 0.0, SMALLEST_STD)
        whole = whole._replace(advantages=whole.advantages / np.float32(scale))
    return whole, OffPolicy(mean, ess_fraction(mean, square))


def has_ended(batch: ReplayBatch, bootstrap_truncations: bool) -> np.ndarray:
    """Which lanes end for good, (N,) bool: in a termination, or in what counts as one."""
    return batch.terminations[-1] if bootstrap_truncations else batch.dones[-1]


def first_statistics(
    network: ActorCritic, seen: Sequence[ReplayBatch] | Sequence[Frames], gamma: float
) -> None:
    """Begin the network's statistics with features, and with returns in which no critic has a part."""
    features, returns = [], []
    for data in seen:
        lanes = (len(data.actions), -1)
        lived = data.alive.reshape(lanes) if isinstance(data, Frames) else np.ones(data.actions.shape, bool)
        rewards = data.rewards.reshape(lanes)
        nothing = np.zeros((len(rewards) + 1, rewards.shape[1]), np.float32)
        dones = (data.terminations | data.truncations).reshape(lanes)
        returns.append(advantages(rewards, nothing, dones, gamma, 1.0)[lived])
        features.append(data.features.reshape(*lived.shape, -1)[lived])
    network.take_in_observations(np.concatenate(features))
    network.take_in_returns(np.concatenate(returns))


def _judge(
    batch: ReplayBatch,
    lanes: np.ndarray,
    ticks: int,
    network: ActorCritic,
    config: PPOConfig,
    correction: str,
) -> tuple[TrainBatch, np.ndarray, np.ndarray]:
    """Make a batch of the first `ticks` ticks of some lanes.

    Returns it, what the critic was wrong by, and the log ratios, both flat.
    """

    def flat(array: np.ndarray, rows: int = ticks) -> np.ndarray:
        chosen = array[:rows, lanes]
        return chosen.reshape(-1, *chosen.shape[2:])

    total, count = len(batch.actions), int(lanes.sum())
    log_probs, values = score_actions(
        network,
        flat(batch.map, total),
        flat(batch.features, total),
        flat(batch.action_mask, total),
        flat(batch.actions, total),
        config.precision,
    )
    log_probs, values = log_probs.reshape(total, count), values.reshape(total, count)
    after = values[ticks] if ticks < total else np.zeros(count, np.float32)
    log_rhos = log_probs[:ticks] - batch.old_log_probs[:ticks, lanes]
    outcome = (
        batch.rewards[:ticks, lanes],
        np.concatenate([values[:ticks], after[None]]),
        batch.dones[:ticks, lanes],
        config.gamma,
    )
    if correction == "vtrace":
        judged = vtrace(log_rhos, *outcome, config.gae_lambda)
        wrong_by = judged.advantages
    else:
        wrong_by = advantages(*outcome, gae_lambda=1.0)
        kept = wrong_by if correction == "none" else np.maximum(wrong_by, 0)
        judged = VTrace(kept, values[:ticks] + kept)
    part = TrainBatch(
        map=flat(batch.map),
        features=flat(batch.features),
        action_mask=flat(batch.action_mask),
        actions=flat(batch.actions),
        # The advantages carry any importance weight, so the ratio starts at 1 with the policy as it is.
        old_log_probs=log_probs[:ticks].reshape(-1),
        old_values=values[:ticks].reshape(-1),
        advantages=judged.advantages.reshape(-1),
        returns=judged.value_targets.reshape(-1),
        rewards=flat(batch.rewards),
    )
    return part, wrong_by.reshape(-1), log_rhos.reshape(-1)
