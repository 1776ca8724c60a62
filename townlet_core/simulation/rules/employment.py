"""Rule: Employment (docs/rules.md#employment). Shifts, punctuality, wages, and covering for a colleague."""

from __future__ import annotations

from townlet_core.simulation.events import (
    LATE_HELP,
    SHIFT_ABSENT,
    SHIFT_LATE,
    SHIFT_ON_TIME,
    SHIFT_TAKEOVER,
    emit,
)
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.roles import leave_object
from townlet_core.simulation.state import NOBODY, USING, TownState
from townlet_core.vocab import ABSENT, LATE, ON_TIME, POST, PRE

OWN_SHIFT = -1  # may_work: the agent's own shift is on
MAY_NOT = -2


@rule
def own_shift_is_on(state: TownState, params: TownParams, b: int, i: int) -> bool:
    """Whether agent i has a job whose shift is on."""
    job = params.agents[i].job
    if job == NOBODY:
        return False
    return params.jobs[job].start_tick <= state.towns[b].clock < params.jobs[job].end_tick


@rule
def is_at_work(state: TownState, params: TownParams, b: int, i: int) -> bool:
    """Whether agent i uses its workplace."""
    agent = state.agents[b, i]
    return agent.role == USING and agent.object == params.jobs[params.agents[i].job].workplace


@rule
def may_work(state: TownState, params: TownParams, b: int, i: int, o: int) -> int:
    """Return OWN_SHIFT, the colleague whom agent i may cover for at object o, or MAY_NOT."""
    job = params.agents[i].job
    if job == NOBODY or params.jobs[job].workplace != o:
        return MAY_NOT
    if own_shift_is_on(state, params, b, i):
        return OWN_SHIFT
    for j in range(state.agents.shape[1]):
        other_job = params.agents[j].job
        if j == i or other_job == NOBODY or params.jobs[other_job].workplace != o:
            continue
        other = state.agents[b, j]
        missing = other.shift_state == LATE or other.shift_state == ABSENT
        on_shift = own_shift_is_on(state, params, b, j)
        if other.alive and missing and on_shift and not is_at_work(state, params, b, j):
            return j
    return MAY_NOT


@rule
def take_over_shift(state: TownState, params: TownParams, b: int, o: int) -> None:
    """Emit `shift_takeover` if the new user of workplace o covers for an absent colleague."""
    i = state.objects[b, o].user
    colleague = may_work(state, params, b, i, o)
    if colleague >= 0 and state.agents[b, colleague].shift_state == ABSENT:
        emit(state, b, SHIFT_TAKEOVER, o, i, colleague)


@rule
def continue_work(state: TownState, params: TownParams, b: int, o: int) -> None:
    """Play one tick of work at workplace o. Its user leaves if it may not work any more.

    A user that covers for a colleague also leaves when a colleague on shift is in line: `late_help`.
    """
    i = state.objects[b, o].user
    permit = may_work(state, params, b, i, o)
    is_covering = permit >= 0
    colleague = _colleague_in_line(state, params, b, o) if is_covering else NOBODY
    if colleague != NOBODY:
        emit(state, b, LATE_HELP, o, i, colleague)
    if permit == MAY_NOT or colleague != NOBODY:
        leave_object(state, b, i)
    else:
        state.agents[b, i].progress += 1


@rule
def _colleague_in_line(state: TownState, params: TownParams, b: int, o: int) -> int:
    """Return the first agent in line at workplace o whose own shift is on, or -1."""
    for place in range(state.objects[b, o].line_length):
        i = state.line[b, o, place]
        if own_shift_is_on(state, params, b, i):
            return i
    return NOBODY


@rule
def run_shifts(state: TownState, params: TownParams, b: int) -> None:
    """Open and close shifts, record arrivals and absences, pay and withhold wages."""
    now = state.towns[b].clock
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        if not agent.alive or params.agents[i].job == NOBODY:
            continue
        job = params.jobs[params.agents[i].job]
        on = job.start_tick <= now < job.end_tick
        if agent.on_shift and (not on or now == job.start_tick):
            _close_shift(state, b, i)
        if on and (not agent.on_shift or now == job.start_tick):
            _open_shift(state, b, i)
        agent.on_shift = on
        if on:
            _work_or_miss(state, params, b, i, state.towns[b].tick - agent.shift_tick)
        else:
            agent.shift_state = PRE if now < job.start_tick else POST
            if is_at_work(state, params, b, i):
                _pay(state, b, i, job.wage_rate)


@rule
def _open_shift(state: TownState, b: int, i: int) -> None:
    agent = state.agents[b, i]
    agent.shift_state = PRE
    agent.shift_tick = state.towns[b].tick
    agent.arrived = False
    agent.late_ticks = 0
    agent.attended_ticks = 0
    agent.wages_withheld = 0.0


@rule
def _close_shift(state: TownState, b: int, i: int) -> None:
    agent = state.agents[b, i]
    length = state.towns[b].tick - agent.shift_tick
    agent.attendance[agent.shifts % 3] = agent.attended_ticks / length
    agent.shifts += 1


@rule
def _work_or_miss(state: TownState, params: TownParams, b: int, i: int, since_start: int) -> None:
    """Play one tick of agent i's own shift, `since_start` ticks after the shift began for it."""
    constants = params.constants[0]
    agent = state.agents[b, i]
    job = params.jobs[params.agents[i].job]
    if is_at_work(state, params, b, i):
        if not agent.arrived and agent.shift_state == PRE:
            if since_start <= constants.grace_ticks:
                agent.was_punctual = True
                _set_shift_state(state, b, i, ON_TIME, SHIFT_ON_TIME, job.workplace)
            else:
                _set_shift_state(state, b, i, LATE, SHIFT_LATE, job.workplace)
        agent.arrived = True
        agent.attended_ticks += 1
        _pay(state, b, i, job.wage_rate)
        return
    agent.wages_withheld += job.wage_rate
    if agent.arrived:
        return
    if since_start > constants.absent_cutoff:
        if agent.shift_state != ABSENT:
            _set_shift_state(state, b, i, ABSENT, SHIFT_ABSENT, job.workplace)
    elif since_start > constants.grace_ticks:
        if agent.shift_state != LATE:
            _set_shift_state(state, b, i, LATE, SHIFT_LATE, job.workplace)
        agent.late_ticks += 1
        agent.late_penalty = job.lateness_penalty


@rule
def _set_shift_state(
    state: TownState, b: int, i: int, shift_state: int, event_type: int, workplace: int
) -> None:
    state.agents[b, i].shift_state = shift_state
    emit(state, b, event_type, workplace, i, NOBODY)


@rule
def _pay(state: TownState, b: int, i: int, wage: float) -> None:
    state.agents[b, i].wallet += wage
    state.agents[b, i].earned += wage
