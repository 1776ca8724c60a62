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
_IS_USE = np.isin(EVENTS, ("affordance_complete", "shower_complete", "sleep_complete"))
_CONFLICT = EVENTS.index("queue_conflict")
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
        self._counts = np.zeros((len(EVENTS), episodes, agents))  # of each type, by actor
        self._contests = np.zeros((episodes, agents, agents))
        self._fainted = np.zeros((episodes, agents), bool)

    def add_tick(self, tick: Tick, events: Events) -> None:
        """Add a tick and its events. Those of episodes that are over are to be left out before."""
        lived, sums = tick.lived, self._sums
        sums["ticks"] += lived.any(1, keepdims=True)
        sums["lived"] += lived

        def add(name: str, values: np.ndarray, where: np.ndarray = lived) -> None:
            np.add(sums[name], values, out=sums[name], where=where)

        add("late", tick.late)
        for name in OUTCOMES:
            add(name, tick.outcomes[name])
        for n, need in enumerate(NEEDS):
            add(need, tick.needs[..., n])
        add("in_conflict", tick.outcomes["conflict_events"] > 0)
        add("first_reward", tick.outcomes["reward"], lived & ~self._fainted)
        self._fainted |= lived & (tick.outcomes["terminated"] > 0)
        if len(events.type):
            self._add_events(events)

    def _add_events(self, events: Events) -> None:
        own = events.actor >= 0
        episode, kind, actor, rival = (
            array[own] for array in (events.episode, events.type, events.actor, events.rival)
        )
        np.add.at(self._counts, (kind, episode, actor), 1)
        uses = _IS_USE[kind]
        np.add.at(
            self._sums["use_ticks"], (episode[uses], actor[uses]), self._sums["ticks"][episode[uses], 0]
        )
        conflicts = kind == _CONFLICT
        if conflicts.any():
            # After a ghost step the actor, who was first in line, has the object; else the rival has it.
            has_won = events.reason[own] == GHOST_STEP
            loser, winner = np.where(has_won, rival, actor), np.where(has_won, actor, rival)
            np.add.at(self._contests, (episode[conflicts], loser[conflicts], winner[conflicts]), 1)

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
        counts = {name: self._counts[EVENTS.index(name)] for name in _COUNTED}
        uses = self._counts[_IS_USE].sum(0)
        return {**self._sums, **counts, "uses": uses, **contests}
