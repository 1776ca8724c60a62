"""Play one block of towns, and write its samples and events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.bulk import flush_files, write_scratch
from townlet_core.capture.rollout import Frames, Policy, allocate_frames, bytes_of, collect
from townlet_core.capture.samples import cut_samples
from townlet_core.capture.settings import CaptureSettings, towns_of
from townlet_core.capture.unfinished import EVENTS_FILE
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.events import dump_events
from townlet_core.replay.packed.writer import ShardWriter
from townlet_core.replay.sample import ReplaySample, pack_sample
from townlet_core.replay.totals import EventTotals, part_of, tally
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import MANY_TOWNS, Towns

FRAME_BYTES = 50_000_000  # of the towns that are played at once, at most


class Work(NamedTuple):
    """What a process needs to play any block of a capture."""

    scenario: Scenario
    policy: Policy
    settings: CaptureSettings
    plan: dict[str, Any]


def play_block(
    work: Work, block: int, folder: Path, after: Callable[[int], Any] = lambda ticks: None
) -> dict[str, Any]:
    """Play the towns of a block, write files into `folder`, and return the block's record.

    after: is told after each tick how many ticks were played, one for each town.
    """
    writer = _writer(work, block, folder)
    parts, events = [], EventTotals([])
    try:
        with io.AtomicFile(folder / EVENTS_FILE) as log:
            for sample, of_town in _play(work, towns_of(work.plan, block), after):
                if sample is not None:
                    writer.add(sample)
                    part = part_of(sample, sample.metadata["metrics"])
                    assert part is not None  # our own samples have every array
                    parts.append(part)
                events.add(of_town)
                log.write(dump_events(of_town))
        written = writer.close()
    except BaseException:
        writer.abandon()
        raise
    return {
        **written,
        "sample_count": len(parts),
        "events": sum(events.by_type.values()),
        "event_bytes": log.bytes,
        "tally": tally(parts, events, work.plan["agents"]),
    }


def _play(
    work: Work, numbers: range, after: Callable[[int], Any]
) -> Iterator[tuple[ReplaySample | None, list[dict[str, Any]]]]:
    """Iterate over the samples of these towns and, after the samples of each town, its events."""
    agents = [i for i, agent in enumerate(work.scenario.agents) if agent.id in work.plan["agents"]]
    frames: Frames | None = None
    size = batch_towns(work)
    for first in numbers[::size]:
        count = min(size, numbers.stop - first)
        towns = Towns(work.scenario, count, work.settings.seed, first_town=first)
        if frames is None or frames.episodes.shape[1] != count:
            frames = allocate_frames(towns, work.settings.ticks)
        events: list[list[dict[str, Any]]] = [[] for _ in range(count)]

        collect(towns, work.policy, frames, partial(_note_tick, towns, events, after))
        for b in range(count):
            origin = work.plan["origin"]
            about = {**origin, "capture": {**origin["capture"], "town": first + b}}
            for i in agents:
                for sample in cut_samples(frames, i, towns.agent_ids[i], towns.feature_names, about, b):
                    yield sample, []
            yield None, events[b]


def _note_tick(towns: Towns, events: list[list[dict[str, Any]]], after: Callable[[int], Any]) -> None:
    """Sort the events of a tick by town."""
    first = int(towns.state.towns["town"][0])
    for event in towns.new_events():
        events[event["town"] - first].append(event)
    after(len(events))


def batch_towns(work: Work) -> int:
    """Return how many towns are played at once.

    A script decides for each town alone. A network's output may depend on the size of the batch in its last
    bits, so that its towns are played one by one: then a town's bytes depend on its number alone.
    """
    if not isinstance(work.policy, ScriptedPolicy) or work.policy.value_source != "none":
        return 1
    one = bytes_of(allocate_frames(Towns(work.scenario), work.settings.ticks))
    return max(1, min(MANY_TOWNS - 1, FRAME_BYTES // one))  # from MANY_TOWNS on, kernels start threads


def _writer(work: Work, block: int, folder: Path) -> _NpzWriter | _ArrowWriter:
    if work.settings.format == "npz":
        return _NpzWriter(folder, work.settings.compress)
    return _ArrowWriter(folder, f"{work.settings.prefix}_{block + 1:05d}", work.settings.compression)


class _NpzWriter:
    """Write samples as NPZ and JSON, numbered within the block; all are made durable at its end."""

    def __init__(self, folder: Path, compress: bool) -> None:
        self._folder, self._compress = folder, compress
        self._entries: list[dict[str, Any]] = []
        self._metrics: list[dict[str, float]] = []

    def add(self, sample: ReplaySample) -> None:
        stem = f"{sample.agent_id}_{len(self._entries) + 1:03d}"
        entry, data, meta = pack_sample(sample, stem, self._compress)
        write_scratch(self._folder / entry["meta"], meta)
        write_scratch(self._folder / entry["sample"], data)
        self._entries.append(entry)
        self._metrics.append(sample.metadata["metrics"])

    def close(self) -> dict[str, Any]:
        flush_files(self._folder)
        return {"samples": self._entries, "metrics": self._metrics}

    def abandon(self) -> None:
        """Leave the files to the next capture, which removes them."""


class _ArrowWriter:
    """Write samples as one shard; there is none without samples."""

    def __init__(self, folder: Path, name: str, compression: str) -> None:
        self._writer = ShardWriter(folder, name, compression)

    def add(self, sample: ReplaySample) -> None:
        self._writer.add(sample)

    def close(self) -> dict[str, Any]:
        return {"shards": [self._writer.close()] if self._writer.sample_count else []}

    def abandon(self) -> None:
        self._writer.abandon()
