"""Describe samples and manifests: agents, shapes, metrics, actions, rewards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core import io
from townlet_core.errors import count
from townlet_core.replay.find import find_entries
from townlet_core.replay.format import warnings
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import (
    Manifest,
    ManifestEntry,
    companion,
    listed_files,
    load_manifest,
    sample_or_manifest,
)
from townlet_core.replay.metrics import sample_metrics
from townlet_core.replay.packed.reference import unlisted_shard
from townlet_core.replay.quarrels import Quarrel, SampleQuarrels, logged_quarrels
from townlet_core.replay.sample import ReplaySample, load_sample
from townlet_core.replay.statistics import DatasetStatistics, Read, read_statistics

MOST_ROWS = 1000  # samples that are described one by one
_CURVE_POINTS = 60


def describe_path(path: Path, limits: ReadLimits = DEFAULT_LIMITS, features: bool = False) -> dict[str, Any]:
    """Describe a sample (NPZ or its JSON), a manifest, a shard, or a folder with one manifest.

    The result is JSON-ready; `kind` says which. features: add mean and standard deviation of every feature.
    Raises SampleError, MissingError, InputError or DiskError.
    """
    path = sample_or_manifest(path)
    if path.suffix != ".npz":
        return describe_dataset(path, find_entries(path, limits), limits, features)
    sample, found = load_sample(path, limits=limits)
    result = {"kind": "sample", "file": str(path), **describe_sample(sample), "warnings": found}
    return result | ({"features": _features(sample)} if features else {})


def describe_sample(sample: ReplaySample) -> dict[str, Any]:
    """Describe one sample: agent, length, arrays, metrics, action counts, reward curve."""
    metadata = sample.metadata
    return {
        "agent_id": sample.agent_id,
        "timesteps": sample.timesteps,
        "schema_version": metadata.get("schema_version"),
        "behaviour": metadata.get("behaviour"),
        "value_source": metadata.get("value_source"),
        "capture": metadata.get("capture"),
        "arrays": [_describe_array(name, array) for name, array in sample.arrays().items()],
        "metrics": sample_metrics(sample),
        "actions": _count_actions(sample),
        "reward_curve": _curve(sample.rewards),
    }


def _describe_array(name: str, array: np.ndarray) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "min": float(array.min()),
        "mean": float(array.mean(dtype=np.float64)),
        "max": float(array.max()),
    }


def _count_actions(sample: ReplaySample) -> dict[str, int]:
    """Count actions by name; an id without a name is shown as `id 3`."""
    lookup = sample.metadata.get("action_lookup") or {}
    names = {action: name for name, action in lookup.items()}
    ids, counts = np.unique(sample.actions, return_counts=True)
    return {
        names.get(action, f"id {action}"): count
        for action, count in zip(ids.tolist(), counts.tolist(), strict=True)
    }


def _curve(values: np.ndarray) -> list[float]:
    """Average a series into at most _CURVE_POINTS points."""
    parts = np.array_split(values, min(_CURVE_POINTS, len(values)))
    return [float(part.mean(dtype=np.float64)) for part in parts]


def describe_dataset(
    path: Path,
    entries: list[ManifestEntry],
    limits: ReadLimits = DEFAULT_LIMITS,
    features: bool = False,
    after_sample: Callable[[], Any] = lambda: None,
) -> dict[str, Any]:
    """Describe a manifest or a shard and its samples, each of which is read once.

    Memory holds one sample, and metrics of the first MOST_ROWS. Raises as describe_path does.
    """
    rows: list[dict[str, Any]] = []
    weak: dict[str, list[Any]] = {}  # message: [first file, how many]
    shares = SampleQuarrels()

    def note(read: Read) -> None:
        if len(rows) < MOST_ROWS:
            row = {"sample": read.entry.name, "agent_id": read.sample.agent_id, "metrics": read.metrics}
            rows.append(row)
        for finding in warnings(read.findings):
            weak.setdefault(f"{finding.place} {finding.message}".strip(), [finding.file, 0])[1] += 1
        shares.add(read.sample)
        after_sample()

    statistics = read_statistics(entries, limits, note)
    manifest = None if path.suffix == ".arrow" else load_manifest(path, limits)
    fitting = statistics.compatibility
    return {
        "kind": "manifest" if manifest else "shard",
        "file": str(path),
        "metadata": manifest.metadata if manifest else {},
        "bytes": _bytes(path, manifest),
        "samples": rows,
        "transitions": statistics.as_dict()["counts"]["transitions"],
        "map_shape": list(fitting.map_shape),
        "feature_count": len(fitting.feature_names),
        "action_dim": fitting.action_dim,
        "warnings": [*fitting.warnings(), *(_shared(text, *found) for text, found in weak.items())],
        "statistics": statistics.as_dict(),
        "quarrels": [quarrel._asdict() for quarrel in _quarrels(manifest, shares, limits)],
        **({"features": statistics.feature_statistics()} if features else {}),
    }


def _shared(text: str, file: str, files: int) -> str:
    more = f" (and {count(files - 1, 'more file')})" if files > 1 else ""
    return f"{file}: {text}{more}"


def _bytes(path: Path, manifest: Manifest | None) -> int:
    """Return the size of all files of a dataset."""
    shard = unlisted_shard(path)
    files = listed_files(manifest) if manifest else [shard.path, shard.samples]
    return sum(io.file_size(file) for file in files if io.kind_of(file) == "file")


def _quarrels(manifest: Manifest | None, shares: SampleQuarrels, limits: ReadLimits) -> list[Quarrel]:
    """Return the strongest conflicts of the event log, or without one those of single agents."""
    log = companion(manifest.path, "events.jsonl") if manifest else None
    return logged_quarrels(log, limits) if log and io.kind_of(log) == "file" else shares.largest


def _features(sample: ReplaySample) -> dict[str, Any]:
    statistics = DatasetStatistics()
    statistics.add(sample, sample_metrics(sample))
    return statistics.feature_statistics()
