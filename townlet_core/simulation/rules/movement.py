"""Rule: Movement (docs/rules.md#movement). One tile per tick; two agents never share or swap tiles."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.board import enter_tile, leave_tile
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.pathfinding import STEP_X, STEP_Y
from townlet_core.simulation.state import BORDER, EMPTY, TownState
from townlet_core.vocab import NORTH, WEST


@rule
def move_agents(state: TownState, b: int, board: np.ndarray) -> None:
    """Move each moving agent onto its target tile if that is still free, in serving order."""
    for place in range(state.order.shape[1]):
        i = state.order[b, place]
        agent = state.agents[b, i]
        if NORTH <= agent.action <= WEST:
            d = agent.action - NORTH
            x, y = agent.x + STEP_X[d], agent.y + STEP_Y[d]
            agent.success = board[y + BORDER, x + BORDER] == EMPTY
            leave_tile(state, b, i, board)
            x, y = (x, y) if agent.success else (agent.x, agent.y)
            enter_tile(state, b, i, x, y, board)
