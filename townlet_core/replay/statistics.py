"""Statistics of a dataset in one streaming pass: moments and histograms of every column, actions, origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from townlet_core.replay.compatibility import CompatibilityCheck
from townlet_core.replay.episodes import find_episodes, split_dones
from townlet_core.replay.format import Finding
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import ManifestEntry, examine_entry
from townlet_core.replay.metrics import sample_metrics
from townlet_core.replay.sample import ReplaySample, raise_first
from townlet_core.replay.selection import fingerprint, samples_sha256
from townlet_core.replay.summaries import Summaries
from townlet_core.vocab import CONFLICT_FEATURES

GROUPS = ("features", "reward_terms", "arrays", "episodes")
_PER_TICK = ("rewards", "old_log_probs", "conflict_events", "conflict_intensity")
_MOST_ORIGINS = 64  # different values of one fact about the origin that are counted apart
OTHERS = "(others)"


class DatasetStatistics:
    """Statistics of samples, added one by one; keeps no sample (docs/statistics.md).

    compatibility: whether the samples fit each other; read_statistics compares them.
    """

    def __init__(self) -> None:
        self.compatibility = CompatibilityCheck()
        self._summaries = {group: Summaries() for group in GROUPS}
        self._fingerprints: list[bytes] = []
        self._counts: Counter[str] = Counter()
        self._agents: dict[str, dict[str, Any]] = {}
        self._origin: dict[str, Counter[str]] = {}

    def add(self, sample: ReplaySample, metrics: dict[str, float], own: bytes | None = None) -> None:
        """Add a sample. metrics: the sample's (metrics.sample_metrics). own: its fingerprint, if known."""
        self._fingerprints.append(own or fingerprint(sample))
        self._summaries["features"].add(sample.feature_names, sample.features)
        if sample.reward_terms:
            self._summaries["reward_terms"].add(sample.reward_terms, sample.optional["reward_terms"])
        arrays = sample.arrays()
        per_tick = [name for name in _PER_TICK if name in arrays]
        self._summaries["arrays"].add(per_tick, np.stack([arrays[name] for name in per_tick], axis=1))
        self._summaries["arrays"].add(("value_preds",), sample.value_preds[:, None])
        self._add_episodes(sample)
        self._add_agent(sample, metrics)
        for fact, value in _origin_of(sample.metadata):
            counter = self._origin.setdefault(fact, Counter())
            counter[value if value in counter or len(counter) < _MOST_ORIGINS else OTHERS] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return the statistics, JSON-ready, in the form of docs/statistics.md."""
        return {
            "samples_sha256": samples_sha256(self._fingerprints),
            "counts": {name: self._counts[name] for name in _COUNTS},
            "actions": _sum_actions(self._agents.values()),
            "agents": self._agents,
            "origin": {fact: dict(counter) for fact, counter in self._origin.items()},
            **{group: summaries.as_dict() for group, summaries in self._summaries.items()},
        }

    def feature_statistics(self) -> dict[str, Any]:
        """Return `{names, count, mean, std}` of the features (docs/data.md, Manifest)."""
        return self._summaries["features"].as_features()

    def _add_episodes(self, sample: ReplaySample) -> None:
        episodes = find_episodes(sample.dones)
        rewards = [sample.rewards[ticks].sum(dtype=np.float64) for ticks in episodes]
        lengths = [ticks.stop - ticks.start for ticks in episodes]
        self._summaries["episodes"].add(("length", "return"), np.stack([lengths, rewards], axis=1))
        terminations, truncations = (int(ends.sum()) for ends in split_dones(sample))
        self._counts += Counter(
            samples=1,
            transitions=sample.timesteps,
            episodes=len(episodes),
            terminated=terminations,
            truncated=truncations,
            unfinished=len(episodes) - terminations - truncations,
        )

    def _add_agent(self, sample: ReplaySample, metrics: dict[str, float]) -> None:
        new = {"samples": 0, "transitions": 0, "reward_sum": 0.0, "actions": {}}
        agent = self._agents.setdefault(sample.agent_id, new)
        agent["samples"] += 1
        agent["transitions"] += sample.timesteps
        agent["reward_sum"] += metrics["reward_sum"]
        for name, value in metrics.items():
            if name.startswith("action_") and name.endswith("_count"):
                action = name.removeprefix("action_").removesuffix("_count")
                agent["actions"][action] = agent["actions"].get(action, 0) + int(value)


_COUNTS = ("samples", "episodes", "transitions", "terminated", "truncated", "unfinished")


class Read(NamedTuple):
    """A sample that was read and added."""

    entry: ManifestEntry
    sample: ReplaySample
    metrics: dict[str, float]
    findings: list[Finding]  # warnings


def read_statistics(
    entries: Iterable[ManifestEntry],
    limits: ReadLimits = DEFAULT_LIMITS,
    each: Callable[[Read], Any] = lambda read: None,
) -> DatasetStatistics:
    """Read every sample once, in order, and return the statistics.

    each: called after each sample. Memory holds one sample; of packed data, one record batch.
    Raises SampleError for a damaged sample or samples that do not fit each other, MissingError or DiskError.
    """
    statistics = DatasetStatistics()
    for entry in entries:
        sample, findings = _read(entry, limits)
        metrics = sample_metrics(sample)
        statistics.compatibility.add(str(entry.sample), sample)
        own = entry.shard.fingerprints[entry.number] if entry.shard else None
        statistics.add(sample, metrics, own)
        each(Read(entry, sample, metrics, findings))
    return statistics


def _read(entry: ManifestEntry, limits: ReadLimits) -> tuple[ReplaySample, list[Finding]]:
    """Read a sample and the warnings about it. The rows of a shard are verified when they are read."""
    if entry.shard:
        weak = entry.shard.warnings[entry.number]
        found = [Finding("warning", str(entry.sample), "", text) for text in weak]
        return entry.shard.sample(entry.number), found
    sample, found = examine_entry(entry, limits)
    raise_first(found)
    assert sample is not None  # there is no sample only where there is a problem
    return sample, found


def headline_columns(statistics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Choose the columns that a dataset is judged by: rewards, terms that vary, conflicts and rivalry."""
    wanted = ("conflict_events", "conflict_intensity", *CONFLICT_FEATURES)
    known = {**statistics["arrays"], **statistics["features"]}
    terms = {f"reward: {name}": found for name, found in statistics["reward_terms"].items() if found["std"]}
    return {"rewards": known["rewards"], **terms, **{name: known[name] for name in wanted if name in known}}


def _sum_actions(agents: Iterable[dict[str, Any]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for agent in agents:
        total.update(agent["actions"])
    return dict(total)


def _origin_of(metadata: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """List what is known of a sample's origin, as texts by fact."""
    said = metadata.get("capture")
    capture = said if isinstance(said, dict) else {}
    versions = capture.get("versions")
    facts = {
        "scenario": capture.get("scenario"),
        "behaviour": metadata.get("behaviour"),
        "value_source": metadata.get("value_source"),
        "seed": capture.get("seed"),
        "townlet": versions.get("townlet") if isinstance(versions, dict) else None,
        "schema_version": metadata.get("schema_version"),
    }
    return ((fact, str(value)[:200]) for fact, value in facts.items() if value is not None)
