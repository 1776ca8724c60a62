"""Rule: Affordances (docs/rules.md#affordances). Starting, using and completing the use of an object."""

from __future__ import annotations

from townlet_core.simulation.events import emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.roles import leave_object
from townlet_core.simulation.rules.employment import continue_work, take_over_shift
from townlet_core.simulation.rules.shared_meals import share_meal
from townlet_core.simulation.state import NOBODY, USING, TownState
from townlet_core.vocab import NEEDS, START


@rule
def use_objects(state: TownState, params: TownParams, b: int) -> None:
    """Start, advance and complete the use of each object, by index."""
    if not state.towns[b].is_engaged:
        return
    for o in range(state.objects.shape[1]):
        thing = state.objects[b, o]
        if thing.holder != NOBODY and state.agents[b, thing.holder].action == START:
            _begin(state, params, b, o)
        if thing.user == NOBODY:
            continue
        kind = params.kinds[params.objects[o].kind]
        if kind.is_work:
            continue_work(state, params, b, o)
            continue
        agent = state.agents[b, thing.user]
        agent.progress += 1
        if agent.progress >= kind.duration_ticks:
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
        take_over_shift(state, params, b, o)


@rule
def _complete(state: TownState, params: TownParams, b: int, o: int) -> None:
    thing = state.objects[b, o]
    i = thing.user
    agent = state.agents[b, i]
    kind = params.kinds[params.objects[o].kind]
    gained = 0.0
    for need in range(len(NEEDS)):
        before = agent.needs[need]
        after = min(max(before + kind.effects[need], 0.0), 1.0)
        agent.needs[need] = after
        gained += max(after - before, 0.0)
    agent.gained = gained
    agent.wallet -= agent.price
    if thing.stock > 0:
        thing.stock -= 1
    supplied = params.objects[o].supplies
    if supplied != NOBODY and state.objects[b, supplied].stock >= 0:
        state.objects[b, supplied].stock += 1
    leave_object(state, b, i)
    thing.last_user = i
    agent.cooldown_until = state.towns[b].tick + 1 + params.constants[0].cooldown_ticks
    state.cooldown[b, o, i] = agent.cooldown_until
    emit(state, b, kind.completion_event, o, i, NOBODY)
    if kind.is_meal:
        share_meal(state, params, b, o, i)
