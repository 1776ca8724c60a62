"""Metrics of a sample, and the metrics file of a capture."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core import io
from townlet_core.errors import MAX_SHOWN, InputError, shown
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.sample import ReplaySample
from townlet_core.vocab import CONFLICT_FEATURES

TOTAL = "total"  # the entry of a metrics file with the totals of the capture


def sample_metrics(sample: ReplaySample) -> dict[str, float]:
    """Compute the metrics of a sample (docs/data.md, Metrics), with sums in float64.

    Metrics of missing arrays or features are left out. Samples of the older generation count actions by the
    kind in their lookup, and only the kinds that occur.
    """
    metrics = {
        "timesteps": sample.timesteps,
        "reward_sum": sample.rewards.sum(dtype=np.float64),
        "reward_mean": sample.rewards.mean(dtype=np.float64),
        "log_prob_mean": sample.old_log_probs.mean(dtype=np.float64),
        "value_pred_last": sample.value_preds[-1],
        **_feature_metrics(sample),
        **_action_metrics(sample),
        **_conflict_metrics(sample.optional),
        **_reward_metrics(sample),
    }
    return {name: float(value) for name, value in metrics.items()}


def with_metrics(sample: ReplaySample) -> ReplaySample:
    """Return the sample with its metrics in its metadata."""
    return dataclasses.replace(sample, metadata=sample.metadata | {"metrics": sample_metrics(sample)})


def _feature_metrics(sample: ReplaySample) -> dict[str, Any]:
    columns = {name: sample.features[:, i] for i, name in enumerate(sample.feature_names)}
    metrics = {}
    for name in CONFLICT_FEATURES:
        if name in columns:
            metrics[f"{name}_mean"] = columns[name].mean(dtype=np.float64)
            metrics[f"{name}_max"] = columns[name].max()
    if "lateness_counter" in columns:
        metrics["lateness_mean"] = columns["lateness_counter"].mean(dtype=np.float64)
    return metrics


def _action_metrics(sample: ReplaySample) -> dict[str, Any]:
    ids, counts = np.unique(sample.actions, return_counts=True)
    share = counts / counts.sum()
    return {
        "action_nonzero": len(ids),
        "action_total": counts.sum(),
        "action_entropy": max(0.0, -(share * np.log(share)).sum()),
        **_action_counts(sample, dict(zip(ids.tolist(), counts.tolist(), strict=True))),
    }


def _action_counts(sample: ReplaySample, counts: dict[int, int]) -> dict[str, float]:
    """Count actions by name; `counts` is by id."""
    lookup = sample.metadata.get("action_lookup")
    if lookup is None:
        return {}
    if not sample.is_older:
        return {f"action_{name}_count": counts.get(action, 0) for name, action in lookup.items()}
    described = {action: _describe_older(name) for name, action in lookup.items()}
    totals: dict[str, float] = {}
    blocked = 0
    for action, count in counts.items():
        kind, is_blocked = described.get(action, ("unknown", False))
        totals[f"action_{kind}_count"] = totals.get(f"action_{kind}_count", 0) + count
        blocked += count * is_blocked
    return totals | {"action_blocked_ratio": blocked / sum(counts.values())}


def _describe_older(name: str) -> tuple[str, bool]:
    """Read an older action name, which is JSON such as {"kind": "request", "blocked": true}."""
    try:
        action = json.loads(name)
    except (ValueError, RecursionError):
        return name[:MAX_SHOWN], False
    if not isinstance(action, dict):
        return name[:MAX_SHOWN], False
    return str(action.get("kind", "unknown"))[:MAX_SHOWN], action.get("blocked") is True


def _conflict_metrics(optional: dict[str, np.ndarray]) -> dict[str, Any]:
    metrics = {}
    if "conflict_events" in optional:
        metrics["queue_conflict_events"] = optional["conflict_events"].sum(dtype=np.float64)
    if "conflict_intensity" in optional:
        metrics["queue_conflict_intensity_sum"] = optional["conflict_intensity"].sum(dtype=np.float64)
    return metrics


def _reward_metrics(sample: ReplaySample) -> dict[str, Any]:
    if not sample.reward_terms:
        return {}
    sums = sample.optional["reward_terms"].sum(axis=0, dtype=np.float64)
    return {f"reward_{term}_sum": sums[i] for i, term in enumerate(sample.reward_terms)}


def save_metrics(folder: Path, prefix: str, metrics: dict[str, dict[str, float]]) -> Path:
    """Write `<prefix>_metrics.json`: per sample file name, its metrics."""
    return stream_metrics(folder, prefix, metrics.items())


def stream_metrics(folder: Path, prefix: str, metrics: Iterable[tuple[str, dict[str, float]]]) -> Path:
    """Write `<prefix>_metrics.json` in constant memory, of names and metrics in order."""
    path = Path(folder) / f"{prefix}_metrics.json"
    with io.AtomicFile(path) as file:
        file.write(b"{")
        for number, (name, values) in enumerate(metrics):
            entry = io.dump_json({name: values}).removeprefix(b"{").removesuffix(b"\n}\n")
            file.write(b"," + entry if number else entry)
        file.write(b"\n}\n")
    return path


def load_metrics(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> dict[str, dict[str, float]]:
    """Read a metrics file. Raises InputError if it is not numbers by name by sample."""
    content = io.read_json(path, limits.max_manifest_bytes)
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a JSON object of metrics by sample file")
    for name, metrics in content.items():
        if not isinstance(metrics, dict) or not all(
            type(value) in (int, float) for value in metrics.values()
        ):
            raise InputError(f"{path}: {shown(name)} does not hold finite numbers by name")
    return content
