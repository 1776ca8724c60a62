"""Rule: Relationships (docs/rules.md#relationships). Quarrels and kindness are remembered, and fade."""

from __future__ import annotations

from townlet_core.simulation.events import (
    CHAT_FAILURE,
    CHAT_SUCCESS,
    LATE_HELP,
    QUEUE_CONFLICT,
    QUEUE_HANDOVER,
    SHARED_MEAL,
    SHIFT_TAKEOVER,
    emit,
)
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.rules.actions import somebody_does
from townlet_core.simulation.state import NOBODY, USING, TownState
from townlet_core.vocab import CHAT


@rule
def remember(state: TownState, params: TownParams, b: int) -> None:
    """Apply the tick's events, hold the chats, let rivalry fade, keep the strongest."""
    _apply_events(state, params, b)
    if somebody_does(state, b, CHAT):
        for place in range(state.order.shape[1]):
            i = state.order[b, place]
            if state.agents[b, i].action == CHAT:
                _chat(state, params, b, i)
    if state.towns[b].has_rivals:
        _fade(state, params, b)
        _forget_weakest(state, params, b)


@rule
def _apply_events(state: TownState, params: TownParams, b: int) -> None:
    constants = params.constants[0]
    for row in range(state.towns[b].event_count):
        event = state.events[b, row]
        i, j = event.actor, event.rival
        if event.type == QUEUE_CONFLICT:
            _add_rivalry(state, b, i, j, constants.increment_per_conflict * event.value)
        elif event.type == QUEUE_HANDOVER:
            _add_rivalry(state, b, i, j, -constants.handover_rivalry)
            befriend(state, b, i, j, constants.handover_trust, constants.handover_familiarity)
        elif event.type == SHARED_MEAL:
            befriend(state, b, i, j, constants.meal_trust, constants.meal_familiarity)
        elif event.type == LATE_HELP:
            befriend(state, b, i, j, constants.help_trust, 0.0)
        elif event.type == SHIFT_TAKEOVER:
            befriend(state, b, i, j, constants.takeover_trust, 0.0)


@rule
def _add_rivalry(state: TownState, b: int, i: int, j: int, amount: float) -> None:
    value = min(max(state.rivalry[b, i, j] + amount, 0.0), 1.0)
    state.towns[b].has_rivals |= value > 0.0
    state.rivalry[b, i, j] = value
    state.rivalry[b, j, i] = value


@rule
def befriend(state: TownState, b: int, i: int, j: int, trust: float, familiarity: float) -> None:
    """Move the trust and familiarity of both, within their range."""
    trusted = min(max(state.trust[b, i, j] + trust, -1.0), 1.0)
    known = min(max(state.familiarity[b, i, j] + familiarity, -1.0), 1.0)
    state.trust[b, i, j] = trusted
    state.trust[b, j, i] = trusted
    state.familiarity[b, i, j] = known
    state.familiarity[b, j, i] = known


@rule
def _chat(state: TownState, params: TownParams, b: int, i: int) -> None:
    constants = params.constants[0]
    j = _nearest_company(state, b, i)
    if j == NOBODY:
        state.agents[b, i].success = False
        return
    if state.agents[b, j].role == USING or state.rivalry[b, i, j] >= constants.avoid_threshold:
        state.agents[b, i].success = False
        emit(state, b, CHAT_FAILURE, NOBODY, i, j)
        befriend(state, b, i, j, -constants.chat_failure_trust, 0.0)
        return
    quality = min(max(0.5 + 0.25 * (state.trust[b, i, j] + state.familiarity[b, i, j]), 0.0), 1.0)
    state.events[b, emit(state, b, CHAT_SUCCESS, NOBODY, i, j)].value = quality
    state.towns[b].chat_quality_sum += quality
    befriend(state, b, i, j, constants.chat_trust, constants.chat_familiarity)


@rule
def _nearest_company(state: TownState, b: int, i: int) -> int:
    """Return who stands on the eight tiles around: straight first, then in serving order; or -1."""
    agent = state.agents[b, i]
    best = NOBODY
    best_distance = 3
    for place in range(state.order.shape[1]):
        j = state.order[b, place]
        other = state.agents[b, j]
        dx, dy = abs(other.x - agent.x), abs(other.y - agent.y)
        if j != i and other.alive and max(dx, dy) <= 1 and dx + dy < best_distance:
            best, best_distance = j, dx + dy
    return best


@rule
def _fade(state: TownState, params: TownParams, b: int) -> None:
    constants = params.constants[0]
    rivalry = state.rivalry[b]
    strongest = 0.0
    for i in range(rivalry.shape[0]):
        for j in range(rivalry.shape[1]):
            value = rivalry[i, j]
            if value > 0.0:
                value = value - constants.decay_per_tick
                rivalry[i, j] = 0.0 if value <= constants.eviction_threshold else value
                strongest = max(strongest, rivalry[i, j])
    state.towns[b].has_rivals = strongest > 0.0


@rule
def _forget_weakest(state: TownState, params: TownParams, b: int) -> None:
    rivalry = state.rivalry[b]
    for i in range(rivalry.shape[0]):
        edges = 0
        for j in range(rivalry.shape[1]):
            edges += rivalry[i, j] > 0.0
        while edges > params.constants[0].max_edges:
            weakest = NOBODY
            for j in range(rivalry.shape[1]):
                if rivalry[i, j] > 0.0 and (weakest == NOBODY or rivalry[i, j] <= rivalry[i, weakest]):
                    weakest = j
            rivalry[i, weakest] = 0.0
            rivalry[weakest, i] = 0.0
            edges -= 1
