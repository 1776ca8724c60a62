"""Totals of a capture, over all samples and events and per agent (docs/data.md, Totals)."""

from __future__ import annotations

import math
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
        self.add(events)

    def add(self, events: Iterable[dict[str, Any]]) -> None:
        """Count more events."""
        for event in events:
            self._count(event)

    def _count(self, event: dict[str, Any]) -> None:
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
    return add_tallies([tally(parts, events, agent_ids)])


def tally(parts: Sequence[Part], events: EventTotals, agent_ids: Iterable[str]) -> dict[str, Any]:
    """Reduce consecutive towns to what the totals need of them: a few numbers, as JSON."""
    own = {agent: [part for part in parts if part.agent == agent] for agent in agent_ids}
    return {
        "events": dict(events.by_type),
        "reasons": dict(events.reasons),
        "intensity": float(sum(events.intensities)),
        "rewards": _tally_rewards(parts) if parts else None,
        "rivalry": _tally_rivalry(parts),
        "agents": {agent: _tally_agent(agent, parts, events) for agent, parts in own.items() if parts},
    }


def add_tallies(tallies: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Compute the totals of a capture from the tallies of its towns, in order."""
    by_type = _add([one["events"] for one in tallies])
    reasons = _add([one["reasons"] for one in tallies])
    totals: dict[str, float] = {f"{name}_events": by_type.get(name, 0) for name in EVENTS}
    totals["queue_conflict_intensity_sum"] = sum(one["intensity"] for one in tallies)
    for reason in CONFLICT_REASONS:
        totals[f"queue_conflict_{reason}_events"] = reasons.get(reason, 0)
    totals["queue_conflict_reasons"] = len(reasons)
    totals |= _reward_totals([one["rewards"] for one in tallies if one["rewards"]])
    rivalry = [one["rivalry"] for one in tallies]
    totals["rivalry_peak"] = max(one["peak"] for one in rivalry)
    totals["rivalry_last"] = max(one["last"] for one in rivalry)
    totals["rivalry_rises_after_peak"] = sum(one["rises"] for one in rivalry)
    for agent in dict.fromkeys(agent for one in tallies for agent in one["agents"]):
        own = [one["agents"][agent] for one in tallies if agent in one["agents"]]
        totals |= {f"{agent}.{name}": value for name, value in _agent_totals(own).items()}
    return {name: float(value) for name, value in totals.items()}


def _tally_rewards(parts: Sequence[Part]) -> dict[str, Any]:
    rewards = np.concatenate([part.rewards for part in parts]).astype(np.float64)
    clipped = [part.clipped for part in parts if part.clipped is not None]
    return {
        "count": len(rewards),
        "sum": float(rewards.sum()),
        "variance": float(rewards.var()),
        "min": float(rewards.min()),
        "max": float(rewards.max()),
        "clipped": int((np.concatenate(clipped) != 0).sum()) if len(clipped) == len(parts) else None,
    }


def _reward_totals(tallies: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Add up rewards; variances are combined pair by pair.

    Source: Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
    variances", eq. 2.1.
    """
    if not tallies:
        return {}
    count, total, variance = (tallies[0][name] for name in ("count", "sum", "variance"))
    for one in tallies[1:]:
        both = count + one["count"]
        distance = one["sum"] / one["count"] - total / count
        variance = (count * variance + one["count"] * one["variance"]) / both
        variance += distance**2 * count * one["count"] / both**2
        count, total = both, total + one["sum"]
    totals = {
        "reward_sum": total,
        "reward_mean": total / count,
        "reward_std": math.sqrt(variance),
        "reward_min": min(one["min"] for one in tallies),
        "reward_max": max(one["max"] for one in tallies),
    }
    clipped = [one["clipped"] for one in tallies]
    if None not in clipped:
        totals["reward_clipped_fraction"] = sum(clipped) / count
    return totals


def _tally_rivalry(parts: Sequence[Part]) -> dict[str, Any]:
    """Summarise the strongest rivalry over each episode of each town."""
    episodes: dict[tuple[int, int], list[Part]] = {}
    for part in parts:
        episodes.setdefault((part.town, part.episode), []).append(part)
    curves = [_rivalry_curve(parts) for parts in episodes.values()]
    return {
        "peak": max((float(curve.max()) for curve in curves), default=0.0),
        "last": max((float(curve[-1]) for curve in curves), default=0.0),
        "rises": sum(int((np.diff(curve[curve.argmax() :]) > 0).sum()) for curve in curves),
    }


def _rivalry_curve(parts: Sequence[Part]) -> np.ndarray:
    """Return the strongest rivalry at each tick; a gap without agents counts as one 0."""
    frames = np.concatenate([part.first_frame + np.arange(len(part.rivalry)) for part in parts])
    ticks, places = np.unique(frames, return_inverse=True)
    curve = np.zeros(len(ticks))
    np.maximum.at(curve, places, np.concatenate([part.rivalry for part in parts]))
    return np.insert(curve, np.flatnonzero(np.diff(ticks) > 1) + 1, 0.0)


def _tally_agent(agent: str, own: Sequence[Part], events: EventTotals) -> dict[str, Any]:
    needs = {}
    for need in own[0].needs:
        column = np.concatenate([part.needs[need] for part in own if need in part.needs])
        needs[need] = [float(column.min()), float(column.max()), float(column[-1])]
    return {
        "events": {name: count for (actor, name), count in events.by_actor.items() if actor == agent},
        "sums": _add([part.reward_sums for part in own]),
        "needs": needs,
    }


def _agent_totals(own: Sequence[dict[str, Any]]) -> dict[str, float]:
    by_type = _add([one["events"] for one in own])
    totals = {f"{name}_events": by_type.get(name, 0) for name in EVENTS}
    totals |= _add([one["sums"] for one in own])
    for need in own[0]["needs"]:
        lows, highs, lasts = zip(*(one["needs"][need] for one in own if need in one["needs"]), strict=True)
        totals |= {f"{need}_min": min(lows), f"{need}_max": max(highs), f"{need}_last": lasts[-1]}
    return totals


def _add(counts: Iterable[dict[str, float]]) -> dict[str, float]:
    """Add numbers by name, in order."""
    totals: dict[str, float] = {}
    for one in counts:
        for name, value in one.items():
            totals[name] = totals.get(name, 0) + value
    return totals
