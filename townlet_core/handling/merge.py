"""Join samples that fit together, each recording once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from townlet_core.handling.copying import read_samples
from townlet_core.handling.sources import Source
from townlet_core.handling.writer import Kept
from townlet_core.replay.compatibility import CompatibilityCheck
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.selection import fingerprint


class Merge:
    """Iterate over the samples of all sources, in order, without the repeated ones.

    Raises SampleError naming two samples that do not fit together, and what differs.
    duplicates: the repeated samples so far, each with the first of its kind.
    """

    def __init__(self, sources: Sequence[Source], limits: ReadLimits = DEFAULT_LIMITS) -> None:
        self.duplicates: list[tuple[str, str]] = []
        self._sources, self._limits = sources, limits
        self._compatibility = CompatibilityCheck()

    def warnings(self) -> tuple[str, ...]:
        """Return what the samples leave in doubt, such as rewards of two scenarios."""
        return self._compatibility.warnings()

    def __iter__(self) -> Iterator[Kept]:
        first: dict[bytes, str] = {}
        names = (str(entry.sample) for source in self._sources for entry in source.entries)
        for name, kept in zip(names, read_samples(self._sources, self._limits), strict=True):
            self._compatibility.add(name, kept.sample)
            same = first.setdefault(fingerprint(kept.sample), name)
            if same != name:
                self.duplicates.append((name, same))
            else:
                yield kept
