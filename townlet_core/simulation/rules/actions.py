"""Rule: Actions (docs/rules.md#actions). What is possible, and what impossible actions become."""

from __future__ import annotations

import numpy as np

from townlet_core.rng import DRAW_ORDER, draw_bits
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.pathfinding import STEP_X, STEP_Y
from townlet_core.simulation.rules.employment import MAY_NOT, may_work
from townlet_core.simulation.rules.perturbations import announce_perturbations, perturb_objects
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
from townlet_core.vocab import ACTION_COUNT, CHAT, EAST, NORTH, RELEASE, REQUEST, SOUTH, START, WAIT, WEST


@rule
def take_actions(state: TownState, params: TownParams, b: int, actions: np.ndarray) -> None:
    """Begin the tick: clear what belongs to one tick, draw the serving order, settle each action."""
    town = state.towns[b]
    agents = state.agents[b]
    key, tick = town.key, town.tick
    town.event_count = 0
    chosen = impossible = doing = 0
    is_engaged = False
    for i in range(agents.shape[0]):
        agent = agents[i]
        agent.fainted = agent.terminated = agent.truncated = agent.was_punctual = False
        agent.earned = agent.gained = agent.late_penalty = 0.0
        agent.conflict_events = agent.conflict_intensity = 0.0
        state.order_key[b, i] = draw_bits(key, tick, i, DRAW_ORDER)
        action = actions[i]
        possible = 0 <= action < ACTION_COUNT and (agent.legal >> action) & 1 == 1
        agent.action = action if possible else WAIT
        agent.success = possible
        doing |= 1 << int(agent.action)  # int: plain Python would shift within eight bits
        is_engaged |= agent.role != FREE
        if agent.alive:
            agent.newcomer = False
            chosen += 1
            impossible += not possible
    town.doing, town.is_engaged = doing, is_engaged
    town.actions += chosen
    town.invalid_actions += impossible
    _draw_serving_order(state, b)
    announce_perturbations(state, params, b)


@rule
def somebody_does(state: TownState, b: int, action: int) -> bool:
    """Whether it is worth looking for who takes this action in this tick."""
    return (state.towns[b].doing >> action) & 1 == 1


@rule
def _draw_serving_order(state: TownState, b: int) -> None:
    """Sort agents by their key: an agent's place is the number of agents with less; chance never branches."""
    keys = state.order_key[b]
    for i in range(keys.shape[0]):
        place = 0
        for j in range(i):
            place += keys[j] <= keys[i]
        for j in range(i + 1, keys.shape[0]):
            place += keys[j] < keys[i]
        state.order[b, place] = i


@rule
def find_legal_actions(state: TownState, params: TownParams, b: int, board: np.ndarray) -> None:
    """Write every agent's `legal` bits for the tick to come."""
    perturb_objects(state, params, b)
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        legal = 1 << WAIT
        if agent.alive:
            if agent.role != FREE:
                legal |= 1 << RELEASE
            if agent.role != USING:
                moves_and_chat, is_beside_object = _initialise_normalisers(board, agent.x, agent.y)
                legal |= moves_and_chat
                if is_beside_object and agent.role == FREE and object_to_join(state, params, b, i) != NOBODY:
                    legal |= 1 << REQUEST
            if agent.role == HOLDING and _may_start(state, params, b, i):
                legal |= 1 << START
        agent.legal = legal


@rule
def _initialise_normalisers(board: np.ndarray, x: int, y: int) -> tuple[int, bool]:
    """Return the bits of moves, which need an empty tile, and of chat, which needs company on one of eight.

    And whether an object stands beside the tile.
    """
    row, column = y + BORDER, x + BORDER
    north, south = board[row - 1, column], board[row + 1, column]
    west, east = board[row, column - 1], board[row, column + 1]
    legal = (north == EMPTY) << NORTH | (east == EMPTY) << EAST
    legal |= (south == EMPTY) << SOUTH | (west == EMPTY) << WEST
    company = is_agent(north) | is_agent(east) | is_agent(south) | is_agent(west)
    company |= is_agent(board[row - 1, column - 1]) | is_agent(board[row - 1, column + 1])
    company |= is_agent(board[row + 1, column - 1]) | is_agent(board[row + 1, column + 1])
    return legal | company << CHAT, (north | east | south | west) >= OBJECT_CELL


@rule
def is_agent(cell: int) -> bool:
    """Whether somebody stands on the tile."""
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
