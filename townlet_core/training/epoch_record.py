"""What an epoch reports: its place in the run, the learner's statistics, and the data behind it.

Fields have the names of docs/telemetry.md; `conflict.…` is written with an underscore here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from townlet_core.capture.rollout import Frames
from townlet_core.ppo.shards import ONE, Shards
from townlet_core.ppo.statistics import EpochStats
from townlet_core.replay.batch import ReplayBatch
from townlet_core.simulation.state import TownState
from townlet_core.telemetry.fields import HISTOGRAM_BINS, REWARD_TERM_FIELDS
from townlet_core.training.evaluation import Evaluation
from townlet_core.training.progress import Progress
from townlet_core.training.run_file import now
from townlet_core.vocab import EVENTS

RIVALRY_FEATURES = ("rivalry_max", "rivalry_avoid_count")
NOT_WRITTEN = ("skipped_in_a_row",)  # statistics of an epoch that only the loop needs


class EpochPlace(NamedTuple):
    """Which epoch of which run, and how long it took."""

    run_id: str
    scenario: str
    seed: int
    timestamp: str
    epoch: int
    cycle_id: int
    data_mode: str
    steps: int
    env_steps: int
    env_ticks: int
    epoch_duration_sec: float
    steps_per_second: float


class EventCounts(NamedTuple):
    """Events with a counter of their own, beside the conflicts."""

    shared_meal_events: int
    late_help_events: int
    shift_takeover_events: int
    chat_success_events: int
    chat_failure_events: int
    utility_outage_events: int
    shower_complete_events: int
    sleep_complete_events: int


class Rewards(NamedTuple):
    """Rewards over transitions, and their sums over samples; those that are not finite are left out."""

    reward_mean: float
    reward_std: float
    baseline_sample_count: int
    baseline_reward_mean: float
    baseline_reward_sum: float
    baseline_reward_sum_mean: float  # over samples


class Rivalry(NamedTuple):
    """Mean and maximum of each sample's conflict features, averaged over samples."""

    conflict_rivalry_max_mean_avg: float
    conflict_rivalry_max_max_avg: float
    rivalry_max_histogram: list[int]  # of all ticks
    conflict_rivalry_avoid_count_mean_avg: float
    conflict_rivalry_avoid_count_max_avg: float


class RolloutData(NamedTuple):
    """What happened in a rollout."""

    rollout_ticks: int
    queue_conflict_events: float
    queue_conflict_intensity_sum: float
    events: EventCounts
    chat_quality_mean: float
    invalid_action_fraction: float
    rewards: Rewards
    baseline_log_prob_mean: float
    rivalry: Rivalry
    reward_terms: dict[str, float]  # by field
    episode_return_mean: float | None = None  # where an episode ended
    env_steps_per_second: float | None = None  # of the cycle

    @property
    def data_mode(self) -> str:
        """Name the data mode of the records."""
        return "rollout"


class ReplayData(NamedTuple):
    """What the recordings of a cycle hold."""

    rollout_ticks: int
    queue_conflict_events: float
    queue_conflict_intensity_sum: float
    rewards: Rewards
    baseline_log_prob_mean: float
    rivalry: Rivalry
    events: EventCounts | None  # where their log is known

    @property
    def data_mode(self) -> str:
        """Name the data mode of the records."""
        return "replay"


def epoch_place(
    run_id: str,
    scenario: str,
    seed: int,
    progress: Progress,
    data: RolloutData | ReplayData,
    stats: EpochStats,
    seconds: float,
) -> EpochPlace:
    """Return the place of an epoch that was just counted in `progress`, and took so many seconds."""
    return EpochPlace(
        run_id=run_id,
        scenario=scenario,
        seed=seed,
        timestamp=now(),
        epoch=progress.epoch,
        cycle_id=progress.cycle,
        data_mode=data.data_mode,
        steps=progress.steps,
        env_steps=progress.env_steps,
        env_ticks=progress.env_ticks,
        epoch_duration_sec=seconds,
        steps_per_second=stats.transitions / max(seconds, 1e-9),
    )


COUNTERS = ("tally", "intensity_sum", "chat_quality_sum", "invalid_actions", "actions")  # of a town's record


class Counters:
    """The running counts of all towns, to be read as differences between two moments."""

    def __init__(self, state: TownState, shards: Shards = ONE) -> None:
        tally, intensity, chat_quality, invalid, actions = (
            shards.join(np.ascontiguousarray(state.towns[name])) for name in COUNTERS
        )
        self.events = tally.sum(0)
        self.intensity = float(intensity.sum())
        self.chat_quality = float(chat_quality.sum())
        self.invalid = int(invalid.sum())
        self.actions = int(actions.sum())


class Played(NamedTuple):
    """The columns of a rollout that its description needs, of all towns."""

    rewards: np.ndarray  # (T, B, A)
    reward_terms: np.ndarray  # (T, B, A, R)
    log_probs: np.ndarray  # (T, B, A)
    features: np.ndarray  # (T, B, A, 2), those of RIVALRY_FEATURES
    ended: np.ndarray  # (T, B, A) bool, terminated or truncated
    alive: np.ndarray  # (T, B, A) bool


def played(frames: Frames, feature_names: tuple[str, ...], shards: Shards) -> Played:
    """Collect the columns of all towns from the frames of this process and the others."""
    rivalry = [feature_names.index(name) for name in RIVALRY_FEATURES]
    own = Played(
        frames.rewards,
        frames.reward_terms,
        frames.log_probs,
        frames.features[..., rivalry],
        frames.terminations | frames.truncations,
        frames.alive,
    )
    return Played(*(shards.join(column, axis=1) for column in own))


def describe_rollout(seen: Played, before: Counters, after: Counters) -> RolloutData:
    """Sum up a rollout: rewards, conflicts and every counted event."""
    alive = seen.alive
    events = dict(zip(EVENTS, (after.events - before.events).tolist(), strict=True))
    chats = events["chat_success"]
    return RolloutData(
        rollout_ticks=len(alive),
        queue_conflict_events=float(events["queue_conflict"]),
        queue_conflict_intensity_sum=after.intensity - before.intensity,
        events=_event_counts(events),
        chat_quality_mean=(after.chat_quality - before.chat_quality) / chats if chats else 0.0,
        invalid_action_fraction=(after.invalid - before.invalid) / max(after.actions - before.actions, 1),
        rewards=_describe_rewards(
            seen.rewards[alive].astype(np.float64), _sums_per_agent(seen.rewards, alive)
        ),
        baseline_log_prob_mean=float(seen.log_probs[alive].mean(dtype=np.float64)),
        rivalry=_describe_rivalry(_features_per_agent(seen.features, alive), RIVALRY_FEATURES),
        reward_terms=_describe_terms(seen.reward_terms[alive]),
    )


def describe_replay(recorded: list[ReplayBatch], event_counts: dict[str, int] | None) -> ReplayData:
    """Sum up recordings. Events beyond conflicts are counted where their log is known."""
    rewards = np.concatenate([batch.rewards.reshape(-1) for batch in recorded]).astype(np.float64)
    sums = np.concatenate([batch.rewards.sum(0, dtype=np.float64) for batch in recorded])
    log_probs = np.concatenate([batch.old_log_probs.reshape(-1) for batch in recorded])
    features = [(batch.features[:, n], ...) for batch in recorded for n in range(batch.features.shape[1])]
    stats = [batch.conflict_stats() for batch in recorded]
    return ReplayData(
        rollout_ticks=0,
        queue_conflict_events=sum(found["queue_conflict_events"] for found in stats),
        queue_conflict_intensity_sum=sum(found["queue_conflict_intensity_sum"] for found in stats),
        rewards=_describe_rewards(rewards, sums),
        baseline_log_prob_mean=float(log_probs.mean(dtype=np.float64)),
        rivalry=_describe_rivalry(features, recorded[0].feature_names),
        events=None if event_counts is None else _event_counts(event_counts),
    )


def _event_counts(counts: dict[str, int]) -> EventCounts:
    return EventCounts(*(counts.get(name.removesuffix("_events"), 0) for name in EventCounts._fields))


def _features_per_agent(features: np.ndarray, alive: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split (T, B, A, F) into one (T, F) per agent that was in town, with the ticks it was there."""
    _, towns, agents = alive.shape
    pairs = ((features[:, b, a], alive[:, b, a]) for b in range(towns) for a in range(agents))
    return [(sample, ticks) for sample, ticks in pairs if ticks.any()]


def _sums_per_agent(rewards: np.ndarray, alive: np.ndarray) -> np.ndarray:
    sums = np.where(alive, rewards, 0).sum(0, dtype=np.float64)
    return sums[alive.any(0)]


def _describe_rewards(rewards: np.ndarray, sums: np.ndarray) -> Rewards:
    """Sum up rewards, each transition's and each sample's sum, over those that are finite."""
    count = len(sums)
    rewards, sums = rewards[np.isfinite(rewards)], sums[np.isfinite(sums)]
    if not len(sums):
        rewards, sums = np.zeros(1), np.zeros(1)
    return Rewards(
        reward_mean=float(rewards.mean()),
        reward_std=float(rewards.std()),
        baseline_sample_count=count,
        baseline_reward_mean=float(rewards.mean()),
        baseline_reward_sum=float(rewards.sum()),
        baseline_reward_sum_mean=float(sums.mean()),
    )


def _describe_terms(terms: np.ndarray) -> dict[str, float]:
    """Return the mean of each reward term, (N, R), over the transitions whose terms are finite."""
    finite = terms[np.isfinite(terms).all(1)]
    means = finite.mean(0, dtype=np.float64) if len(finite) else np.zeros(terms.shape[1])
    return dict(zip(REWARD_TERM_FIELDS.values(), means.tolist(), strict=True))


def _describe_rivalry(samples: list[Any], feature_names: tuple[str, ...]) -> Rivalry:
    """Summarise rivalry over samples: the features of each, (T, F), and the ticks that count."""

    def column(name: str) -> list[np.ndarray]:
        return [features[ticks, feature_names.index(name)] for features, ticks in samples]

    rivalry, avoided = map(column, RIVALRY_FEATURES)
    histogram, _ = np.histogram(np.concatenate(rivalry), bins=HISTOGRAM_BINS, range=(0.0, 1.0))
    return Rivalry(
        conflict_rivalry_max_mean_avg=_mean_of_means(rivalry),
        conflict_rivalry_max_max_avg=_mean_of_maxima(rivalry),
        rivalry_max_histogram=histogram.tolist(),
        conflict_rivalry_avoid_count_mean_avg=_mean_of_means(avoided),
        conflict_rivalry_avoid_count_max_avg=_mean_of_maxima(avoided),
    )


def _mean_of_means(samples: list[np.ndarray]) -> float:
    return float(np.mean([sample.mean(dtype=np.float64) for sample in samples]))


def _mean_of_maxima(samples: list[np.ndarray]) -> float:
    return float(np.mean([sample.max() for sample in samples]))


def epoch_record(
    place: EpochPlace,
    stats: EpochStats,
    data: RolloutData | ReplayData,
    evaluation: Evaluation | None = None,
) -> dict[str, Any]:
    """Join the parts into one flat record; fields that are None are left out.

    Raises ValueError if two of them give the same field.
    """
    record: dict[str, Any] = {}
    for part in (place, stats, data, *filter(None, (evaluation,))):
        for name, value in _flat(part):
            if name in record:
                raise ValueError(f"{type(part).__name__} gives {name}, which the record has already")
            record[name] = value
    return record


def _flat(part: Any) -> Iterator[tuple[str, Any]]:
    for name, value in part._asdict().items():
        if hasattr(value, "_asdict"):
            yield from _flat(value)
        elif isinstance(value, dict):
            yield from value.items()
        elif value is not None and name not in NOT_WRITTEN:
            yield (name.replace("_", ".", 1) if name.startswith("conflict_") else name), value
