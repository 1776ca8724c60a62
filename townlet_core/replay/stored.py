"""Statistics in the metadata of a manifest: written, verified, and used while the samples are the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from townlet_core import io
from townlet_core.errors import InputError, shown
from townlet_core.replay.format import Finding
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import Manifest
from townlet_core.replay.statistics import DatasetStatistics
from townlet_core.replay.whole import METRICS_SLACK

STATISTICS, FEATURES = "statistics", "feature_statistics"  # keys of the manifest's metadata
_RENEW = "renew them with `townlet replay stats MANIFEST --store`"


def store_statistics(
    manifest: Path, statistics: DatasetStatistics, limits: ReadLimits = DEFAULT_LIMITS
) -> None:
    """Write statistics of all samples of a JSON manifest into its metadata; the rest of it stays.

    Raises InputError for a manifest in YAML, or a manifest that is damaged; MissingError or DiskError.
    """
    if manifest.suffix != ".json":
        raise InputError(f"{manifest}: statistics are stored in JSON manifests", "convert it to JSON")
    content = io.read_json(manifest, limits.max_manifest_bytes)
    if isinstance(content, list):
        content = {"samples": content}
    found = {FEATURES: statistics.feature_statistics(), STATISTICS: statistics.as_dict()}
    metadata = (content.get("metadata") or {}) | found
    io.write_json(manifest, {"metadata": metadata, **{k: v for k, v in content.items() if k != "metadata"}})


def has_statistics(manifest: Manifest) -> bool:
    """Whether statistics are stored, sound or not."""
    return STATISTICS in manifest.metadata or FEATURES in manifest.metadata


def check_statistics(manifest: Manifest, actual: DatasetStatistics) -> Iterator[Finding]:
    """Compare stored statistics with those of the samples."""
    metadata, file = manifest.metadata, str(manifest.path)
    computed = {STATISTICS: actual.as_dict(), FEATURES: actual.feature_statistics()}
    said = metadata.get(STATISTICS)
    digest = said.get("samples_sha256") if isinstance(said, dict) else None
    if said is not None and digest != computed[STATISTICS]["samples_sha256"]:
        message = "are not those of the samples that the manifest lists"
        yield Finding("problem", file, f"metadata.{STATISTICS}", message, _RENEW)
        return
    for key in (STATISTICS, FEATURES):
        if key in metadata:
            wrong = list(_differences(metadata[key], computed[key], f"metadata.{key}"))
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            for place, message in wrong[:1]:
                yield Finding("problem", file, place, f"{message}{more}", _RENEW)


def stored_features(
    metadata: dict[str, Any], samples_sha256: str | None, names: Sequence[str]
) -> dict[str, Any] | None:
    """Return the stored `{names, count, mean, std}` of the features if they are of these samples.

    None if there are none, or they are of other samples or damaged. names: of the features.
    """
    statistics, features = metadata.get(STATISTICS), metadata.get(FEATURES)
    if not isinstance(statistics, dict) or not isinstance(features, dict):
        return None
    if samples_sha256 is None or statistics.get("samples_sha256") != samples_sha256:
        return None
    is_sound = (
        features.get("names") == list(names)
        and type(features.get("count")) is int
        and features["count"] > 0
        and all(_are_numbers(features.get(key), len(names)) for key in ("mean", "std"))
        and min(features["std"]) >= 0
    )
    return features if is_sound else None


def _are_numbers(values: Any, size: int) -> bool:
    is_list = isinstance(values, list) and len(values) == size
    return is_list and all(type(value) in (int, float) and math.isfinite(value) for value in values)


def _differences(said: Any, actual: Any, place: str) -> Iterator[tuple[str, str]]:
    """Compare two trees of JSON; yield the place and description of each difference."""
    if isinstance(actual, dict) and isinstance(said, dict):
        for key in {**actual, **said}:
            yield from _differences(said.get(key), actual.get(key), f"{place}.{key}")
    elif isinstance(actual, list) and isinstance(said, list) and len(actual) == len(said):
        for i, (mine, theirs) in enumerate(zip(said, actual, strict=True)):
            yield from _differences(mine, theirs, f"{place}[{i}]")
    elif isinstance(actual, int | float) and type(said) in (int, float):
        if abs(said - actual) > METRICS_SLACK * max(1.0, abs(actual)):
            yield place, f"is {said:g}, the data says {actual:g}"
    elif said != actual:
        yield place, f"is {shown(said, 40)}, the data says {shown(actual, 40)}"
