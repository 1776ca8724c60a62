"""Rule: Legal actions (docs/rules.md#legal-actions). Which actions each agent can take in the next tick."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.pathfinding import STEP_X, STEP_Y
from townlet_core.simulation.rules.employment import MAY_NOT, may_work
from townlet_core.simulation.state import (
    AGENT_CELL,
    BORDER,
    EMPTY,
    FREE,
    HOLDING,
    NOBODY,
    OBJECT_CELL,
    USING,
    TownState,
)
from townlet_core.vocab import CHAT, EAST, NORTH, RELEASE, REQUEST, SOUTH, START, WAIT, WEST


@rule
def find_legal_actions(state: TownState, params: TownParams, b: int, board: np.ndarray) -> None:
    """Set every agent's `legal` bits for the next tick."""
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        legal = 1 << WAIT
        if agent.alive:
            if agent.role != FREE:
                legal |= 1 << RELEASE
            if agent.role != USING:
                moves_and_chat, is_beside_object = _look_around(board, agent.x, agent.y)
                legal |= moves_and_chat
                if is_beside_object and agent.role == FREE and object_to_join(state, params, b, i) != NOBODY:
                    legal |= 1 << REQUEST
            if agent.role == HOLDING and _may_start(state, params, b, i):
                legal |= 1 << START
        agent.legal = legal


@rule
def _look_around(board: np.ndarray, x: int, y: int) -> tuple[int, bool]:
    """Return the bits of the moves and of chat, and whether an object stands beside the tile.

    A move needs an empty tile; chat needs another agent on one of the eight tiles around.
    """
    row, column = y + BORDER, x + BORDER
    north, south = board[row - 1, column], board[row + 1, column]
    west, east = board[row, column - 1], board[row, column + 1]
    legal = (north == EMPTY) << NORTH | (east == EMPTY) << EAST
    legal |= (south == EMPTY) << SOUTH | (west == EMPTY) << WEST
    has_agent = is_agent(north) | is_agent(east) | is_agent(south) | is_agent(west)
    has_agent |= is_agent(board[row - 1, column - 1]) | is_agent(board[row - 1, column + 1])
    has_agent |= is_agent(board[row + 1, column - 1]) | is_agent(board[row + 1, column + 1])
    return legal | has_agent << CHAT, (north | east | south | west) >= OBJECT_CELL


@rule
def is_agent(cell: int) -> bool:
    """Whether the cell holds an agent."""
    return cell // AGENT_CELL == 1


@rule
def object_to_join(state: TownState, params: TownParams, b: int, i: int) -> int:
    """Return the lowest-numbered object beside agent i that it may join, or -1."""
    agent = state.agents[b, i]
    best = NOBODY
    for d in range(4):
        o = int(params.floor[agent.y + STEP_Y[d] + BORDER, agent.x + STEP_X[d] + BORDER]) - OBJECT_CELL
        if o >= 0 and (best == NOBODY or o < best) and _may_join(state, params, b, i, o):
            best = o
    return best


@rule
def _may_join(state: TownState, params: TownParams, b: int, i: int, o: int) -> bool:
    kind = params.kinds[params.objects[o].kind]
    if state.towns[b].tick < state.cooldown[b, o, i] or state.agents[b, i].wallet < state.objects[b, o].price:
        return False
    return not kind.is_work or may_work(state, params, b, i, o) != MAY_NOT


@rule
def _may_start(state: TownState, params: TownParams, b: int, i: int) -> bool:
    agent = state.agents[b, i]
    o = agent.object
    spec = params.objects[o]
    kind = params.kinds[spec.kind]
    beside = abs(agent.x - spec.x) + abs(agent.y - spec.y) == 1
    usable = state.objects[b, o].stock != 0 and not state.objects[b, o].out_of_order
    if not beside or not usable or agent.wallet < state.objects[b, o].price:
        return False
    return not kind.is_work or may_work(state, params, b, i, o) != MAY_NOT
