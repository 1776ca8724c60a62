"""What the data behind an epoch was like, and the telemetry record of the epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from townlet_core.capture.rollout import Frames
from townlet_core.ppo.statistics import EpochStats
from townlet_core.replay.batch import ReplayBatch
from townlet_core.simulation.state import TownState
from townlet_core.telemetry.fields import HISTOGRAM_BINS
from townlet_core.vocab import CONFLICT_FEATURES, EVENTS

# Events with a counter of their own in the telemetry, beside the conflicts.
COUNTED = (
    "shared_meal",
    "late_help",
    "shift_takeover",
    "chat_success",
    "chat_failure",
    "utility_outage",
    "shower_complete",
    "sleep_complete",
)
NOT_TOLD = ("skipped_in_a_row",)  # statistics of an epoch that only the loop needs


class Counters:
    """The running counts of a batch of towns, to be read as differences between two moments."""

    def __init__(self, state: TownState) -> None:
        towns = state.towns
        self.events = towns["tally"].sum(0)
        self.intensity = float(towns["intensity_sum"].sum())
        self.chat_quality = float(towns["chat_quality_sum"].sum())
        self.invalid = int(towns["invalid_actions"].sum())
        self.actions = int(towns["actions"].sum())


def describe_rollout(
    frames: Frames, feature_names: tuple[str, ...], before: Counters, after: Counters
) -> dict[str, Any]:
    """Say what happened in a rollout: rewards, conflicts and every counted event."""
    lived = frames.alive
    rewards = frames.rewards[lived].astype(np.float64)
    events = dict(zip(EVENTS, (after.events - before.events).tolist(), strict=True))
    chats = events["chat_success"]
    return {
        "rollout_ticks": len(frames.actions),
        "queue_conflict_events": float(events["queue_conflict"]),
        "queue_conflict_intensity_sum": after.intensity - before.intensity,
        **{f"{name}_events": events[name] for name in COUNTED},
        "chat_quality_mean": (after.chat_quality - before.chat_quality) / chats if chats else 0.0,
        "invalid_action_fraction": (after.invalid - before.invalid) / max(after.actions - before.actions, 1),
        **_describe_rewards(rewards, _lane_sums(frames.rewards, lived)),
        "baseline_log_prob_mean": float(frames.log_probs[lived].mean(dtype=np.float64)),
        **_describe_rivalry(_lanes(frames.features, lived), feature_names),
    }


def describe_replay(recorded: list[ReplayBatch], event_counts: dict[str, int] | None) -> dict[str, Any]:
    """Say what the recordings hold. Events beyond conflicts are counted where their log is known."""
    rewards = np.concatenate([batch.rewards.reshape(-1) for batch in recorded]).astype(np.float64)
    sums = np.concatenate([batch.rewards.sum(0, dtype=np.float64) for batch in recorded])
    log_probs = np.concatenate([batch.old_log_probs.reshape(-1) for batch in recorded])
    lanes = [(batch.features[:, n], ...) for batch in recorded for n in range(batch.features.shape[1])]
    stats = [batch.conflict_stats() for batch in recorded]
    about = {
        "rollout_ticks": 0,
        "queue_conflict_events": sum(found["queue_conflict_events"] for found in stats),
        "queue_conflict_intensity_sum": sum(found["queue_conflict_intensity_sum"] for found in stats),
        **_describe_rewards(rewards, sums),
        "baseline_log_prob_mean": float(log_probs.mean(dtype=np.float64)),
        **_describe_rivalry(lanes, recorded[0].feature_names),
    }
    if event_counts is not None:
        about |= {f"{name}_events": event_counts.get(name, 0) for name in COUNTED}
    return about


def _lanes(features: np.ndarray, lived: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split (T, B, A, F) into one (T, F) per agent that was in town, with the ticks it was there."""
    _, towns, agents = lived.shape
    pairs = ((features[:, b, a], lived[:, b, a]) for b in range(towns) for a in range(agents))
    return [(lane, ticks) for lane, ticks in pairs if ticks.any()]


def _lane_sums(rewards: np.ndarray, lived: np.ndarray) -> np.ndarray:
    sums = np.where(lived, rewards, 0).sum(0, dtype=np.float64)
    return sums[lived.any(0)]


def _describe_rewards(rewards: np.ndarray, sums: np.ndarray) -> dict[str, float]:
    """Sum up rewards, each transition's and each sample's sum, over those that are finite."""
    count = len(sums)
    rewards, sums = rewards[np.isfinite(rewards)], sums[np.isfinite(sums)]
    if not len(sums):
        rewards, sums = np.zeros(1), np.zeros(1)
    return {
        "reward_mean": float(rewards.mean()),
        "reward_std": float(rewards.std()),
        "baseline_sample_count": count,
        "baseline_reward_mean": float(rewards.mean()),
        "baseline_reward_sum": float(rewards.sum()),
        "baseline_reward_sum_mean": float(sums.mean()),
    }


def _describe_rivalry(lanes: list[Any], feature_names: tuple[str, ...]) -> dict[str, Any]:
    """Average and peak of each sample's conflict features, then the mean over samples."""
    about: dict[str, Any] = {}
    for name in CONFLICT_FEATURES:
        column = feature_names.index(name)
        values = [lane[ticks, column] for lane, ticks in lanes]
        about[f"conflict.{name}_mean_avg"] = float(np.mean([v.mean(dtype=np.float64) for v in values]))
        about[f"conflict.{name}_max_avg"] = float(np.mean([v.max() for v in values]))
        if name == "rivalry_max":
            counts, _ = np.histogram(np.concatenate(values), bins=HISTOGRAM_BINS, range=(0.0, 1.0))
            about["rivalry_max_histogram"] = counts.tolist()
    return about


def epoch_record(stats: EpochStats, about: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    """Join the learner's statistics, the data's and the place in the run into one flat record.

    What `about` says wins: for recordings, how off-policy they were is told and not the update's own ratio.
    """
    told = {name: value for name, value in stats._asdict().items() if name not in NOT_TOLD}
    return {**place, **told, **about}
