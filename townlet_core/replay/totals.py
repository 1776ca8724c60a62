"""Totals of a capture, over all samples and events and per agent (docs/data.md, Totals)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from townlet_core.replay.sample import ReplaySample
from townlet_core.vocab import CONFLICT_REASONS, EVENTS, NEEDS


class Part(NamedTuple):
    """What the totals need of a sample, without its large arrays."""

    agent: str
    town: int
    episode: int
    first_frame: int  # index among the town's ticks in the capture
    rewards: np.ndarray  # (T,) float32
    clipped: np.ndarray | None  # (T,) float32, the term `clipped`; None without it
    rivalry: np.ndarray  # (T,) float32, the feature `rivalry_max`
    needs: dict[str, np.ndarray]  # (T,) float32 each, of the needs that the features name
    reward_sums: dict[str, float]  # of the rewards and of each of their terms, by metric
    conflicts: tuple[float, float]  # the sample's share: number and intensity


def part_of(sample: ReplaySample, metrics: dict[str, float]) -> Part | None:
    """Extract the part of a sample; None if an array or `rivalry_max` is missing. metrics: the sample's."""
    about = sample.metadata.get("capture") or {}
    town, episode, first_frame = (about.get(name) for name in ("town", "episode", "first_frame"))
    features = {name: sample.features[:, i] for i, name in enumerate(sample.feature_names)}
    arrays = ("reward_terms", "conflict_events", "conflict_intensity")
    if "rivalry_max" not in features or any(name not in sample.optional for name in arrays):
        return None
    if not (isinstance(town, int) and isinstance(episode, int) and isinstance(first_frame, int)):
        return None
    return Part(
        sample.agent_id,
        town,
        episode,
        first_frame,
        sample.rewards.copy(),  # a view would keep the whole file in memory
        _clipped(sample),
        features["rivalry_max"].copy(),
        {need: features[f"need_{need}"].copy() for need in NEEDS if f"need_{need}" in features},
        {name: n for name, n in metrics.items() if name.startswith("reward_") and name.endswith("_sum")},
        (metrics["queue_conflict_events"], metrics["queue_conflict_intensity_sum"]),
    )


def _clipped(sample: ReplaySample) -> np.ndarray | None:
    if "clipped" not in sample.reward_terms:
        return None
    return sample.optional["reward_terms"][:, sample.reward_terms.index("clipped")].copy()


class EventTotals:
    """Counts of an event log, in total and per actor, in one pass.

    by_type: counts by type. by_actor: counts by (actor, type). shares: by (town, agent), half of its
    conflicts and half of their intensity.
    """

    def __init__(self, events: Iterable[dict[str, Any]]) -> None:
        self.by_type: Counter[str] = Counter()
        self.by_actor: Counter[tuple[str, str]] = Counter()
        self.reasons: Counter[str] = Counter()
        self.intensities: list[float] = []
        self.shares: dict[tuple[int, str], tuple[float, float]] = {}
        for event in events:
            self._add(event)

    def _add(self, event: dict[str, Any]) -> None:
        self.by_type[event["type"]] += 1
        if isinstance(event.get("actor"), str):
            self.by_actor[event["actor"], event["type"]] += 1
        if event["type"] != "queue_conflict":
            return
        self.reasons[event["reason"]] += 1
        self.intensities.append(event["intensity"])
        for party in (str(event["actor"]), str(event["rival"])):
            count, intensity = self.shares.get((event["town"], party), (0.0, 0.0))
            self.shares[event["town"], party] = count + 0.5, intensity + event["intensity"] / 2


def capture_totals(parts: Sequence[Part], events: EventTotals, agent_ids: Iterable[str]) -> dict[str, float]:
    """Compute the totals of a capture (docs/data.md, Totals); those of an agent begin with `<agent>.`."""
    totals: dict[str, float] = {f"{name}_events": events.by_type[name] for name in EVENTS}
    totals["queue_conflict_intensity_sum"] = sum(events.intensities)
    for reason in CONFLICT_REASONS:
        totals[f"queue_conflict_{reason}_events"] = events.reasons[reason]
    totals["queue_conflict_reasons"] = len(events.reasons)
    totals |= _reward_totals(parts)
    totals |= _rivalry_totals(parts)
    for agent in agent_ids:
        own = [part for part in parts if part.agent == agent]
        if own:
            totals |= {f"{agent}.{name}": value for name, value in _agent_totals(agent, own, events).items()}
    return {name: float(value) for name, value in totals.items()}


def _reward_totals(parts: Sequence[Part]) -> dict[str, float]:
    if not parts:
        return {}
    rewards = np.concatenate([part.rewards for part in parts]).astype(np.float64)
    clipped = [part.clipped for part in parts if part.clipped is not None]
    totals = {
        "reward_sum": rewards.sum(),
        "reward_mean": rewards.mean(),
        "reward_std": rewards.std(),
        "reward_min": rewards.min(),
        "reward_max": rewards.max(),
    }
    if len(clipped) == len(parts):
        totals["reward_clipped_fraction"] = (np.concatenate(clipped) != 0).mean()
    return totals


def _rivalry_totals(parts: Sequence[Part]) -> dict[str, float]:
    """Summarise the strongest rivalry over each episode of each town."""
    episodes: dict[tuple[int, int], list[Part]] = {}
    for part in parts:
        episodes.setdefault((part.town, part.episode), []).append(part)
    curves = [_rivalry_curve(parts) for parts in episodes.values()]
    rises = sum(int((np.diff(curve[curve.argmax() :]) > 0).sum()) for curve in curves)
    return {
        "rivalry_peak": max((float(curve.max()) for curve in curves), default=0.0),
        "rivalry_last": max((float(curve[-1]) for curve in curves), default=0.0),
        "rivalry_rises_after_peak": rises,
    }


def _rivalry_curve(parts: Sequence[Part]) -> np.ndarray:
    """Return the strongest rivalry at each tick; a gap without agents counts as one 0."""
    frames = np.concatenate([part.first_frame + np.arange(len(part.rivalry)) for part in parts])
    ticks, places = np.unique(frames, return_inverse=True)
    curve = np.zeros(len(ticks))
    np.maximum.at(curve, places, np.concatenate([part.rivalry for part in parts]))
    return np.insert(curve, np.flatnonzero(np.diff(ticks) > 1) + 1, 0.0)


def _agent_totals(agent: str, own: Sequence[Part], events: EventTotals) -> dict[str, float]:
    totals = {f"{name}_events": float(events.by_actor[agent, name]) for name in EVENTS}
    for part in own:
        for name, value in part.reward_sums.items():
            totals[name] = totals.get(name, 0.0) + value
    for need in own[0].needs:
        column = np.concatenate([part.needs[need] for part in own if need in part.needs])
        totals[f"{need}_min"], totals[f"{need}_max"] = column.min(), column.max()
        totals[f"{need}_last"] = column[-1]
    return totals
