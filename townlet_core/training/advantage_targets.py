"""Rollouts and recordings to training batches: advantages and value targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from townlet_core.capture.rollout import Frames
from townlet_core.errors import InputError
from townlet_core.ppo.advantages import VTrace, advantages, vtrace
from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.losses import ess_fraction
from townlet_core.ppo.network import ActorCritic, score_actions
from townlet_core.ppo.normalisers import finite_rows
from townlet_core.ppo.shards import ONE, Shards
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import SMALLEST_STD
from townlet_core.replay.batch import ReplayBatch
from townlet_core.replay.episodes import learned_ticks


class OffPolicy(NamedTuple):
    """How far recorded data is from the current policy."""

    ratio_mean: float  # mean importance ratio; 1 is on-policy
    ess_fraction: float  # effective sample size over sample size


def rollout_batch(frames: Frames, config: PPOConfig) -> TrainBatch:
    """Compute GAE advantages of a rollout and keep the ticks at which an agent was in town."""
    ticks, towns, agents = frames.actions.shape
    lanes = (ticks, towns * agents)
    estimates = advantages(
        frames.rewards.reshape(lanes),
        frames.values.reshape(ticks + 1, towns * agents),
        (frames.terminations | frames.truncations).reshape(lanes),
        config.gamma,
        config.gae_lambda,
        frames.truncation_values.reshape(lanes) if config.bootstrap_truncations else None,
    ).reshape(frames.actions.shape)
    alive = frames.alive
    values = frames.values[:-1]
    return TrainBatch(
        map=frames.map[alive],
        features=frames.features[alive],
        action_mask=frames.action_mask[alive],
        actions=frames.actions[alive],
        old_log_probs=frames.log_probs[alive],
        old_values=values[alive],
        advantages=estimates[alive],
        returns=(estimates + values)[alive],
        rewards=frames.rewards[alive],
    )


def replay_batch(
    recorded: list[ReplayBatch],
    network: ActorCritic,
    config: PPOConfig,
    correction: str = "self_imitation",
    shards: Shards = ONE,
) -> tuple[TrainBatch, OffPolicy]:
    """Compute advantages and value targets of recorded, off-policy transitions with the current critic.

    correction: "self_imitation": max(return − V, 0), for the policy and the critic.
    Source: Oh et al. 2018, arXiv:1806.05635. "vtrace": advantages weighted by truncated importance ratios.
    "none": return − V, for callers that imitate every action.

    With config.advantage_normalization the advantages are divided by the root mean square of return − V (of
    the V-trace advantages for "vtrace"), before any clipping at 0. Their mean is kept: it measures by how
    much the recorded policy is better than the learner.

    Episodes may end anywhere in a batch. A terminal state has value 0. Where an episode or a recording was
    truncated, the tick without a next observation bootstraps the tick before it, and is not trained on
    (replay/episodes.py).
    Raises InputError if no transition is left.
    """
    parts: list[TrainBatch] = []
    errors: list[np.ndarray] = []
    log_rhos: list[np.ndarray] = []
    for batch in recorded:
        learned = learned_ticks(batch.dones, batch.terminations, config.bootstrap_truncations)
        for lanes in (learned[-1], ~learned[-1]):
            if learned[:, lanes].any():
                part, critic_errors, rhos = _correct(
                    batch, lanes, learned, network, config, correction, shards
                )
                parts.append(part)
                errors.append(critic_errors)
                log_rhos.append(rhos)
    if not parts:
        raise InputError(
            "the recordings have one tick each, and none ends in a terminal state: nothing to learn from",
            "capture longer ones with --ticks",
        )
    ratios = np.exp(np.minimum(np.concatenate(log_rhos).astype(np.float64), 20.0))
    mean, square = float(ratios.mean()), float((ratios**2).mean())
    joined = TrainBatch(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    if config.advantage_normalization:
        finite = np.concatenate(errors)
        finite = finite[np.isfinite(finite)].astype(np.float64)
        scale = max(float(np.sqrt(np.square(finite).mean())) if len(finite) else 0.0, SMALLEST_STD)
        joined = joined._replace(advantages=joined.advantages / np.float32(scale))
    return joined, OffPolicy(mean, ess_fraction(mean, square))


def first_statistics(
    network: ActorCritic,
    seen: Sequence[ReplayBatch] | Sequence[Frames],
    gamma: float,
    shards: Shards = ONE,
) -> None:
    """Initialise the network's running statistics with features and discounted returns, without a critic.

    seen: of each own shard. Statistics of features that have begun already stay as they are.
    """
    features, returns = [], []
    for data in seen:
        agents = math.prod(data.actions.shape[1:])
        lanes = (len(data.actions), agents)
        alive = data.alive.reshape(lanes) if isinstance(data, Frames) else np.ones(lanes, bool)
        rewards = data.rewards.reshape(lanes)
        nothing = np.zeros((len(rewards) + 1, agents), np.float32)
        dones = (data.terminations | data.truncations).reshape(lanes)
        returns.append(advantages(rewards, nothing, dones, gamma, 1.0)[alive])
        features.append(data.features.reshape(*lanes, data.features.shape[-1])[alive])
    add_features = network.observations is not None and not network.observations.count
    add_statistics(network, features if add_features else None, returns, shards)


def add_statistics(
    network: ActorCritic,
    features: Sequence[np.ndarray] | None,
    returns: Sequence[np.ndarray] | None,
    shards: Shards = ONE,
) -> None:
    """Add features (N, F) and returns (N,) of each own shard to the network's statistics, if it keeps them.

    Rows with a number that is not finite are left out.
    """
    if network.observations is not None and features is not None:
        network.update_observation_stats(shards.moments(list(map(finite_rows, features))))
    if network.returns is not None and returns is not None:
        network.update_return_stats(shards.moments([finite_rows(part[:, None]) for part in returns]))


def rows_of(batch: TrainBatch, shards: Shards) -> list[TrainBatch]:
    """Cut a batch that every process has into the own shards' blocks of rows."""
    bounds = shards.bounds(len(batch.actions))
    return [TrainBatch(*(column[bounds[k] : bounds[k + 1]] for column in batch)) for k in shards.own]


def _correct(
    batch: ReplayBatch,
    lanes: np.ndarray,
    learned: np.ndarray,
    network: ActorCritic,
    config: PPOConfig,
    correction: str,
    shards: Shards,
) -> tuple[TrainBatch, np.ndarray, np.ndarray]:
    """Make a batch of some lanes. learned: (T, N) bool of all lanes, the ticks to train on.

    Returns it, the critic's errors and the log ratios, both flat.
    """

    def flat(array: np.ndarray) -> np.ndarray:
        chosen = array[:, lanes]
        return chosen.reshape(-1, *chosen.shape[2:])

    columns = (batch.map, batch.features, batch.action_mask, batch.actions)
    maps, features, masks, actions = (flat(column) for column in columns)
    scored = score_actions(network, maps, features, masks, actions, config.precision, shards)
    log_probs, values = (column.reshape(len(learned), -1) for column in scored)
    log_rhos = log_probs - batch.old_log_probs[:, lanes]
    dones, truncation_values = _cut_lanes(batch.dones[:, lanes], learned[:, lanes], values)
    value_preds = np.concatenate([values, np.zeros_like(values[:1])])
    trajectory = (batch.rewards[:, lanes], value_preds, dones, config.gamma)
    if correction == "vtrace":
        corrected = vtrace(log_rhos, *trajectory, config.gae_lambda, truncation_values=truncation_values)
        critic_errors = corrected.advantages
    else:
        critic_errors = advantages(*trajectory, gae_lambda=1.0, truncation_values=truncation_values)
        kept = critic_errors if correction == "none" else np.maximum(critic_errors, 0)
        corrected = VTrace(kept, values + kept)
    part = TrainBatch(
        map=maps,
        features=features,
        action_mask=masks,
        actions=actions,
        # The advantages carry any importance weight, so the ratio starts at 1 with the policy as it is.
        old_log_probs=log_probs.reshape(-1),
        old_values=values.reshape(-1),
        advantages=corrected.advantages.reshape(-1),
        returns=corrected.value_targets.reshape(-1),
        rewards=flat(batch.rewards),
    )
    rows = flat(learned)
    part = part if rows.all() else TrainBatch(*(column[rows] for column in part))
    return part, critic_errors.reshape(-1)[rows], log_rhos.reshape(-1)[rows]


def _cut_lanes(dones: np.ndarray, learned: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """End lanes before each tick that is not trained on, and bootstrap the tick before with its value.

    Returns dones and truncation values as `advantages` takes them. All arrays are (T, N).
    """
    dones, truncation_values = dones.copy(), np.zeros_like(values)
    bootstraps = ~learned[1:]
    truncation_values[:-1] = np.where(bootstraps & ~dones[:-1], values[1:], 0)
    dones[:-1] |= bootstraps
    return dones, truncation_values
