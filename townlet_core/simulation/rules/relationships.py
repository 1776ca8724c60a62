"""Rule: Relationships (docs/rules.md#relationships). Events change rivalry, trust and familiarity."""

from __future__ import annotations

from townlet_core.simulation.events import (
    LATE_HELP,
    QUEUE_CONFLICT,
    QUEUE_HANDOVER,
    SHARED_MEAL,
    SHIFT_TAKEOVER,
)
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.rules.rivalry import change_rivalry
from townlet_core.simulation.state import TownState


@rule
def update_relationships(state: TownState, params: TownParams, b: int) -> None:
    """Change the relationship of actor and rival of every event of the tick so far, in order of emission."""
    constants = params.constants[0]
    for row in range(state.towns[b].event_count):
        event = state.events[b, row]
        i, j = event.actor, event.rival
        if event.type == QUEUE_CONFLICT:
            change_rivalry(state, b, i, j, constants.increment_per_conflict * event.value)
        elif event.type == QUEUE_HANDOVER:
            change_rivalry(state, b, i, j, -constants.handover_rivalry)
            change_trust(state, b, i, j, constants.handover_trust, constants.handover_familiarity)
        elif event.type == SHARED_MEAL:
            change_trust(state, b, i, j, constants.meal_trust, constants.meal_familiarity)
        elif event.type == LATE_HELP:
            change_trust(state, b, i, j, constants.help_trust, 0.0)
        elif event.type == SHIFT_TAKEOVER:
            change_trust(state, b, i, j, constants.takeover_trust, 0.0)


@rule
def change_trust(state: TownState, b: int, i: int, j: int, trust: float, familiarity: float) -> None:
    """Add to the trust and the familiarity between two agents, clamped to [−1, 1]."""
    trusted = min(max(state.trust[b, i, j] + trust, -1.0), 1.0)
    known = min(max(state.familiarity[b, i, j] + familiarity, -1.0), 1.0)
    state.trust[b, i, j] = trusted
    state.trust[b, j, i] = trusted
    state.familiarity[b, i, j] = known
    state.familiarity[b, j, i] = known
