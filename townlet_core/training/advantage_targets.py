"""From frames and recordings to batches to learn from, with advantages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from townlet_core.capture.rollout import Frames
from townlet_core.errors import InputError
from townlet_core.ppo.advantages import VTrace, advantages, vtrace
from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.losses import ess_fraction
from townlet_core.ppo.network import ActorCritic, score_actions
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import SMALLEST_STD
from townlet_core.replay.batch import ReplayBatch
from townlet_core.replay.episodes import learned_ticks


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

    Wherever an episode ends, in the last row or before, the rule is the same: what ends for good is worth 0
    from then on; where the episode or the recording was cut, the tick that has no observation after it serves
    as the bootstrap of the tick before, and is not learned from itself (replay/episodes.py).
    Raises InputError if that leaves nothing.
    """
    parts: list[TrainBatch] = []
    errors: list[np.ndarray] = []
    log_rhos: list[np.ndarray] = []
    for batch in recorded:
        learned = learned_ticks(batch.dones, batch.terminations, config.bootstrap_truncations)
        for lanes in (learned[-1], ~learned[-1]):
            if learned[:, lanes].any():
                part, wrong_by, rhos = _judge(batch, lanes, learned, network, config, correction)
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
    network.update_observation_stats(np.concatenate(features))
    network.update_return_stats(np.concatenate(returns))


def _judge(
    batch: ReplayBatch,
    lanes: np.ndarray,
    learned: np.ndarray,
    network: ActorCritic,
    config: PPOConfig,
    correction: str,
) -> tuple[TrainBatch, np.ndarray, np.ndarray]:
    """Make a batch of the learned ticks of some lanes. learned: (T, N) of all lanes.

    Returns it, what the critic was wrong by, and the log ratios, both flat.
    """

    def flat(array: np.ndarray) -> np.ndarray:
        chosen = array[:, lanes]
        return chosen.reshape(-1, *chosen.shape[2:])

    columns = (batch.map, batch.features, batch.action_mask, batch.actions)
    maps, features, masks, actions = (flat(column) for column in columns)
    scored = score_actions(network, maps, features, masks, actions, config.precision)
    log_probs, values = (column.reshape(len(learned), -1) for column in scored)
    log_rhos = log_probs - batch.old_log_probs[:, lanes]
    dones, finals = _ends(batch.dones[:, lanes], learned[:, lanes], values)
    followed = np.concatenate([values, np.zeros_like(values[:1])])
    outcome = (batch.rewards[:, lanes], followed, dones, config.gamma)
    if correction == "vtrace":
        judged = vtrace(log_rhos, *outcome, config.gae_lambda, truncation_values=finals)
        wrong_by = judged.advantages
    else:
        wrong_by = advantages(*outcome, gae_lambda=1.0, truncation_values=finals)
        kept = wrong_by if correction == "none" else np.maximum(wrong_by, 0)
        judged = VTrace(kept, values + kept)
    part = TrainBatch(
        map=maps,
        features=features,
        action_mask=masks,
        actions=actions,
        # The advantages carry any importance weight, so the ratio starts at 1 with the policy as it is.
        old_log_probs=log_probs.reshape(-1),
        old_values=values.reshape(-1),
        advantages=judged.advantages.reshape(-1),
        returns=judged.value_targets.reshape(-1),
        rewards=flat(batch.rewards),
    )
    rows = flat(learned)
    part = part if rows.all() else TrainBatch(*(column[rows] for column in part))
    return part, wrong_by.reshape(-1)[rows], log_rhos.reshape(-1)[rows]


def _ends(dones: np.ndarray, learned: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Let lanes end before each tick that is not learned from, and give its value to the tick before.

    Returns dones and truncation values as `advantages` takes them. All arrays are (T, N).
    """
    dones, finals = dones.copy(), np.zeros_like(values)
    bootstraps = ~learned[1:]
    finals[:-1] = np.where(bootstraps & ~dones[:-1], values[1:], 0)
    dones[:-1] |= bootstraps
    return dones, finals
