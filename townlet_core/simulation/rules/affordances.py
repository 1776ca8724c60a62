"""Rule: Affordances (docs/rules.md#affordances). Using a thing to its end, and what that gives."""

from __future__ import annotations

from townlet_core.simulation.events import LATE_HELP, SHARED_MEAL, SHIFT_TAKEOVER, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.rules.employment import MAY_NOT, OWN_SHIFT, may_work, own_shift_is_on
from townlet_core.simulation.rules.queues import give_up
from townlet_core.simulation.state import NOBODY, USING, TownState
from townlet_core.vocab import ABSENT, START


@rule
def use_objects(state: TownState, params: TownParams, b: int) -> None:
    """Start, work, progress and complete, objects by index."""
    if not state.towns[b].is_engaged:
        return
    for o in range(state.objects.shape[1]):
        thing = state.objects[b, o]
        if thing.holder != NOBODY and state.agents[b, thing.holder].action == START:
            _begin(state, params, b, o)
        if thing.user == NOBODY:
            continue
        kind = params.kinds[params.objects[o].kind]
        if kind.is_work and _work_ends(state, params, b, o):
            give_up(state, b, thing.user)
            continue
        agent = state.agents[b, thing.user]
        agent.progress += 1
        if not kind.is_work and agent.progress >= kind.duration_ticks:
            _complete(state, params, b, o)


@rule
def _begin(state: TownState, params: TownParams, b: int, o: int) -> None:
    thing = state.objects[b, o]
    i = thing.holder
    thing.holder = NOBODY
    thing.user = i
    state.agents[b, i].role = USING
    state.agents[b, i].progress = 0
    state.agents[b, i].price = thing.price
    if params.kinds[params.objects[o].kind].is_work:
        colleague = may_work(state, params, b, i, o)
        if colleague >= 0 and state.agents[b, colleague].shift_state == ABSENT:
            emit(state, b, SHIFT_TAKEOVER, o, i, colleague)


@rule
def _work_ends(state: TownState, params: TownParams, b: int, o: int) -> bool:
    """Whether the worker must leave: the shift is over, or the colleague it covers for has come."""
    i = state.objects[b, o].user
    permit = may_work(state, params, b, i, o)
    if permit == OWN_SHIFT:
        return False
    for place in range(state.objects[b, o].line_length):
        colleague = state.line[b, o, place]
        if permit != MAY_NOT and own_shift_is_on(state, params, b, colleague):
            emit(state, b, LATE_HELP, o, i, colleague)
            return True
    return permit == MAY_NOT


@rule
def _leave(state: TownState, params: TownParams, b: int, o: int) -> None:
    i = state.objects[b, o].user
    give_up(state, b, i)
    state.objects[b, o].last_user = i


@rule
def _complete(state: TownState, params: TownParams, b: int, o: int) -> None:
    thing = state.objects[b, o]
    i = thing.user
    agent = state.agents[b, i]
    kind = params.kinds[params.objects[o].kind]
    hunger, hygiene, energy = agent.hunger, agent.hygiene, agent.energy
    agent.hunger = min(max(hunger + kind.hunger, 0.0), 1.0)
    agent.hygiene = min(max(hygiene + kind.hygiene, 0.0), 1.0)
    agent.energy = min(max(energy + kind.energy, 0.0), 1.0)
    agent.gained = (
        max(agent.hunger - hunger, 0.0) + max(agent.hygiene - hygiene, 0.0) + max(agent.energy - energy, 0.0)
    )
    agent.wallet -= agent.price
    if thing.stock > 0:
        thing.stock -= 1
    supplied = params.objects[o].supplies
    if supplied != NOBODY and state.objects[b, supplied].stock >= 0:
        state.objects[b, supplied].stock += 1
    _leave(state, params, b, o)
    agent.cooldown_until = state.towns[b].tick + 1 + params.constants[0].cooldown_ticks
    state.cooldown[b, o, i] = agent.cooldown_until
    emit(state, b, kind.completion_event, o, i, NOBODY)
    if kind.is_meal:
        _share_meal(state, params, b, o, i)


@rule
def _share_meal(state: TownState, params: TownParams, b: int, o: int, i: int) -> None:
    """Find somebody near who eats or has just eaten."""
    constants = params.constants[0]
    tick = state.towns[b].tick
    eater = state.agents[b, i]
    eater.last_meal_tick = tick
    for j in range(state.agents.shape[1]):
        other = state.agents[b, j]
        near = max(abs(other.x - eater.x), abs(other.y - eater.y)) <= constants.meal_radius
        if j == i or not other.alive or not near:
            continue
        eating = other.role == USING and params.kinds[params.objects[other.object].kind].is_meal
        if eating or tick - other.last_meal_tick <= constants.meal_memory_ticks:
            emit(state, b, SHARED_MEAL, o, i, j)
            return
