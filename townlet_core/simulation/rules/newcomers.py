"""Rule: Newcomers (docs/rules.md#newcomers). A new agent takes the place of one that fainted."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.board import enter_tile
from townlet_core.simulation.events import ARRIVAL, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.state import BORDER, EMPTY, FREE, NEVER, NOBODY, TownState
from townlet_core.vocab import NEEDS, PRE, WAIT


@rule
def admit_newcomers(state: TownState, params: TownParams, b: int, board: np.ndarray) -> None:
    """Let every newcomer that is due arrive if its start tile is free."""
    for i in range(state.agents.shape[1]):
        agent, spec = state.agents[b, i], params.agents[i]
        is_due = (
            not agent.alive and agent.respawn_tick != NOBODY and agent.respawn_tick <= state.towns[b].tick
        )
        if is_due and board[spec.y + BORDER, spec.x + BORDER] == EMPTY:
            settle(state, params, b, i, board)
            emit(state, b, ARRIVAL, NOBODY, i, NOBODY)


@rule
def settle(state: TownState, params: TownParams, b: int, i: int, board: np.ndarray) -> None:
    """Put a new agent in place i, as the scenario describes it, without history or relationships."""
    spec = params.agents[i]
    agent = state.agents[b, i]
    agent.alive = True
    agent.newcomer = True
    for need in range(len(NEEDS)):
        agent.needs[need] = spec.needs[need]
    agent.wallet = spec.wallet
    agent.role = FREE
    agent.object = NOBODY
    agent.ticks_waited = agent.progress = 0
    agent.action = WAIT
    agent.success = True
    agent.shift_state = PRE
    agent.on_shift = agent.arrived = False
    agent.late_ticks = agent.attended_ticks = agent.shifts = 0
    agent.wages_withheld = 0.0
    agent.attendance[:] = 0.0
    agent.cooldown_until = 0
    agent.last_meal_tick = NEVER
    agent.respawn_tick = NOBODY
    enter_tile(state, b, i, spec.x, spec.y, board)
    for j in range(state.agents.shape[1]):
        state.rivalry[b, i, j] = state.rivalry[b, j, i] = 0.0
        state.trust[b, i, j] = state.trust[b, j, i] = 0.0
        state.familiarity[b, i, j] = state.familiarity[b, j, i] = 0.0
    for o in range(state.objects.shape[1]):
        state.cooldown[b, o, i] = 0
    for p in range(state.perturbations.shape[1]):
        state.perturbations[b, p].attended[i] = 0
