"""The board: which agent stands on which tile of the town that is being played.

All towns that a thread plays share one board, which stays in the nearest cache; one board per town would not.
So a town's agents are put on the board for their tick and taken off again.
"""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.state import AGENT_CELL, BORDER, EMPTY, TownState


@rule
def fill_board(state: TownState, b: int, board: np.ndarray) -> None:
    """Put every agent in town on the board, which holds no agents yet.

    board: (H + 2, W + 2) uint8 cells, as TownParams.floor.
    """
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        if agent.alive:
            board[agent.y + BORDER, agent.x + BORDER] = AGENT_CELL + i


@rule
def clear_board(state: TownState, b: int, board: np.ndarray) -> None:
    """Take every agent in town off the board."""
    for i in range(state.agents.shape[1]):
        if state.agents[b, i].alive:
            leave_tile(state, b, i, board)


@rule
def enter_tile(state: TownState, b: int, i: int, x: int, y: int, board: np.ndarray) -> None:
    """Put agent i on a free tile."""
    agent = state.agents[b, i]
    agent.x, agent.y = x, y
    board[y + BORDER, x + BORDER] = AGENT_CELL + i


@rule
def leave_tile(state: TownState, b: int, i: int, board: np.ndarray) -> None:
    """Take agent i off its tile."""
    agent = state.agents[b, i]
    board[agent.y + BORDER, agent.x + BORDER] = EMPTY
