"""Rule: Meetings (docs/rules.md#meetings). Who comes to one gets to know the others there."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.compiled import rule
from townlet_core.simulation.constants import TownRules
from townlet_core.simulation.events import MEETING_ATTENDED, emit
from townlet_core.simulation.perturbations import NEVER, is_on
from townlet_core.simulation.relationships import befriend
from townlet_core.simulation.state import NOBODY, TownState


@rule
def hold_meetings(state: TownState, rules: TownRules, b: int) -> None:
    """Count who attends the meetings that are on, once each, and introduce them to those who came before."""
    first_meeting = state.perturbations.shape[1] - rules.meetings.shape[0]
    for m in range(rules.meetings.shape[0]):
        if not is_on(state, b, first_meeting + m, rules.meetings[m].duration_ticks):
            continue
        attended = state.perturbations[b, first_meeting + m].attended
        for i in range(state.agents.shape[1]):
            if attended[i] == 1 or not is_at_meeting(state, rules, b, m, i):
                continue
            company = _company(state, rules, b, m, i)
            if company != NOBODY:
                attended[i] = 1
                emit(state, b, MEETING_ATTENDED, rules.meetings[m].object, i, company)
                _introduce(state, rules, b, m, i, attended)


@rule
def is_at_meeting(state: TownState, rules: TownRules, b: int, m: int, i: int) -> bool:
    """Whether agent i is invited to meeting m and at its place."""
    agent = state.agents[b, i]
    meeting = rules.meetings[m]
    is_near = max(abs(agent.x - meeting.x), abs(agent.y - meeting.y)) <= meeting.radius
    return agent.alive and rules.invited[m, i] and is_near


@rule
def _company(state: TownState, rules: TownRules, b: int, m: int, i: int) -> int:
    """Return the lowest-numbered other agent that is at the meeting, or -1."""
    for j in range(state.agents.shape[1]):
        if j != i and is_at_meeting(state, rules, b, m, j):
            return j
    return NOBODY


@rule
def _introduce(state: TownState, rules: TownRules, b: int, m: int, i: int, attended: np.ndarray) -> None:
    constants = rules.constants[0]
    for j in range(state.agents.shape[1]):
        if j != i and attended[j] == 1 and is_at_meeting(state, rules, b, m, j):
            befriend(state, b, i, j, constants.meeting_trust, constants.meeting_familiarity)


@rule
def next_meeting(state: TownState, rules: TownRules, b: int, i: int) -> int:
    """Return the first meeting that agent i is invited to and that is not over, or -1."""
    first_meeting = state.perturbations.shape[1] - rules.meetings.shape[0]
    best, best_start = NOBODY, 0
    for m in range(rules.meetings.shape[0]):
        start = state.perturbations[b, first_meeting + m].start_tick
        is_over = start == NEVER or start + rules.meetings[m].duration_ticks <= state.towns[b].tick
        if rules.invited[m, i] and not is_over and (best == NOBODY or start < best_start):
            best, best_start = m, start
    return best


@rule
def ticks_to_meeting(state: TownState, rules: TownRules, b: int, m: int) -> int:
    """Return the ticks until meeting m begins, 0 while it is on."""
    first_meeting = state.perturbations.shape[1] - rules.meetings.shape[0]
    return max(state.perturbations[b, first_meeting + m].start_tick - state.towns[b].tick, 0)
