"""Rule: Meetings (docs/rules.md#meetings). Agents that attend a meeting are introduced to each other."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.events import MEETING_ATTENDED, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.rules.perturbations import is_on
from townlet_core.simulation.rules.relationships import change_trust
from townlet_core.simulation.state import NEVER, NOBODY, TownState


@rule
def hold_meetings(state: TownState, params: TownParams, b: int) -> None:
    """Record who attends each active meeting, once, and introduce them to those who attended before."""
    first_meeting = state.perturbations.shape[1] - params.meetings.shape[0]
    for m in range(params.meetings.shape[0]):
        if not is_on(state, b, first_meeting + m, params.meetings[m].duration_ticks):
            continue
        attended = state.perturbations[b, first_meeting + m].attended
        for i in range(state.agents.shape[1]):
            if attended[i] == 1 or not is_at_meeting(state, params, b, m, i):
                continue
            other = _other_at_meeting(state, params, b, m, i)
            if other != NOBODY:
                attended[i] = 1
                emit(state, b, MEETING_ATTENDED, params.meetings[m].object, i, other)
                _introduce(state, params, b, m, i, attended)


@rule
def is_at_meeting(state: TownState, params: TownParams, b: int, m: int, i: int) -> bool:
    """Whether agent i is invited to meeting m and at its place."""
    agent = state.agents[b, i]
    meeting = params.meetings[m]
    is_near = max(abs(agent.x - meeting.x), abs(agent.y - meeting.y)) <= meeting.radius
    return agent.alive and params.invited[m, i] and is_near


@rule
def _other_at_meeting(state: TownState, params: TownParams, b: int, m: int, i: int) -> int:
    """Return the lowest-numbered other agent that is at the meeting, or -1."""
    for j in range(state.agents.shape[1]):
        if j != i and is_at_meeting(state, params, b, m, j):
            return j
    return NOBODY


@rule
def _introduce(state: TownState, params: TownParams, b: int, m: int, i: int, attended: np.ndarray) -> None:
    constants = params.constants[0]
    for j in range(state.agents.shape[1]):
        if j != i and attended[j] == 1 and is_at_meeting(state, params, b, m, j):
            change_trust(state, b, i, j, constants.meeting_trust, constants.meeting_familiarity)


@rule
def next_meeting(state: TownState, params: TownParams, b: int, i: int) -> int:
    """Return the first meeting that agent i is invited to and that is not over, or -1."""
    first_meeting = state.perturbations.shape[1] - params.meetings.shape[0]
    best, best_start = NOBODY, 0
    for m in range(params.meetings.shape[0]):
        start = state.perturbations[b, first_meeting + m].start_tick
        is_over = start == NEVER or start + params.meetings[m].duration_ticks <= state.towns[b].tick
        if params.invited[m, i] and not is_over and (best == NOBODY or start < best_start):
            best, best_start = m, start
    return best


@rule
def ticks_to_meeting(state: TownState, params: TownParams, b: int, m: int) -> int:
    """Return the ticks until meeting m begins, 0 while it is on."""
    first_meeting = state.perturbations.shape[1] - params.meetings.shape[0]
    return max(state.perturbations[b, first_meeting + m].start_tick - state.towns[b].tick, 0)
