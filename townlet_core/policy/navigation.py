"""Navigation of the script: descend a distance field, sidestep agents, and request an object."""

from __future__ import annotations

import numpy as np

from townlet_core.rng import DRAW_TIE, draw_bits
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.pathfinding import NOWHERE, STEP_X, STEP_Y
from townlet_core.simulation.rules.legal_actions import object_to_join
from townlet_core.simulation.state import NOBODY, TownState
from townlet_core.vocab import NORTH, REQUEST, WAIT


@rule
def is_legal(legal: int, action: int) -> bool:
    """Whether the action's bit is set."""
    return (legal >> action) & 1 == 1


@rule
def approach(state: TownState, params: TownParams, b: int, i: int, o: int) -> int:
    """Walk to object o and request it; if another object takes the request, step to another tile."""
    agent = state.agents[b, i]
    if params.distance[o, agent.y, agent.x] != 1:
        return walk(state, params.distance[o], b, i)
    joining = object_to_join(state, params, b, i)
    if joining == o:
        return REQUEST
    return WAIT if joining == NOBODY else step_anywhere(state, b, i)


@rule
def walk(state: TownState, field: np.ndarray, b: int, i: int) -> int:
    """Choose the move to the tile of least distance; if all such moves are blocked, at times step aside."""
    agent = state.agents[b, i]
    town = state.towns[b]
    turn = int(draw_bits(town.key, town.tick, i, DRAW_TIE) % np.uint64(8))
    here = field[agent.y, agent.x]
    best, best_distance = WAIT, here
    aside = WAIT
    for n in range(4):
        d = (n + turn) % 4  # no direction is favoured
        if is_legal(agent.legal, NORTH + d):
            distance = field[agent.y + STEP_Y[d], agent.x + STEP_X[d]]
            if distance < best_distance:
                best, best_distance = NORTH + d, distance
            elif distance != NOWHERE:
                aside = NORTH + d
    if best == WAIT and here != 0 and turn >= 4:
        return aside
    return best


@rule
def step_anywhere(state: TownState, b: int, i: int) -> int:
    """Choose a random legal move, or wait if there is none."""
    agent = state.agents[b, i]
    town = state.towns[b]
    turn = int(draw_bits(town.key, town.tick, i, DRAW_TIE) % np.uint64(4))
    for n in range(4):
        d = (n + turn) % 4
        if is_legal(agent.legal, NORTH + d):
            return NORTH + d
    return WAIT
