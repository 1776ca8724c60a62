"""An animation: the moments of one episode, with the rewards and events between them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import InputError
from townlet_core.render.scene import Scene

NOT_RECORDED = -1  # in place of an action
MAX_MOMENTS = 20_000  # of one animation; a town of many takes some hundred MiB at this length


class Choices(NamedTuple):
    """What agents chose on what they saw at each moment, as recorded; (N, A). The last moment has none."""

    actions: np.ndarray  # int16, index into names; NOT_RECORDED where there is none
    probabilities: np.ndarray  # float32, of that action under the policy that acted; NaN where not recorded
    values: np.ndarray  # float32, the critic's of what was seen; NaN where not recorded
    names: tuple[str, ...]  # of the actions

    def at(self, moment: int, agent: int) -> str:
        """Name the action chosen at a moment; empty if it was not recorded."""
        action = int(self.actions[moment, agent])
        return self.names[action] if action != NOT_RECORDED else ""


class Animation(NamedTuple):
    """N moments of a town. Moment 0 comes before the first tick shown; A agents as in the scenes."""

    title: str
    description: str  # untrusted text
    facts: dict[str, str]  # its origin, for people
    note: str  # why it does not show the whole town; empty if it does
    scenes: list[Scene]  # N
    rewards: np.ndarray  # (N, A) float32, of the tick that led here; NaN where there was none
    events: list[dict[str, Any]]  # as in an event log, and `moment`: the index of the moment it led to
    focus: int  # the selected agent, or -1
    choices: Choices
    label: str = ""  # which of several recordings it is; untrusted text

    @property
    def first_tick(self) -> int:
        """The tick of the first scene."""
        return self.scenes[0].tick

    @property
    def last_tick(self) -> int:
        """The tick of the last scene."""
        return self.scenes[-1].tick

    def moment_at(self, tick: int) -> int:
        """Return the index of the moment after so many ticks. Raises InputError for one that is not shown."""
        if not self.first_tick <= tick <= self.last_tick:
            raise InputError(f"tick {tick}: the recording shows ticks {self.first_tick} to {self.last_tick}")
        return tick - self.first_tick


class Part(NamedTuple):
    """Which ticks of an episode to show; None is its first or last."""

    first: int | None = None
    last: int | None = None

    def of(self, start: int, end: int) -> tuple[int, int]:
        """Return the part as two ticks. Raises InputError if it lies outside, or is empty or too long."""
        first = start if self.first is None else self.first
        last = end if self.last is None else self.last
        if not start <= first < last <= end:
            raise InputError(
                f"ticks {first} to {last}: expected a part of {start} to {end}, which is what was recorded"
            )
        if last - first >= MAX_MOMENTS:
            raise InputError(
                f"{last - first:,} ticks, expected at most {MAX_MOMENTS - 1:,} at a time",
                "choose a part of the episode with --from and --to",
            )
        return first, last


WHOLE = Part()


def key_moments(animation: Animation, count: int) -> list[int]:
    """Select at most `count` of the most informative moments, in order; several start with the first moment.

    A conflict counts its intensity, other events less, a line a little; around each choice, neighbours are
    left out. Where nothing happens they are spread evenly.
    """
    telling = np.array([_gathering(scene) for scene in animation.scenes])
    for event in animation.events:
        telling[event["moment"]] += event.get("intensity", 0.2) + _WEIGHTS.get(event["type"], 0.0)
    if not telling.any():
        return sorted(set(np.linspace(0, len(telling) - 1, count).round().astype(int).tolist()))
    telling *= np.linspace(1.0, 1.001, len(telling))  # of equal ones, the latest: more has been lived through
    chosen = [0] if count > 1 else []
    telling[chosen] = -1
    apart = len(telling) // (2 * count)
    while len(chosen) < count and telling.max() >= 0:
        best = int(telling.argmax())
        chosen.append(best)
        telling[max(best - apart, 0) : best + apart + 1] = -1
    return sorted(chosen)


_WEIGHTS = {"faint": 2.0, "shared_meal": 0.5, "late_help": 0.5, "shift_takeover": 0.5, "utility_outage": 1.0}


def _gathering(scene: Scene) -> float:
    """Return a little for everybody who uses something, and more for everybody who waits."""
    return sum(0.02 * (thing.user >= 0) + 0.05 * len(thing.line) for thing in scene.objects)
