"""Rule: Queues (docs/rules.md#queues). Lines, offers, hand-overs, ghost steps, contention, impatience."""

from __future__ import annotations

from townlet_core.simulation.events import QUEUE_HANDOVER, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.roles import join_line, leave_line, leave_object
from townlet_core.simulation.rules.actions import any_agent_does
from townlet_core.simulation.rules.conflicts import emit_conflict
from townlet_core.simulation.rules.legal_actions import object_to_join
from townlet_core.simulation.state import HOLDING, NOBODY, WAITING, TownState
from townlet_core.vocab import CONTENTION, GHOST_STEP, IMPATIENCE, RELEASE, REQUEST, START


@rule
def serve_queues(state: TownState, params: TownParams, b: int) -> None:
    """Release, request, then for each line: ghost step, offer, count the ticks waited."""
    if any_agent_does(state, b, RELEASE):
        _release(state, b)
    if any_agent_does(state, b, REQUEST):
        _request(state, params, b)
    elif not state.towns[b].is_engaged:
        return
    for o in range(state.objects.shape[1]):
        if state.objects[b, o].line_length > 0:
            _ghost_step(state, params, b, o)
            _offer_free_object(state, params, b, o)
            _wait_in_line(state, params, b, o)


@rule
def _release(state: TownState, b: int) -> None:
    for place in range(state.order.shape[1]):
        i = state.order[b, place]
        agent = state.agents[b, i]
        if agent.action == RELEASE:
            o = agent.object
            had_it = agent.role != WAITING
            leave_object(state, b, i)
            if had_it:
                state.objects[b, o].last_user = i


@rule
def _request(state: TownState, params: TownParams, b: int) -> None:
    for place in range(state.order.shape[1]):
        i = state.order[b, place]
        agent = state.agents[b, i]
        if agent.action == REQUEST:
            o = object_to_join(state, params, b, i)
            thing = state.objects[b, o]
            if thing.user == NOBODY and thing.holder == NOBODY and thing.line_length == 0:
                thing.asked_free_tick = state.towns[b].tick
            agent.ticks_waited = 0
            join_line(state, b, i, o)


@rule
def _is_unusable(stock: int, out_of_order: bool) -> bool:
    """Whether no agent could start the object, so that it is not offered and its holder is not idle."""
    return out_of_order or stock == 0


@rule
def _ghost_step(state: TownState, params: TownParams, b: int, o: int) -> None:
    thing = state.objects[b, o]
    holder = thing.holder
    if holder == NOBODY or _is_unusable(thing.stock, thing.out_of_order):
        return
    if state.agents[b, holder].action == START:
        return
    thing.idle_ticks += 1
    if thing.idle_ticks < params.constants[0].ghost_step_after:
        return
    following = _next_in_line(state, params, b, o)
    leave_line(state, b, following, o)
    join_line(state, b, holder, o)
    _offer(state, b, o, following)
    emit_conflict(state, params, b, GHOST_STEP, o, following, holder)


@rule
def _next_in_line(state: TownState, params: TownParams, b: int, o: int) -> int:
    """Return the waiter with the least position − weight · ticks waited; ties go to the one in front."""
    weight = params.constants[0].age_priority_weight
    best = state.line[b, o, 0]
    best_score = 0.0 - weight * state.agents[b, best].ticks_waited
    for place in range(1, state.objects[b, o].line_length):
        i = state.line[b, o, place]
        score = place - weight * state.agents[b, i].ticks_waited
        if score < best_score:
            best, best_score = i, score
    return best


@rule
def _offer(state: TownState, b: int, o: int, i: int) -> None:
    """Make agent i, which has left the line, the holder."""
    thing = state.objects[b, o]
    thing.holder = i
    thing.idle_ticks = 0
    thing.contested = False
    thing.last_user = NOBODY
    state.agents[b, i].role = HOLDING


@rule
def _offer_free_object(state: TownState, params: TownParams, b: int, o: int) -> None:
    thing = state.objects[b, o]
    taken = thing.user != NOBODY or thing.holder != NOBODY
    if taken or _is_unusable(thing.stock, thing.out_of_order):
        return
    winner = _next_in_line(state, params, b, o)
    leave_line(state, b, winner, o)
    before = thing.last_user
    waited = state.agents[b, winner].ticks_waited
    polite = before != NOBODY and before != winner and waited >= 1 and not thing.contested
    _offer(state, b, o, winner)
    if polite:
        emit(state, b, QUEUE_HANDOVER, o, before, winner)
    if thing.asked_free_tick == state.towns[b].tick:
        for place in range(thing.line_length):
            emit_conflict(state, params, b, CONTENTION, o, state.line[b, o, place], winner)


@rule
def _wait_in_line(state: TownState, params: TownParams, b: int, o: int) -> None:
    thing = state.objects[b, o]
    for place in range(thing.line_length):
        state.agents[b, state.line[b, o, place]].ticks_waited += 1
    if thing.user != NOBODY and thing.line_length > 0:
        first = state.line[b, o, 0]
        if state.agents[b, first].ticks_waited % params.constants[0].patience_ticks == 0:
            emit_conflict(state, params, b, IMPATIENCE, o, first, thing.user)
