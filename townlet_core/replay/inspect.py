"""Describe samples and manifests: agents, shapes, metrics, actions, rewards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import load_manifest, read_entry, sample_or_manifest
from townlet_core.replay.metrics import sample_metrics
from townlet_core.replay.sample import ReplaySample, load_sample

_CURVE_POINTS = 60


def describe_path(path: Path, limits: ReadLimits = DEFAULT_LIMITS, features: bool = False) -> dict[str, Any]:
    """Describe a sample (NPZ or its JSON), a manifest, or a folder with one manifest, as JSON-ready data.

    `kind` says which. features: add mean and standard deviation of every feature.
    Raises SampleError, MissingError, InputError or DiskError.
    """
    path = sample_or_manifest(path)
    if path.suffix == ".npz":
        sample, warnings = load_sample(path, limits=limits)
        config = ReplayDatasetConfig(samples=(path,), limits=limits)
        result = {"kind": "sample", "file": str(path), **describe_sample(sample), "warnings": warnings}
    else:
        config = ReplayDatasetConfig(manifests=(path,), streaming=True, limits=limits)
        result = {"kind": "manifest", "file": str(path), **_describe_manifest(path, config)}
    return result | ({"features": ReplayDataset(config).feature_statistics()} if features else {})


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


def _describe_manifest(path: Path, config: ReplayDatasetConfig) -> dict[str, Any]:
    manifest = load_manifest(path, config.limits)
    dataset = ReplayDataset(config)  # checks that the samples are compatible
    rows = []
    for entry in manifest.entries:
        sample = read_entry(entry, config.limits)
        rows.append({"sample": entry.name, "agent_id": sample.agent_id, "metrics": sample_metrics(sample)})
    return {
        "metadata": manifest.metadata,
        "samples": rows,
        "transitions": dataset.transitions,
        "map_shape": list(dataset.map_shape),
        "feature_count": len(dataset.feature_names),
        "action_dim": dataset.action_dim,
        "warnings": list(dataset.warnings),
    }
