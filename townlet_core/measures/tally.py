"""Sums over the ticks of episodes, per agent, from which every measure follows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from townlet_core.measures.inequality import dominated, returned
from townlet_core.vocab import EVENTS, GHOST_STEP, NEEDS

Rows = dict[str, np.ndarray]  # of each of SUMS, (episodes, A) float64
OUTCOMES = ("reward", "earned", "terminated", "conflict_events", "conflict_intensity")
_COUNTED = (  # events, of their actor
    "queue_handover",
    "shared_meal",
    "late_help",
    "shift_takeover",
    "chat_success",
    "chat_failure",
    "sleep_complete",
)
_USES = ("affordance_complete", "shower_complete", "sleep_complete")
_CONTESTS = ("lost", "returned", "dominated")  # made of who lost to whom, at the end

# What is kept of an episode for every agent: a sum over the ticks that it lived in, unless it says otherwise.
SUMS = (
    *OUTCOMES,
    *NEEDS,
    "late",  # ticks with a lateness penalty
    "lived",  # ticks
    "in_conflict",  # ticks in which it was part of a conflict
    "first_reward",  # rewards until its first faint
    "ticks",  # of the episode, the same for all agents
    "uses",  # affordances completed
    "use_ticks",  # the ticks of its completions, counted from 1
    *_COUNTED,
    *_CONTESTS,
)


class Tick(NamedTuple):
    """What a tick was for B episodes of A agents; where an agent did not live, anything."""

    lived: np.ndarray  # (B, A) bool, in town, in an episode that is not over
    needs: np.ndarray  # (B, A, needs), before the tick, as the agents observed them
    late: np.ndarray  # (B, A), whether a lateness was penalised; NaN if that is not known
    outcomes: dict[str, np.ndarray]  # (B, A), of each of OUTCOMES; NaN if it is not known


class Events(NamedTuple):
    """N events of a tick; ids are those of vocab. All arrays are (N,)."""

    episode: np.ndarray  # its row
    type: np.ndarray
    reason: np.ndarray  # of a conflict
    actor: np.ndarray  # negative: nobody
    rival: np.ndarray


class Tally:
    """The sums of B episodes that are played tick by tick."""

    def __init__(self, episodes: int, agents: int) -> None:
        self._sums = {name: np.zeros((episodes, agents)) for name in SUMS}
        self._contests = np.zeros((episodes, agents, agents))
        self._fainted = np.zeros((episodes, agents), bool)

    def add_tick(self, tick: Tick, events: Events) -> None:
        """Add a tick and its events. Those of episodes that are over are to be left out before."""
        lived, sums = tick.lived, self._sums
        sums["ticks"] += lived.any(1, keepdims=True)
        sums["lived"] += lived
        sums["late"] += np.where(lived, tick.late, 0)
        for name in OUTCOMES:
            sums[name] += np.where(lived, tick.outcomes[name], 0)
        for n, need in enumerate(NEEDS):
            sums[need] += np.where(lived, tick.needs[..., n], 0)
        sums["in_conflict"] += lived & (tick.outcomes["conflict_events"] > 0)
        sums["first_reward"] += np.where(lived & ~self._fainted, tick.outcomes["reward"], 0)
        self._fainted |= lived & (tick.outcomes["terminated"] > 0)
        if len(events.type):
            self._add_events(events)

    def _add_events(self, events: Events) -> None:
        def count(name: str, chosen: np.ndarray, amount: np.ndarray | int = 1) -> None:
            np.add.at(self._sums[name], (events.episode[chosen], events.actor[chosen]), amount)

        for name in _COUNTED:
            count(name, events.type == EVENTS.index(name))
        uses = np.isin(events.type, [EVENTS.index(name) for name in _USES])
        count("uses", uses)
        count("use_ticks", uses, self._sums["ticks"][events.episode[uses], 0])
        conflicts = events.type == EVENTS.index("queue_conflict")
        has_won = conflicts & (events.reason == GHOST_STEP)  # the actor was first in line, and has it now
        for loser, winner, chosen in (
            (events.actor, events.rival, conflicts & ~has_won),
            (events.rival, events.actor, has_won),
        ):
            np.add.at(self._contests, (events.episode[chosen], loser[chosen], winner[chosen]), 1)

    @property
    def contests(self) -> np.ndarray:
        """How often agent i lost a contest to agent j, (B, A, A)."""
        return self._contests

    def rows(self) -> Rows:
        """Return the sums."""
        contests = {
            "lost": self._contests.sum(-1),
            "returned": returned(self._contests),
            "dominated": dominated(self._contests),
        }
        return {**self._sums, **contests}
