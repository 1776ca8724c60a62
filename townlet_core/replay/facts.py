"""What is known of a sample without its arrays, by name: metadata, origin and recorded metrics."""

from __future__ import annotations

from typing import Any

from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import ManifestEntry, entry_metadata, read_entry
from townlet_core.replay.metrics import sample_metrics
from townlet_core.replay.where import Value


def sample_facts(entry: ManifestEntry, limits: ReadLimits = DEFAULT_LIMITS) -> dict[str, Value]:
    """Return the metrics, the keys of `capture`, and the other keys of the metadata that are no lists.

    A key of `capture` stands there as `seed` and as `capture.seed`. Metrics are the recorded ones; they are
    computed for a sample that has none. Raises SampleError, InputError, MissingError or DiskError.
    """
    metadata = entry_metadata(entry, limits)
    metrics = metadata.get("metrics") or sample_metrics(read_entry(entry, limits))
    capture = _single(metadata.get("capture"))
    facts = _single(metrics) | capture | {f"capture.{key}": value for key, value in capture.items()}
    agent = metadata.get("agent_id") or metadata.get("sample_id")
    return facts | _single(metadata) | ({"agent_id": agent} if isinstance(agent, str) else {})


def _single(values: Any) -> dict[str, Value]:
    """Return the entries of a mapping that are single values; null counts as none."""
    entries = values.items() if isinstance(values, dict) else ()
    return {key: value for key, value in entries if isinstance(value, bool | int | float | str)}
