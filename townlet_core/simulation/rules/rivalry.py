"""Rule: Rivalry (docs/rules.md#rivalry). Rivalry decays; weak rivalries are forgotten."""

from __future__ import annotations

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.state import NOBODY, TownState


@rule
def decay_rivalry(state: TownState, params: TownParams, b: int) -> None:
    """Lower every rivalry, then keep each agent's strongest ones."""
    if state.towns[b].has_rivals:
        _decay(state, params, b)
        _keep_strongest(state, params, b)


@rule
def change_rivalry(state: TownState, b: int, i: int, j: int, amount: float) -> None:
    """Add to the rivalry between two agents, clamped to [0, 1]."""
    value = min(max(state.rivalry[b, i, j] + amount, 0.0), 1.0)
    state.towns[b].has_rivals |= value > 0.0
    state.rivalry[b, i, j] = value
    state.rivalry[b, j, i] = value


@rule
def _decay(state: TownState, params: TownParams, b: int) -> None:
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
def _keep_strongest(state: TownState, params: TownParams, b: int) -> None:
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
