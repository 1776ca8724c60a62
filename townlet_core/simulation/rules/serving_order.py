"""Rule: Serving order (docs/rules.md#serving-order). Agents are served in an order drawn anew each tick."""

from __future__ import annotations

from townlet_core.rng import DRAW_ORDER, draw_bits
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.state import TownState


@rule
def draw_serving_order(state: TownState, b: int) -> None:
    """Draw a key for every agent and sort the agents by it.

    An agent's place is the number of agents with a smaller key. Counting has no data-dependent branch.
    """
    keys = state.order_key[b]
    key, tick = state.towns[b].key, state.towns[b].tick
    for i in range(keys.shape[0]):
        keys[i] = draw_bits(key, tick, i, DRAW_ORDER)
    for i in range(keys.shape[0]):
        place = 0
        for j in range(i):
            place += keys[j] <= keys[i]
        for j in range(i + 1, keys.shape[0]):
            place += keys[j] < keys[i]
        state.order[b, place] = i
