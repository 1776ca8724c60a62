"""Read samples that are to be copied as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from townlet_core.handling.sources import Source
from townlet_core.handling.writer import Kept
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import read_entry
from townlet_core.replay.packed.pack import original_files


def read_samples(sources: Sequence[Source], limits: ReadLimits = DEFAULT_LIMITS) -> Iterator[Kept]:
    """Read and validate the samples of sources, in order. Raises SampleError, MissingError or DiskError."""
    for number, source in enumerate(sources):
        for entry in source.entries:
            yield Kept(read_entry(entry, limits), number, original_files(entry, limits))
