"""Rule: Conflicts (docs/rules.md#conflicts). Intensity and shares; queues.py says when one occurs."""

from __future__ import annotations

from townlet_core.simulation.events import QUEUE_CONFLICT, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.state import TownState
from townlet_core.vocab import CONTENTION, GHOST_STEP


@rule
def emit_conflict(
    state: TownState, params: TownParams, b: int, reason: int, obj: int, actor: int, rival: int
) -> None:
    """Emit a queue conflict and charge half of it to each of its two agents.

    intensity = boost of the reason + intensity_per_waiter · max(queue length − 1, 0), clamped
    """
    constants = params.constants[0]
    waiting = state.objects[b, obj].line_length
    boost = constants.boost_impatience
    if reason == GHOST_STEP:
        boost = constants.boost_ghost_step
    elif reason == CONTENTION:
        boost = constants.boost_contention
    intensity = boost + constants.intensity_per_waiter * max(waiting - 1, 0)
    intensity = min(max(intensity, constants.intensity_min), constants.intensity_max)
    event = state.events[b, emit(state, b, QUEUE_CONFLICT, obj, actor, rival)]
    event.reason = reason
    event.queue_length = waiting
    event.value = intensity
    state.towns[b].intensity_sum += intensity
    state.objects[b, obj].contested = True
    for i in (actor, rival):
        state.agents[b, i].conflict_events += 0.5
        state.agents[b, i].conflict_intensity += 0.5 * intensity
