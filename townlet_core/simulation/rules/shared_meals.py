"""Rule: Shared meals (docs/rules.md#shared-meals). Two agents that eat near each other share a meal."""

from __future__ import annotations

from townlet_core.simulation.events import SHARED_MEAL, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.state import USING, TownState


@rule
def share_meal(state: TownState, params: TownParams, b: int, o: int, i: int) -> None:
    """Record that agent i finished a meal at object o; look for one agent nearby to share it with."""
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
