"""The moments of a dataset with the strongest conflicts, from its event log or from its samples."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core.replay.events import load_events
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.sample import ReplaySample

MOST = 8  # moments that are kept
_PARTIES = 3  # conflicts of one moment that are named


class Quarrel(NamedTuple):
    """The conflicts of one tick. tick: of the episode, from 0. None for what is not known."""

    town: int | None
    episode: int | None
    tick: int | None
    intensity: float
    text: str  # who, over what, and why; untrusted


def logged_quarrels(log: Path, limits: ReadLimits = DEFAULT_LIMITS) -> list[Quarrel]:
    """Return the moments of an event log with the largest sum of intensities, the largest first.

    Reads the log once, in bounded memory. Raises InputError, MissingError or DiskError.
    """
    conflicts = (event for event in load_events(log, limits) if event["type"] == "queue_conflict")
    return _largest(_moment(place, list(events)) for place, events in groupby(conflicts, _place))


class SampleQuarrels:
    """The ticks at which one agent had the largest share of conflicts, for data without an event log."""

    def __init__(self) -> None:
        self.largest: list[Quarrel] = []

    def add(self, sample: ReplaySample) -> None:
        """Add a sample; keeps none of its arrays."""
        shares = sample.optional.get("conflict_intensity")
        if shares is None:
            return
        about = sample.metadata.get("capture")
        capture = about if isinstance(about, dict) else {}
        town, episode, first = (_number(capture, name) for name in ("town", "episode", "first_frame"))
        start = first if episode == 0 else None  # later episodes begin at a frame that is not recorded
        found = (
            Quarrel(
                town, episode, None if start is None else start + tick, float(shares[tick]), sample.agent_id
            )
            for tick in np.argsort(-shares, kind="stable")[:MOST].tolist()
            if shares[tick] > 0
        )
        self.largest = _largest([*self.largest, *found])


def _largest(quarrels: Iterable[Quarrel]) -> list[Quarrel]:
    """Return the largest, in order; of equal ones those that come first."""
    return heapq.nlargest(MOST, quarrels, key=lambda quarrel: quarrel.intensity)


def _place(event: dict[str, Any]) -> tuple[int, int, int]:
    return event["town"], _number(event, "episode") or 0, event["tick"]


def _moment(place: tuple[int, int, int], events: list[dict[str, Any]]) -> Quarrel:
    said = list(dict.fromkeys(_describe(events)))
    more = f" and {len(said) - _PARTIES} more" if len(said) > _PARTIES else ""
    return Quarrel(*place, sum(event["intensity"] for event in events), "; ".join(said[:_PARTIES]) + more)


def _describe(events: list[dict[str, Any]]) -> Iterator[str]:
    for event in events:
        yield f"{event['actor']} and {event['rival']} over {event['object_id']}: {event['reason']}"


def _number(values: dict[str, Any], name: str) -> int | None:
    value = values.get(name)
    return value if type(value) is int else None
