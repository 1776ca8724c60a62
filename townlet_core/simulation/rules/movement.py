"""Rule: Movement (docs/rules.md#movement). One tile a tick; nobody shares, swaps or passes through."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.pathfinding import STEP_X, STEP_Y
from townlet_core.simulation.state import AGENT_CELL, BORDER, EMPTY, TownState
from townlet_core.vocab import NORTH, WEST


@rule
def move_agents(state: TownState, b: int, board: np.ndarray) -> None:
    """Step every mover onto its tile, in serving order, if that is still free."""
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


@rule
def fill_board(state: TownState, b: int, board: np.ndarray) -> None:
    """Put everybody in town on the board, where until now nobody stands.

    board: (H + 2, W + 2) uint8, as TownParams.floor. All towns that a thread plays share one, which stays in
    the nearest cache; a board for each town did not.
    """
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        if agent.alive:
            board[agent.y + BORDER, agent.x + BORDER] = AGENT_CELL + i


@rule
def clear_board(state: TownState, b: int, board: np.ndarray) -> None:
    """Take everybody off the board again, for the next town."""
    for i in range(state.agents.shape[1]):
        if state.agents[b, i].alive:
            leave_tile(state, b, i, board)
