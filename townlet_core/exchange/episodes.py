"""The episodes of recordings, one after the other: what every export reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import SampleError, name_difference
from townlet_core.replay.compact import narrowest_type
from townlet_core.replay.episodes import cut_episode, find_episodes, split_dones
from townlet_core.replay.find import find_entries
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import read_entry
from townlet_core.replay.metadata import reward_terms_of
from townlet_core.replay.metrics import sample_metrics
from townlet_core.replay.sample import ReplaySample
from townlet_core.replay.statistics import DatasetStatistics

# Of the metadata, and of its `capture`, in the description of an episode.
_ABOUT = ("behaviour", "value_source")
_CAPTURE = ("scenario", "seed", "town", "episode", "first_frame")


class NotNarrow(Exception):
    """A map has other values than 0 and 1, or a feature is not in its range: wider types are needed."""


class Shared(NamedTuple):
    """What all episodes of an export have in common."""

    map_shape: tuple[int, ...]
    map_channels: list[str] | None
    feature_names: tuple[str, ...]
    reward_terms: tuple[str, ...]  # empty without the array
    optional: frozenset[str]  # names of the optional arrays, except those of the ends
    action_dim: int
    action_lookup: dict[str, int] | None  # names to ids; None if they are not known

    def as_dict(self) -> dict[str, Any]:
        """Return the names and sizes for the metadata of a file."""
        return {
            "map_shape": list(self.map_shape),
            "map_channels": self.map_channels,
            "feature_names": list(self.feature_names),
            "reward_terms": list(self.reward_terms),
            "action_lookup": self.action_lookup,
            "action_dim": self.action_dim,
        }


class Episode(NamedTuple):
    """One episode of one agent. `number` counts from 0 over the whole export."""

    number: int
    sample: ReplaySample
    terminations: np.ndarray  # (T,) bool
    truncations: np.ndarray  # (T,) bool
    about: dict[str, Any]  # see describe

    @property
    def timesteps(self) -> int:
        """The number of ticks, T."""
        return self.sample.timesteps


class Recordings:
    """Samples of any form, as episodes. Memory holds one sample, or one record batch of a shard.

    shared: names and sizes, the same in all episodes. statistics: of the samples that were read last.
    """

    def __init__(
        self,
        path: Path | str,
        limits: ReadLimits = DEFAULT_LIMITS,
        after_sample: Callable[[], Any] = lambda: None,
    ) -> None:
        """Find the samples. Raises SampleError, MissingError, InputError or DiskError.

        after_sample: called when the episodes of a sample were taken.
        """
        self._entries, self._limits, self._after_sample = (
            find_entries(Path(path), limits),
            limits,
            after_sample,
        )
        self.statistics = DatasetStatistics()
        first = read_entry(self._entries[0], limits)
        self.shared = _shared(first)
        if first.is_older:  # ids are the samples' own, and the largest is not known before all are read
            sizes = (read_entry(entry, limits).action_ids for entry in self._entries)
            self.shared = self.shared._replace(action_dim=max(first.action_dim, *sizes), action_lookup=None)

    @property
    def sample_count(self) -> int:
        """The number of samples."""
        return len(self._entries)

    def episodes(self, narrow: bool = False) -> Iterator[Episode]:
        """Read the samples in order, and cut those that hold several episodes.

        narrow: raise NotNarrow at a map with other values than 0 and 1. Raises SampleError for samples that
        are damaged or do not fit together.
        """
        self.statistics, number = DatasetStatistics(), 0
        for entry in self._entries:
            sample, name = read_entry(entry, self._limits), str(entry.sample)
            self.statistics.compatibility.add(name, sample)
            self._compare_arrays(name, sample)
            if narrow and narrowest_type(sample.map) != "bool":
                raise NotNarrow
            for ticks in find_episodes(sample.dones):
                part = cut_episode(sample, ticks)
                yield Episode(number, part, *split_dones(part), describe(entry.name, part, ticks.start))
                number += 1
            own = entry.shard.fingerprints[entry.number] if entry.shard else None
            self.statistics.add(sample, sample_metrics(sample), own)
            self._after_sample()

    def _compare_arrays(self, name: str, sample: ReplaySample) -> None:
        """Raise SampleError if a sample has other optional arrays or reward terms than the first one."""
        own, first = _shared(sample), str(self._entries[0].sample)
        for what, ours, theirs in (
            ("arrays", sorted(self.shared.optional), sorted(own.optional)),
            ("reward terms", self.shared.reward_terms, own.reward_terms),
        ):
            if difference := name_difference(ours, theirs):
                facts = f"{first} and {name} do not fit in one export: {what}: {difference}"
                raise SampleError(facts, "export them separately")


def _shared(sample: ReplaySample) -> Shared:
    return Shared(
        map_shape=sample.map_shape,
        map_channels=sample.metadata.get("map_channels"),
        feature_names=sample.feature_names,
        reward_terms=reward_terms_of(sample.metadata) if "reward_terms" in sample.optional else (),
        optional=frozenset(sample.optional) - {"terminations", "truncations"},
        action_dim=sample.action_dim,
        action_lookup=sample.metadata.get("action_lookup"),
    )


def describe(name: str, sample: ReplaySample, first: int) -> dict[str, Any]:
    """Describe an episode: where it was recorded, how long it is, how it ended. None for what is not known.

    first: its first row in the sample.
    """
    capture = sample.metadata.get("capture")
    recorded = capture if isinstance(capture, dict) else {}
    terminations, _ = split_dones(sample)
    ending = "terminated" if terminations[-1] else "truncated" if sample.dones[-1] else "unfinished"
    about: dict[str, Any] = {
        "sample": name,
        "agent_id": sample.agent_id,
        **{key: recorded.get(key) for key in _CAPTURE},
        "length": sample.timesteps,
        "ending": ending,
        **{key: sample.metadata.get(key) for key in _ABOUT},
        "reward_sum": float(sample.rewards.sum(dtype=np.float64)),
        "last_value_pred": float(sample.value_preds[-1]),
    }
    if about["first_frame"] is not None:
        about["first_frame"] += first
    return about
