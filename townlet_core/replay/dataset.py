"""A dataset: compatible samples, iterated as batches in a seeded order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import InputError, SampleError, count, shown
from townlet_core.replay.batch import ReplayBatch, stack_samples
from townlet_core.replay.compatibility import CompatibilityCheck, check_conflict_features
from townlet_core.replay.episodes import cut_episode
from townlet_core.replay.events import count_events
from townlet_core.replay.format import Finding, warnings
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import ManifestEntry, examine_entry, load_manifest, unlisted_entry
from townlet_core.replay.sample import ReplaySample, file_identity, raise_first, reload_sample
from townlet_core.replay.selection import Selection
from townlet_core.rng import generator

_SHUFFLE_STREAM = 0x7E91A7  # keeps these draws apart from others with the same seed


@dataclass(frozen=True)
class SampleFilters:
    """Which samples to keep; the others are left out without a warning. The defaults keep all."""

    agents: tuple[str, ...] = ()  # keep only these agents
    min_timesteps: int = 1  # keep only episodes at least this long


@dataclass(frozen=True)
class ReplayDatasetConfig:
    """Where to read samples, and how to batch them."""

    manifests: tuple[Path, ...] = ()
    samples: tuple[Path, ...] = ()  # NPZ files, each with its JSON beside it
    events: tuple[Path, ...] = ()  # event logs of the same captures, for event_counts
    batch_size: int = 8  # whole episodes per batch, not transitions
    shuffle: bool = True  # a new order each epoch, a function of seed and epoch only
    seed: int = 0
    drop_last: bool = False  # leave out batches smaller than batch_size
    streaming: bool = False  # stream samples from disk; memory holds one batch
    filters: SampleFilters = SampleFilters()
    for_training: bool = False  # leave out, with a warning, duplicates and episodes without training targets
    bootstrap_truncations: bool = True  # as in PPOConfig; without it truncations are terminations
    limits: ReadLimits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"batch_size: {self.batch_size}, expected at least 1")
        if self.seed < 0:
            raise InputError(f"seed: {self.seed}, expected at least 0")
        for name, paths in (
            ("manifests", self.manifests),
            ("samples", self.samples),
            ("events", self.events),
        ):
            if isinstance(paths, str | Path):
                raise InputError(f"{name}: {shown(str(paths))}, expected a tuple of paths, such as (path,)")


class _Item(NamedTuple):
    """One episode of a dataset: in memory, or where to read it again."""

    name: str
    timesteps: int
    sample: ReplaySample | None  # None when streaming
    path: Path | None  # None without a file
    identity: tuple[int, int, int] | None  # of the file when it was checked
    part: slice | None  # its ticks, if the file holds several episodes


class _Read(NamedTuple):
    """One sample that was read, and its episodes in the dataset."""

    name: str
    sample: ReplaySample
    findings: list[Finding]
    items: list[_Item]  # empty where it is left out


class ReplayDataset:
    """Batches of whole episodes. Iterate once per epoch; each iteration is the next epoch.

    Opening reads and validates every sample once, digests included, and checks that all are compatible. After
    that only a file that changes raises an error. A sample of several episodes is split. A batch holds
    episodes of one length; batches of different lengths alternate at random.

    feature_names, map_shape, action_dim: of all samples. scenarios: by digest, the scenario's name and its
    first sample. selection: what was left out. warnings: about that, and about weak samples.
    epoch: of the next iteration.
    """

    def __init__(self, config: ReplayDatasetConfig) -> None:
        """Open the files of the configuration. Raises SampleError, MissingError, InputError or DiskError."""
        selection = Selection(config.for_training, config.bootstrap_truncations)
        self._open(config, _read_samples(config, selection), selection)

    @classmethod
    def from_samples(cls, samples: Sequence[ReplaySample], config: ReplayDatasetConfig) -> ReplayDataset:
        """Make a dataset of samples in memory, which are not validated."""
        dataset = cls.__new__(cls)
        selection = Selection(config.for_training, config.bootstrap_truncations)
        names = (f"{i:03d}_{sample.agent_id}" for i, sample in enumerate(samples))
        read = (
            _Read(name, sample, [], _items(config, selection.choose(name, sample), sample, name))
            for name, sample in zip(names, samples, strict=True)
            if _is_wanted(config.filters, sample.agent_id, sample.timesteps)
        )
        dataset._open(config, read, selection)
        return dataset

    def _open(self, config: ReplayDatasetConfig, samples: Iterable[_Read], selection: Selection) -> None:
        """Keep the items, and check that their samples are compatible."""
        self.config = config
        self.epoch = 0
        self._items: list[_Item] = []
        self._last: tuple[Path, ReplaySample] | None = (
            None  # last file read again, if it holds several episodes
        )
        compatibility = CompatibilityCheck()
        weak: dict[str, list[Any]] = {}  # message: [first file, how many], so that warnings stay few
        for name, sample, findings, items in samples:
            compatibility.add(name, sample)
            for finding in warnings(findings) if items else ():
                weak.setdefault(f"{finding.place} {finding.message}", [finding.file, 0])[1] += 1
            self._items += items
        selection.require_data()
        if not self._items:
            least = config.filters.min_timesteps
            raise SampleError(
                "no samples to train on" + (f": none has {least} ticks or more" if least > 1 else ""),
                "name a manifest or longer samples, and check the filters",
            )
        self.feature_names = compatibility.feature_names
        self.map_shape = compatibility.map_shape
        self.action_dim = compatibility.action_dim
        self.scenarios = compatibility.scenarios
        self.selection = selection
        self.warnings = (
            *selection.warnings(),
            *compatibility.warnings(),
            *(
                f"{file}: {text}" + (f" (and {count(n - 1, 'more file')})" if n > 1 else "")
                for text, (file, n) in weak.items()
            ),
        )
        if not len(self):
            raise SampleError(
                f"no batch is left: {count(self.sample_count, 'sample')}, batch_size {config.batch_size} "
                "and drop_last",
                "lower batch_size, or keep the last batch",
            )

    @property
    def sample_count(self) -> int:
        """Number of episodes; of samples, if each holds one episode."""
        return len(self._items)

    @property
    def files(self) -> list[Path]:
        """The files of the dataset, in order."""
        return list(dict.fromkeys(item.path for item in self._items if item.path))

    @property
    def transitions(self) -> int:
        """Total number of ticks."""
        return sum(item.timesteps for item in self._items)

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        sizes = [len(members) for members in self._groups().values()]
        round_up = 0 if self.config.drop_last else self.config.batch_size - 1
        return sum((size + round_up) // self.config.batch_size for size in sizes)

    def __iter__(self) -> Iterator[ReplayBatch]:
        """Iterate over the batches of the current epoch, and advance to the next."""
        self.epoch += 1
        return self.batches(self.epoch - 1)

    def batches(self, epoch: int, first: int = 0) -> Iterator[ReplayBatch]:
        """Iterate over the batches of an epoch from number `first` on, without reading earlier ones."""
        return (self.stack(members) for members in self.batch_order(epoch)[first:])

    def timesteps(self, member: int) -> int:
        """Return the number of ticks of an episode."""
        return self._items[member].timesteps

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration, to resume a run."""
        self.epoch = epoch

    def batch_order(self, epoch: int) -> list[list[int]]:
        """List the episodes of each batch of an epoch: a function of seed and epoch only."""
        size, rng = self.config.batch_size, generator(self.config.seed, epoch, _SHUFFLE_STREAM)
        batches: list[list[int]] = []
        for members in self._groups().values():
            order = rng.permutation(members).tolist() if self.config.shuffle else members
            chunks = [order[start : start + size] for start in range(0, len(order), size)]
            batches += [chunk for chunk in chunks if len(chunk) == size or not self.config.drop_last]
        return [batches[i] for i in rng.permutation(len(batches))] if self.config.shuffle else batches

    def feature_statistics(self) -> dict[str, Any]:
        """Return `{names, count, mean, std}` of the features over all ticks, for a manifest's metadata.

        Computed sample by sample in float64; std is the population's.
        Source: the pairwise update of Chan, Golub and LeVeque 1979, eq. 2.1.
        """
        count, mean, squares = 0, np.zeros(len(self.feature_names)), np.zeros(len(self.feature_names))
        for sample in map(self._sample, self._items):
            features, ticks = sample.features.astype(np.float64), sample.timesteps
            shift = features.mean(axis=0) - mean
            squares += ((features - features.mean(axis=0)) ** 2).sum(axis=0)
            squares += shift**2 * (count * ticks / (count + ticks))
            mean += shift * (ticks / (count + ticks))
            count += ticks
        std = np.sqrt(squares / count)
        return {
            "names": list(self.feature_names),
            "count": count,
            "mean": mean.tolist(),
            "std": std.tolist(),
        }

    def event_counts(self) -> dict[str, int]:
        """Count the events of the configured logs by type."""
        total: Counter[str] = Counter()
        for path in self.config.events:
            total.update(count_events(path, self.config.limits))
        return dict(total)

    def stack(self, members: Sequence[int]) -> ReplayBatch:
        """Make a batch of episodes of one length, by their numbers."""
        items = [self._items[i] for i in members]
        samples = [self._sample(item) for item in items]
        return stack_samples(samples, [item.name for item in items], self.feature_names, self.action_dim)

    def _groups(self) -> dict[int, list[int]]:
        """Group the episodes by length, in the order the lengths first appear."""
        groups: dict[int, list[int]] = {}
        for i, item in enumerate(self._items):
            groups.setdefault(item.timesteps, []).append(i)
        return groups

    def _sample(self, item: _Item) -> ReplaySample:
        if item.sample is not None:
            return item.sample
        assert item.path is not None  # a sample is in memory or has a file
        if file_identity(item.path) != item.identity:
            raise SampleError(f"{item.path}: has changed since the dataset was opened", "start the run again")
        if item.part and self._last and self._last[0] == item.path:
            return cut_episode(self._last[1], item.part)
        metadata = {"feature_names": self.feature_names, "action_dim": self.action_dim}
        sample = reload_sample(item.path, metadata, self.config.limits)
        if item.part is None:
            return sample
        self._last = (item.path, sample)  # the next episode is probably in this file
        return cut_episode(sample, item.part)


def check_trainable(dataset: ReplayDataset) -> None:
    """Check what training needs beyond a valid dataset, before the first update.

    Raises SampleError if a conflict feature is missing.
    """
    check_conflict_features(dataset.feature_names)


def _read_samples(config: ReplayDatasetConfig, selection: Selection) -> Iterator[_Read]:
    """Read and check the files of a configuration."""
    for entry in _entries(config):
        if not _is_wanted(config.filters, entry.agent_id, entry.frame_count):
            continue
        identity, name = file_identity(entry.sample), str(entry.sample)
        sample, findings = examine_entry(entry, config.limits)
        raise_first(findings)
        assert sample is not None  # there is no sample only where there is a problem
        if not _is_wanted(config.filters, sample.agent_id, sample.timesteps):
            continue
        episodes = selection.choose(name, sample, identity[1])
        if selection.bytes > config.limits.max_memory_bytes and not config.streaming:
            most = f"{config.limits.max_memory_bytes:,} bytes"
            raise InputError(
                f"{entry.sample}: up to this one the samples take more than {most} of memory",
                "set streaming, or raise max_memory_bytes",
            )
        items = _items(config, episodes, sample, entry.sample.stem, entry.sample, identity)
        yield _Read(name, sample, findings, items)


def _items(
    config: ReplayDatasetConfig,
    episodes: Sequence[slice],
    sample: ReplaySample,
    name: str,
    path: Path | None = None,
    identity: tuple[int, int, int] | None = None,
) -> list[_Item]:
    """Make an item for each episode that is long enough."""
    items = []
    for ticks in episodes:
        timesteps = ticks.stop - ticks.start
        if timesteps < config.filters.min_timesteps:
            continue
        is_whole = timesteps == sample.timesteps
        kept = None if config.streaming and path else cut_episode(sample, ticks)
        label = name if is_whole else f"{name}[{ticks.start}:{ticks.stop}]"
        items.append(_Item(label, timesteps, kept, path, identity, None if is_whole else ticks))
    return items


def _entries(config: ReplayDatasetConfig) -> Iterator[ManifestEntry]:
    for manifest in config.manifests:
        yield from load_manifest(manifest, config.limits).entries
    for path in map(Path, config.samples):
        yield unlisted_entry(path)


def _is_wanted(filters: SampleFilters, agent: str | None, timesteps: int | None) -> bool:
    """Whether the filters keep a sample; None means not known yet, and is kept."""
    known_agent = agent is None or not filters.agents or agent in filters.agents
    return known_agent and (timesteps is None or timesteps >= filters.min_timesteps)
