"""A dataset: compatible samples, iterated as batches in a seeded order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core import io
from townlet_core.chance import generator
from townlet_core.errors import SampleError, count
from townlet_core.replay.batch import Part, ReplayBatch, stack_parts
from townlet_core.replay.compatibility import CompatibilityCheck, check_conflict_features
from townlet_core.replay.episodes import cut_episode
from townlet_core.replay.events import count_events
from townlet_core.replay.packed.blocks import Blocks
from townlet_core.replay.sample import ReplaySample, reload_sample
from townlet_core.replay.selection import Selection
from townlet_core.replay.sources import (
    Item,
    ReplayDatasetConfig,
    Source,
    is_wanted,
    make_items,
    read_sources,
)
from townlet_core.replay.summaries import Summaries

_SHUFFLE_STREAM = 0x7E91A7  # keeps these draws apart from others with the same seed


class ReplayDataset:
    """Batches of whole episodes. Iterate once per epoch; each iteration is the next epoch.

    Opening reads and validates every sample once, digests included, and checks that all are compatible. After
    that only a file that changes raises an error. Of packed data, opening reads the samples tables; rows are
    checked when they are read for the first time. A sample of several episodes is split. A batch holds
    episodes of one length; batches of different lengths alternate at random.

    feature_names, map_shape, action_dim: of all samples. scenarios: by digest, the scenario's name and its
    first sample. selection: what was left out. warnings: about that, and about weak samples.
    epoch: of the next iteration.
    """

    def __init__(self, config: ReplayDatasetConfig) -> None:
        """Open the files of the configuration. Raises SampleError, MissingError, InputError or DiskError."""
        selection = Selection(config.for_training, config.bootstrap_truncations)
        blocks = Blocks(keep=not config.streaming)
        self._open(config, read_sources(config, selection, blocks), selection, blocks)

    @classmethod
    def from_samples(cls, samples: Sequence[ReplaySample], config: ReplayDatasetConfig) -> ReplayDataset:
        """Make a dataset of samples in memory, which are not validated."""
        dataset = cls.__new__(cls)
        selection = Selection(config.for_training, config.bootstrap_truncations)
        names = (f"{i:03d}_{sample.agent_id}" for i, sample in enumerate(samples))
        read = (
            Source([(name, sample)], [], [], make_items(config, selection.choose(name, sample), sample, name))
            for name, sample in zip(names, samples, strict=True)
            if is_wanted(config.filters, sample.agent_id, sample.timesteps)
        )
        dataset._open(config, read, selection, Blocks(keep=True))
        return dataset

    def _open(
        self, config: ReplayDatasetConfig, sources: Iterable[Source], selection: Selection, blocks: Blocks
    ) -> None:
        """Keep the items, and check that their samples are compatible."""
        self.config = config
        self.epoch = 0
        self._items: list[Item] = []
        self._blocks = blocks
        self._order: tuple[int, list[list[int]]] = (-1, [])  # epoch, and the episodes of each of its batches
        self._last: tuple[Path, ReplaySample] | None = (
            None  # last file read again, if it holds several episodes
        )
        compatibility = CompatibilityCheck()
        weak: dict[str, list[Any]] = {}  # message: [first file, how many], so that warnings stay few
        for source in sources:
            for name, facts in source.facts:
                compatibility.add(name, facts)
            for digest, scenario, name in source.scenarios:
                compatibility.add_scenario(digest, scenario, name)
            for name, text in source.findings if source.items else ():
                weak.setdefault(text, [name, 0])[1] += 1
            self._items += source.items
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
        """The samples of the dataset that have a file, in order; a packed one by its name below the shard."""
        paths = (item.shard.place(item.number) if item.shard else item.path for item in self._items)
        return list(dict.fromkeys(path for path in paths if path))

    @property
    def transitions(self) -> int:
        """Total number of ticks."""
        return sum(item.timesteps for item in self._items)

    def __len__(self) -> int:
        """Return the number of batches of the current epoch; it is the same for every epoch of one window."""
        return len(self.batch_order(self.epoch))

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
        """List the episodes of each batch of an epoch: a function of seed, epoch, dataset and memory budget.

        Packed data that takes more than half of the budget is shuffled in windows: the record batches are put
        in a random order and cut into windows, each at most half of the budget, and the episodes of a window
        are shuffled among each other. Other data is one window.
        """
        if self._order[0] == epoch:
            return self._order[1]
        rng = generator(self.config.seed, epoch, _SHUFFLE_STREAM)
        windows = self._windows(rng)
        members = self._members_of(windows)
        order = [batch for window in members for batch in self._window_order(window, rng)]
        self._blocks.plan(windows)
        self._order = epoch, order
        return order

    def _windows(self, rng: np.random.Generator) -> list[list[int]]:
        """Return the blocks of each window; no windows if everything fits in one."""
        most, sizes = self.config.memory_budget // 2, self._blocks.bytes
        if sum(sizes) <= most:
            return []
        order = rng.permutation(len(sizes)).tolist() if self.config.shuffle else range(len(sizes))
        windows: list[list[int]] = []
        size = most + 1
        for block in order:
            size += sizes[block]
            if size > most:
                windows.append([])
                size = sizes[block]
            windows[-1].append(block)
        return windows

    def _members_of(self, windows: list[list[int]]) -> list[list[int]]:
        """Return the episodes of each window; those that are not packed are spread over all windows."""
        if not windows:
            return [list(range(len(self._items)))]
        window_of = {block: i for i, blocks in enumerate(windows) for block in blocks}
        members: list[list[int]] = [[] for _ in windows]
        for i, item in enumerate(self._items):
            members[window_of[item.block] if item.shard else i % len(windows)].append(i)
        return members

    def _window_order(self, members: list[int], rng: np.random.Generator) -> list[list[int]]:
        """Return the batches of a window: each of episodes of one length."""
        size = self.config.batch_size
        groups: dict[int, list[int]] = {}
        for i in members:
            groups.setdefault(self._items[i].timesteps, []).append(i)
        batches: list[list[int]] = []
        for group in groups.values():
            order = rng.permutation(group).tolist() if self.config.shuffle else group
            chunks = [order[start : start + size] for start in range(0, len(order), size)]
            batches += [chunk for chunk in chunks if len(chunk) == size or not self.config.drop_last]
        return [batches[i] for i in rng.permutation(len(batches))] if self.config.shuffle else batches

    def feature_statistics(self) -> dict[str, Any]:
        """Return `{names, count, mean, std}` of the features over all ticks, for a manifest's metadata.

        Computed in one pass, in the order of the files; std is the population's.
        """
        features = Summaries()
        self._blocks.plan(())  # not the windows of an epoch, which are in another order
        self._order = (-1, [])
        for item in self._items:
            features.add(self.feature_names, self._sample(item).features)
        return features.as_features()

    def event_counts(self) -> dict[str, int]:
        """Count the events of the configured logs by type."""
        total: Counter[str] = Counter()
        for path in self.config.events:
            total.update(count_events(path, self.config.limits))
        return dict(total)

    def stack(self, members: Sequence[int]) -> ReplayBatch:
        """Make a batch of episodes of one length, by their numbers."""
        items = [self._items[i] for i in members]
        names = [item.label for item in items]
        return stack_parts([self._part(item) for item in items], names, self.feature_names, self.action_dim)

    def _part(self, item: Item) -> Part:
        if item.shard and item.part is None:
            return item.shard.part(item.number, self._blocks.rows(item.block))
        sample = self._sample(item)
        return Part(sample.arrays(), slice(0, sample.timesteps))

    def _sample(self, item: Item) -> ReplaySample:
        if item.sample is not None:
            return item.sample
        if item.shard:
            sample = item.shard.sample(item.number)
            return sample if item.part is None else cut_episode(sample, item.part)
        assert item.path is not None  # a sample is in memory, packed, or has a file
        if io.file_identity(item.path) != item.identity:
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
