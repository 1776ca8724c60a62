"""Rule: Perturbations (docs/rules.md#perturbations). Outages, price spikes and meetings start and end."""

from __future__ import annotations

import numpy as np

from townlet_core.rng import DRAW_HAPPENS, DRAW_START, draw_unit
from townlet_core.simulation.events import MEETING, PRICE_SPIKE, UTILITY_OUTAGE, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.state import NEVER, NOBODY, TownState


@rule
def draw_perturbations(state: TownState, params: TownParams, b: int) -> None:
    """Draw which perturbations happen in the new episode, and when."""
    first_spike = params.outages.shape[0]
    first_meeting = first_spike + params.price_spikes.shape[0]
    _draw_starts(state, params.outages, b, 0)
    _draw_starts(state, params.price_spikes, b, first_spike)
    _draw_starts(state, params.meetings, b, first_meeting)


@rule
def _draw_starts(state: TownState, specs: np.ndarray, b: int, first: int) -> None:
    key = state.towns[b].key
    for n in range(specs.shape[0]):
        spec = specs[n]
        mine = state.perturbations[b, first + n]
        mine.attended[:] = 0
        mine.start_tick = NEVER
        if draw_unit(key, 0, first + n, DRAW_HAPPENS) < spec.probability:
            choices = spec.last_start - spec.first_start + 1
            mine.start_tick = spec.first_start + int(draw_unit(key, 0, first + n, DRAW_START) * choices)


@rule
def announce_perturbations(state: TownState, params: TownParams, b: int) -> None:
    """Emit the event of each perturbation that starts in this tick."""
    first_spike = params.outages.shape[0]
    first_meeting = first_spike + params.price_spikes.shape[0]
    for p in range(state.perturbations.shape[1]):
        if state.perturbations[b, p].start_tick != state.towns[b].tick:
            continue
        if p < first_spike:
            emit(state, b, UTILITY_OUTAGE, params.outages[p].object, NOBODY, NOBODY)
        elif p < first_meeting:
            emit(state, b, PRICE_SPIKE, params.price_spikes[p - first_spike].object, NOBODY, NOBODY)
        else:
            emit(state, b, MEETING, params.meetings[p - first_meeting].object, NOBODY, NOBODY)


@rule
def is_on(state: TownState, b: int, p: int, duration_ticks: int) -> bool:
    """Whether perturbation p is active at the current tick."""
    passed = state.towns[b].tick - state.perturbations[b, p].start_tick
    return 0 <= passed < duration_ticks


@rule
def perturb_objects(state: TownState, params: TownParams, b: int) -> None:
    """Set which objects are out of order in the next tick, and the price of each."""
    first_spike = params.outages.shape[0]
    if first_spike + params.price_spikes.shape[0] == 0:
        return
    for o in range(params.objects.shape[0]):
        k = params.objects[o].kind
        utility = params.kinds[k].utility
        broken = False
        for u in range(first_spike):
            outage = params.outages[u]
            is_hit = outage.kind == k or (outage.utility != NOBODY and outage.utility == utility)
            broken |= is_hit and is_on(state, b, u, outage.duration_ticks)
        price = params.kinds[k].cost
        for s in range(params.price_spikes.shape[0]):
            spike = params.price_spikes[s]
            if spike.kind == k and is_on(state, b, first_spike + s, spike.duration_ticks):
                price *= spike.factor
        state.objects[b, o].out_of_order = broken
        state.objects[b, o].price = price
