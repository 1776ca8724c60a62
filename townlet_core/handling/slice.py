"""Cut samples to some of their ticks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from townlet_core.errors import InputError, shown
from townlet_core.handling.sources import Source
from townlet_core.handling.writer import Kept
from townlet_core.replay.episodes import cut_episode
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import read_entry
from townlet_core.replay.metrics import with_metrics
from townlet_core.replay.packed.pack import original_files
from townlet_core.replay.sample import ReplaySample

_TICKS = re.compile(r"(\d{0,10}):(\d{0,10})")


class TickRange(NamedTuple):
    """Ticks from `start` to before `stop`; without a stop to the end."""

    start: int = 0
    stop: int | None = None


def parse_ticks(text: str) -> TickRange:
    """Read `START:STOP`, either of which may be missing. Raises InputError for anything else."""
    match = _TICKS.fullmatch(text)
    if match is None:
        raise InputError(f"--ticks: {shown(text)}, expected START:STOP, such as 100:300, 100: or :300")
    ticks = TickRange(int(match[1] or 0), int(match[2]) if match[2] else None)
    if ticks.stop is not None and ticks.stop <= ticks.start:
        raise InputError(f"--ticks: {shown(text)} has no ticks, expected START < STOP")
    return ticks


def slice_samples(
    sources: Sequence[Source], ticks: TickRange, limits: ReadLimits = DEFAULT_LIMITS
) -> Iterator[Kept]:
    """Cut each sample to these ticks; a sample without any of them is left out.

    Ticks are those of the town's recording: a sample's first one is its `capture.first_frame`, or 0 if it has
    none. Raises SampleError, MissingError or DiskError.
    """
    for number, source in enumerate(sources):
        for entry in source.entries:
            sample = read_entry(entry, limits)
            first = _first_frame(sample)
            start = max(0, ticks.start - first)
            stop = sample.timesteps if ticks.stop is None else min(sample.timesteps, ticks.stop - first)
            if start == 0 and stop == sample.timesteps:
                yield Kept(sample, number, original_files(entry, limits))
            elif start < stop:
                yield Kept(slice_sample(sample, start, stop), number, None, begins=start == 0)


def slice_sample(sample: ReplaySample, start: int, stop: int) -> ReplaySample:
    """Return ticks `start` to before `stop` of a sample; its metadata and metrics describe the slice."""
    part = cut_episode(sample, slice(start, stop))
    lengths = {"timesteps": 0, "frame_count": 0, "value_pred_steps": 1}
    metadata = sample.metadata | {
        key: part.timesteps + more for key, more in lengths.items() if key in sample.metadata
    }
    capture = metadata.get("capture")
    if isinstance(capture, dict) and "first_frame" in capture:
        metadata["capture"] = capture | {"first_frame": _first_frame(sample) + start}
    part = dataclasses.replace(part, metadata=metadata)
    return with_metrics(part) if metadata.get("metrics") else part


def _first_frame(sample: ReplaySample) -> int:
    capture = sample.metadata.get("capture")
    first = capture.get("first_frame") if isinstance(capture, dict) else None
    return first if isinstance(first, int) else 0
