"""Rule: Fainting (docs/rules.md#fainting). Leaving the town; needs.py says who faints."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.board import leave_tile
from townlet_core.simulation.events import FAINT, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.roles import leave_object
from townlet_core.simulation.state import FREE, NOBODY, TownState


@rule
def remove_fainted(state: TownState, params: TownParams, b: int, board: np.ndarray) -> None:
    """Take every agent that fainted in this tick out of town."""
    for i in range(state.agents.shape[1]):
        if state.agents[b, i].fainted:
            _remove(state, params, b, i, board)


@rule
def _remove(state: TownState, params: TownParams, b: int, i: int, board: np.ndarray) -> None:
    agent = state.agents[b, i]
    if agent.role != FREE:
        leave_object(state, b, i)
    leave_tile(state, b, i, board)
    for o in range(state.objects.shape[1]):
        if state.objects[b, o].last_user == i:
            state.objects[b, o].last_user = NOBODY
    agent.alive = False
    agent.terminated = True
    delay = params.constants[0].respawn_delay_ticks
    agent.respawn_tick = NOBODY if delay < 0 else state.towns[b].tick + delay
    emit(state, b, FAINT, NOBODY, i, NOBODY)
