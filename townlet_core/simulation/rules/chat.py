"""Rule: Chat (docs/rules.md#chat). An agent talks to the nearest agent; that succeeds or fails."""

from __future__ import annotations

from townlet_core.simulation.events import CHAT_FAILURE, CHAT_SUCCESS, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.rules.actions import any_agent_does
from townlet_core.simulation.rules.relationships import change_trust
from townlet_core.simulation.state import NOBODY, USING, TownState
from townlet_core.vocab import CHAT


@rule
def hold_chats(state: TownState, params: TownParams, b: int) -> None:
    """Play the chats of the tick, in serving order."""
    if not any_agent_does(state, b, CHAT):
        return
    for place in range(state.order.shape[1]):
        i = state.order[b, place]
        if state.agents[b, i].action == CHAT:
            _chat(state, params, b, i)


@rule
def _chat(state: TownState, params: TownParams, b: int, i: int) -> None:
    constants = params.constants[0]
    j = _chat_partner(state, b, i)
    if j == NOBODY:
        state.agents[b, i].success = False
        return
    if state.agents[b, j].role == USING or state.rivalry[b, i, j] >= constants.avoid_threshold:
        state.agents[b, i].success = False
        emit(state, b, CHAT_FAILURE, NOBODY, i, j)
        change_trust(state, b, i, j, -constants.chat_failure_trust, 0.0)
        return
    quality = min(max(0.5 + 0.25 * (state.trust[b, i, j] + state.familiarity[b, i, j]), 0.0), 1.0)
    state.events[b, emit(state, b, CHAT_SUCCESS, NOBODY, i, j)].value = quality
    state.towns[b].chat_quality_sum += quality
    change_trust(state, b, i, j, constants.chat_trust, constants.chat_familiarity)


@rule
def _chat_partner(state: TownState, b: int, i: int) -> int:
    """Return the nearest agent on the eight tiles around: straight first, then in serving order; or -1."""
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
