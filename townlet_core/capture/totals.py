"""A capture in numbers: totals over everything and per agent, and what a scenario expects of them."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import ScenarioError, did_you_mean
from townlet_core.replay.sample import ReplaySample
from townlet_core.scenario.model import Scenario
from townlet_core.vocab import CONFLICT_REASONS, EVENTS, NEEDS


def capture_totals(
    samples: list[ReplaySample], events: list[dict[str, Any]], agent_ids: list[str]
) -> dict[str, float]:
    """Sum up a capture. Names and meaning in docs/data.md, Totals; `<agent>.` opens an agent's own."""
    totals: dict[str, float] = {}
    totals |= _event_counts(events)
    totals["queue_conflict_intensity_sum"] = sum(event.get("intensity", 0.0) for event in events)
    for reason in CONFLICT_REASONS:
        totals[f"queue_conflict_{reason}_events"] = sum(e.get("reason") == reason for e in events)
    totals["queue_conflict_reasons"] = len({e["reason"] for e in events if "reason" in e})
    totals |= _reward_totals(samples)
    totals |= _rivalry_totals(samples)
    for agent in agent_ids:
        own = [sample for sample in samples if sample.agent_id == agent]
        if own:
            totals |= {f"{agent}.{name}": value for name, value in _agent_totals(agent, own, events).items()}
    return {name: float(value) for name, value in totals.items()}


def _event_counts(events: list[dict[str, Any]]) -> dict[str, float]:
    counts = Counter(event["type"] for event in events)
    return {f"{name}_events": counts[name] for name in EVENTS}


def _reward_totals(samples: list[ReplaySample]) -> dict[str, float]:
    if not samples:
        return {}
    rewards = np.concatenate([sample.rewards for sample in samples]).astype(np.float64)
    clipped = np.concatenate([sample.optional["reward_terms"][:, -1] for sample in samples])
    return {
        "reward_sum": rewards.sum(),
        "reward_mean": rewards.mean(),
        "reward_std": rewards.std(),
        "reward_min": rewards.min(),
        "reward_max": rewards.max(),
        "reward_clipped_fraction": (clipped != 0).mean(),
    }


def _rivalry_totals(samples: list[ReplaySample]) -> dict[str, float]:
    """Follow the strongest rivalry of each town's episode from its peak to its end."""
    curves: dict[tuple[int, int], np.ndarray] = {}
    for sample in samples:
        about = sample.metadata["capture"]
        first = about["first_frame"]
        curve = curves.setdefault((about["town"], about["episode"]), np.zeros(0))
        padded = np.zeros(max(len(curve), first + sample.timesteps))
        padded[: len(curve)] = curve
        own = sample.features[:, sample.feature_names.index("rivalry_max")]
        padded[first : first + sample.timesteps] = np.maximum(padded[first : first + sample.timesteps], own)
        curves[about["town"], about["episode"]] = padded
    rises = sum(int((np.diff(curve[curve.argmax() :]) > 0).sum()) for curve in curves.values())
    return {
        "rivalry_peak": max((float(curve.max()) for curve in curves.values()), default=0.0),
        "rivalry_last": max((float(curve[-1]) for curve in curves.values()), default=0.0),
        "rivalry_rises_after_peak": rises,
    }


def _agent_totals(agent: str, own: list[ReplaySample], events: list[dict[str, Any]]) -> dict[str, float]:
    totals = {f"{name}_events": 0.0 for name in EVENTS}
    for event in events:
        if event.get("actor") == agent:
            totals[f"{event['type']}_events"] += 1
    for sample in own:
        for name, value in sample.metadata["metrics"].items():
            if name.startswith("reward_") and name.endswith("_sum"):
                totals[name] = totals.get(name, 0.0) + value
    names = own[0].feature_names
    for need in NEEDS:
        column = np.concatenate([sample.features[:, names.index(f"need_{need}")] for sample in own])
        totals[f"{need}_min"], totals[f"{need}_max"] = column.min(), column.max()
        totals[f"{need}_last"] = column[-1]
    return totals


class Miss(NamedTuple):
    """An expectation that the capture does not meet."""

    metric: str
    value: float
    least: float | None
    most: float | None

    def __str__(self) -> str:
        least = "-inf" if self.least is None else f"{self.least:g}"
        most = "inf" if self.most is None else f"{self.most:g}"
        return f"{self.metric} is {self.value:g}, expected {least} to {most}"


def unmet_expectations(scenario: Scenario, totals: dict[str, float]) -> list[Miss]:
    """Compare a capture's totals with the scenario's `expect`. Raises ScenarioError for an unknown metric."""
    misses = []
    for metric, (least, most) in scenario.expect.items():
        if metric not in totals:
            raise ScenarioError(
                f"{scenario.name}: expect.{metric}: no such total of a capture"
                f"{did_you_mean(metric, list(totals))}",
                "docs/data.md lists the totals",
            )
        value = totals[metric]
        if (least is not None and value < least) or (most is not None and value > most):
            misses.append(Miss(metric, value, least, most))
    return misses
