"""The episodes of a dataset: read from NPZ files, or described by the tables of shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.addresses import refuse_address
from townlet_core.errors import InputError, shown
from townlet_core.replay.compatibility import SharedFacts
from townlet_core.replay.episodes import cut_episode
from townlet_core.replay.find import open_shard
from townlet_core.replay.format import warnings
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import ManifestEntry, examine_entry, load_manifest, unlisted_entry
from townlet_core.replay.packed.blocks import Blocks
from townlet_core.replay.packed.reference import is_shard
from townlet_core.replay.packed.shard import Shard
from townlet_core.replay.sample import ReplaySample, raise_first
from townlet_core.replay.selection import Selection


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
    streaming: bool = False  # stream samples from disk; memory holds one batch, or memory_budget if packed
    memory_budget: int = 32 << 20  # bytes of packed rows in memory; larger data is shuffled in windows
    filters: SampleFilters = SampleFilters()
    for_training: bool = False  # leave out, with a warning, duplicates and episodes without training targets
    bootstrap_truncations: bool = True  # as in PPOConfig; without it truncations are terminations
    limits: ReadLimits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"batch_size: {self.batch_size}, expected at least 1")
        if self.seed < 0:
            raise InputError(f"seed: {self.seed}, expected at least 0")
        if self.memory_budget < 1:
            raise InputError(f"memory_budget: {self.memory_budget}, expected at least 1 byte")
        for name, paths in (
            ("manifests", self.manifests),
            ("samples", self.samples),
            ("events", self.events),
        ):
            if isinstance(paths, str | Path):
                raise InputError(f"{name}: {shown(str(paths))}, expected a tuple of paths, such as (path,)")
            for path in paths:
                refuse_address(path)


class Item(NamedTuple):
    """One episode of a dataset: in memory, or where to read it."""

    timesteps: int
    part: slice | None  # its ticks, if the sample holds several episodes
    name: str = ""  # of a sample that is not packed
    sample: ReplaySample | None = None  # None when streaming
    path: Path | None = None  # None without a file
    identity: tuple[int, int, int] | None = None  # of the file when it was checked
    shard: Shard | None = None  # of a packed sample
    number: int = 0  # in the shard
    block: int = -1  # its record batch

    @property
    def label(self) -> str:
        """The name of the episode in a batch."""
        name = self.shard.name(self.number).removesuffix(".npz") if self.shard else self.name
        return name if self.part is None else f"{name}[{self.part.start}:{self.part.stop}]"


class Source(NamedTuple):
    """A sample that was read, or samples of a shard: what is compared, and the episodes in the dataset."""

    facts: list[tuple[str, ReplaySample | SharedFacts]]
    scenarios: list[tuple[str, str, str]]  # digest, name, and the sample, where facts do not tell
    findings: list[tuple[str, str]]  # warnings: the sample, and the text
    items: list[Item]  # empty where all is left out


def read_sources(config: ReplayDatasetConfig, selection: Selection, blocks: Blocks) -> Iterator[Source]:
    """Read and check the files of a configuration."""
    for path in config.manifests:
        manifest = load_manifest(path, config.limits)
        for entry in manifest.samples:
            yield from _read_entry(entry, config, selection)
        for shard in manifest.open_shards():
            yield _read_shard(shard, config, selection, blocks)
    for path in map(Path, config.samples):
        if is_shard(path):
            yield _read_shard(open_shard(path, config.limits), config, selection, blocks)
        else:
            yield from _read_entry(unlisted_entry(path), config, selection)


def _read_entry(entry: ManifestEntry, config: ReplayDatasetConfig, selection: Selection) -> Iterator[Source]:
    if not is_wanted(config.filters, entry.agent_id, entry.frame_count):
        return
    identity, name = io.file_identity(entry.sample), str(entry.sample)
    sample, findings = examine_entry(entry, config.limits)
    raise_first(findings)
    assert sample is not None  # there is no sample only where there is a problem
    if not is_wanted(config.filters, sample.agent_id, sample.timesteps):
        return
    episodes = selection.choose(name, sample, identity[1])
    _require_memory(config, selection, name)
    items = make_items(config, episodes, sample, entry.sample.stem, entry.sample, identity)
    weak = [(finding.file, f"{finding.place} {finding.message}") for finding in warnings(findings)]
    yield Source([(name, sample)], [], weak, items)


def _read_shard(shard: Shard, config: ReplayDatasetConfig, selection: Selection, blocks: Blocks) -> Source:
    """Choose the episodes of a shard by its samples table; the rows are not read."""
    own_blocks: dict[int, int] = {}  # by record batch of the shard
    source = Source([(shard.label(n), facts) for n, facts in shard.facts()], [], [], [])
    source.scenarios.extend(
        (digest, name, shard.label(number)) for digest, (name, number) in shard.scenarios.items()
    )
    kept, filters = frozenset(shard.kept), config.filters
    for number, episodes in enumerate(shard.episodes(config.bootstrap_truncations)):
        timesteps = int(shard.timesteps[number])
        if number not in kept or not is_wanted(filters, shard.agents[number], timesteps):
            continue
        name, size = shard.label(number), timesteps * shard.layout.row_bytes
        chosen = selection.choose_described(name, shard.fingerprints[number], episodes, size)
        _require_memory(config, selection, name)
        batch = shard.batch_of(number)
        if chosen and batch not in own_blocks:
            own_blocks[batch] = blocks.add(shard, batch)
        for ticks in chosen:
            length = ticks.stop - ticks.start
            part = None if length == timesteps else ticks
            if length >= filters.min_timesteps:
                source.items.append(Item(length, part, shard=shard, number=number, block=own_blocks[batch]))
        source.findings.extend((name, text) for text in shard.warnings[number])
    return source


def _require_memory(config: ReplayDatasetConfig, selection: Selection, name: str) -> None:
    """Raise InputError if the samples up to this one do not fit in memory."""
    if selection.bytes > config.limits.max_memory_bytes and not config.streaming:
        most = f"{config.limits.max_memory_bytes:,} bytes"
        raise InputError(
            f"{name}: up to this one the samples take more than {most} of memory",
            "set streaming, or raise max_memory_bytes",
        )


def make_items(
    config: ReplayDatasetConfig,
    episodes: Sequence[slice],
    sample: ReplaySample,
    name: str,
    path: Path | None = None,
    identity: tuple[int, int, int] | None = None,
) -> list[Item]:
    """Make an item for each episode that is long enough."""
    items = []
    for ticks in episodes:
        timesteps = ticks.stop - ticks.start
        if timesteps < config.filters.min_timesteps:
            continue
        kept = None if config.streaming and path else cut_episode(sample, ticks)
        part = None if timesteps == sample.timesteps else ticks
        items.append(Item(timesteps, part, name, kept, path, identity))
    return items


def is_wanted(filters: SampleFilters, agent: str | None, timesteps: int | None) -> bool:
    """Whether the filters keep a sample; None means not known yet, and is kept."""
    known_agent = agent is None or not filters.agents or agent in filters.agents
    return known_agent and (timesteps is None or timesteps >= filters.min_timesteps)
