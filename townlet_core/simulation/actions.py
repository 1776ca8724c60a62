"""Rule: Actions (docs/rules.md#actions). What is possible, and what impossible actions become."""

from __future__ import annotations

import numpy as np

from townlet_core.rng import DRAW_ORDER, draw_bits
from townlet_core.simulation.compiled import rule
from townlet_core.simulation.constants import TownRules
from townlet_core.simulation.employment import MAY_NOT, may_work
from townlet_core.simulation.paths import STEP_X, STEP_Y
from townlet_core.simulation.perturbations import announce_perturbations, perturb_objects
from townlet_core.simulation.state import (
    BLOCKS,
    FREE,
    HOLDING,
    NOBODY,
    OBJECT,
    OBJECT_SHIFT,
    OCCUPANT,
    PAD,
    USING,
    TownState,
)
from townlet_core.vocab import ACTION_COUNT, CHAT, NORTH, RELEASE, REQUEST, START, WAIT


@rule
def take_actions(state: TownState, rules: TownRules, b: int, actions: np.ndarray) -> None:
    """Begin the tick: clear what belongs to one tick, draw the serving order, settle each action."""
    town = state.towns[b]
    agents = state.agents[b]
    town.event_count = 0
    for i in range(agents.shape[0]):
        agent = agents[i]
        agent.fainted = agent.terminated = agent.truncated = agent.was_punctual = False
        agent.earned = agent.gained = agent.late_penalty = 0.0
        agent.conflict_events = agent.conflict_intensity = 0.0
        agent.order_key = draw_bits(town.key, town.tick, i, DRAW_ORDER)
        action = actions[i]
        possible = 0 <= action < ACTION_COUNT and (agent.legal >> action) & 1 == 1
        agent.action = action if possible else WAIT
        agent.success = possible
        if agent.alive:
            agent.newcomer = False
            town.actions += 1
            town.invalid_actions += not possible
    _draw_serving_order(state, b)
    announce_perturbations(state, rules, b)


@rule
def _draw_serving_order(state: TownState, b: int) -> None:
    """Sort agents by their key; insertion sort, for a handful of agents."""
    agents = state.agents[b]
    order = state.order[b]
    for i in range(order.shape[0]):
        key = agents[i].order_key
        place = i
        while place > 0 and agents[order[place - 1]].order_key > key:
            order[place] = order[place - 1]
            place -= 1
        order[place] = i


@rule
def find_legal_actions(state: TownState, rules: TownRules, b: int) -> None:
    """Write every agent's `legal` bits for the tick to come."""
    perturb_objects(state, rules, b)
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        legal = 1 << WAIT
        if agent.alive:
            if agent.role != FREE:
                legal |= 1 << RELEASE
            if agent.role != USING:
                legal |= _legal_moves(state, b, agent.x, agent.y)
                if has_company(state, b, agent.x, agent.y):
                    legal |= 1 << CHAT
            if agent.role == FREE and object_to_join(state, rules, b, i) != NOBODY:
                legal |= 1 << REQUEST
            if agent.role == HOLDING and _may_start(state, rules, b, i):
                legal |= 1 << START
        agent.legal = legal


@rule
def _legal_moves(state: TownState, b: int, x: int, y: int) -> int:
    legal = 0
    for d in range(4):
        if state.cell[b, y + STEP_Y[d] + PAD, x + STEP_X[d] + PAD] & BLOCKS == 0:
            legal |= 1 << (NORTH + d)
    return legal


@rule
def has_company(state: TownState, b: int, x: int, y: int) -> bool:
    """Whether anybody stands on one of the eight tiles around."""
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if (dx != 0 or dy != 0) and state.cell[b, y + dy + PAD, x + dx + PAD] & OCCUPANT != 0:
                return True
    return False


@rule
def object_to_join(state: TownState, rules: TownRules, b: int, i: int) -> int:
    """Return the lowest-numbered object beside agent i that it may join, or -1."""
    agent = state.agents[b, i]
    best = NOBODY
    for d in range(4):
        here = state.cell[b, agent.y + STEP_Y[d] + PAD, agent.x + STEP_X[d] + PAD] & OBJECT
        o = int(here >> OBJECT_SHIFT) - 1
        if o >= 0 and (best == NOBODY or o < best) and _may_join(state, rules, b, i, o):
            best = o
    return best


@rule
def _may_join(state: TownState, rules: TownRules, b: int, i: int, o: int) -> bool:
    kind = rules.kinds[rules.objects[o].kind]
    if state.towns[b].tick < state.cooldown[b, o, i] or state.agents[b, i].wallet < state.objects[b, o].price:
        return False
    return not kind.is_work or may_work(state, rules, b, i, o) != MAY_NOT


@rule
def _may_start(state: TownState, rules: TownRules, b: int, i: int) -> bool:
    agent = state.agents[b, i]
    o = agent.object
    spec = rules.objects[o]
    kind = rules.kinds[spec.kind]
    beside = abs(agent.x - spec.x) + abs(agent.y - spec.y) == 1
    usable = state.objects[b, o].stock != 0 and not state.objects[b, o].out_of_order
    if not beside or not usable or agent.wallet < state.objects[b, o].price:
        return False
    return not kind.is_work or may_work(state, rules, b, i, o) != MAY_NOT
