"""The events of the ticks and agents that a copy keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core.replay.events import load_events
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.sample import ReplaySample


class _Span(NamedTuple):
    """Ticks of an episode that a sample keeps of one agent."""

    agent: str
    start: int
    stop: int


class EventCut:
    """Choose the events of a log that belong to samples.

    An event of agents belongs to a sample of one of them, at a tick of the sample; an event of the town
    belongs to any sample of the tick.
    """

    def __init__(self) -> None:
        self.is_known = True  # whether every sample says its ticks
        self._spans: dict[tuple[int, int], list[_Span]] = {}  # by town and episode

    def add(self, sample: ReplaySample, begins: bool) -> None:
        """Keep the events of a sample. begins: whether its first tick is the agent's first."""
        capture = sample.metadata.get("capture")
        about = capture if isinstance(capture, dict) else {}
        town, episode, first = about.get("town"), about.get("episode"), first_tick(sample)
        if type(town) is not int or type(episode) is not int or first is None:
            self.is_known = False
            return
        # The event of an arrival is of the tick before the first observation.
        span = _Span(sample.agent_id, first - begins, first + sample.timesteps)
        self._spans.setdefault((town, episode), []).append(span)

    def choose(self, logs: Iterable[Path], limits: ReadLimits = DEFAULT_LIMITS) -> Iterator[dict[str, Any]]:
        """Iterate over the events of the logs that belong to the samples."""
        for log in logs:
            yield from (event for event in load_events(log, limits) if self._is_kept(event))

    def _is_kept(self, event: dict[str, Any]) -> bool:
        parties = {event[role] for role in ("actor", "rival") if isinstance(event.get(role), str)}
        return any(
            span.start <= event["tick"] < span.stop and (not parties or span.agent in parties)
            for span in self._spans.get((event["town"], event.get("episode", 0)), ())
        )


def first_tick(sample: ReplaySample) -> int | None:
    """Return the tick of the episode at which a sample begins, by the feature episode_progress.

    That is the tick as a fraction of the episode, so its slope gives the ticks of the episode. None if it
    cannot be said: without the feature, or for a single tick that is not of the capture's first episode.
    """
    capture = sample.metadata.get("capture")
    about = capture if isinstance(capture, dict) else {}
    if about.get("episode") == 0 and type(about.get("first_frame")) is int:
        return int(about["first_frame"])
    if "episode_progress" not in sample.feature_names or sample.timesteps < 2:
        return None
    progress = sample.features[:, sample.feature_names.index("episode_progress")].astype(np.float64)
    rise = (progress[-1] - progress[0]) / (sample.timesteps - 1)
    return round(progress[0] / rise) if rise > 0 else None
