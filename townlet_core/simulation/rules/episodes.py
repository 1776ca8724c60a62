"""Rule: Ends (docs/rules.md#ends). Fainting, newcomers, the end of an episode, and the next one."""

from __future__ import annotations

import numpy as np

from townlet_core.rng import town_key
from townlet_core.simulation.events import ARRIVAL, FAINT, emit
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.rules.actions import find_legal_actions
from townlet_core.simulation.rules.movement import clear_board, enter_tile, leave_tile
from townlet_core.simulation.rules.perturbations import NEVER, draw_perturbations
from townlet_core.simulation.rules.queues import give_up
from townlet_core.simulation.state import BORDER, EMPTY, FREE, NOBODY, TownState
from townlet_core.vocab import PRE, WAIT


@rule
def end_tick(state: TownState, params: TownParams, b: int, board: np.ndarray) -> None:
    """Take the fainted out, let newcomers in, count the tick, and end the episode when it is over."""
    town = state.towns[b]
    constants = params.constants[0]
    for i in range(state.agents.shape[1]):
        if state.agents[b, i].fainted:
            _faint(state, params, b, i, board)
    time_is_up = town.tick + 1 >= constants.ticks
    expected = 0
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        if not agent.alive and agent.respawn_tick != NOBODY and agent.respawn_tick <= town.tick:
            _arrive(state, params, b, i, board)
        expected += agent.alive or agent.respawn_tick != NOBODY
        agent.truncated = time_is_up and agent.alive and not agent.newcomer
    town.over = time_is_up or expected == 0
    town.tick += 1
    town.clock += 1
    if town.clock == constants.ticks_per_day:
        town.clock = 0
    find_legal_actions(state, params, b, board)


@rule
def _faint(state: TownState, params: TownParams, b: int, i: int, board: np.ndarray) -> None:
    agent = state.agents[b, i]
    if agent.role != FREE:
        give_up(state, b, i)
    leave_tile(state, b, i, board)
    for o in range(state.objects.shape[1]):
        if state.objects[b, o].last_user == i:
            state.objects[b, o].last_user = NOBODY
    agent.alive = False
    agent.terminated = True
    delay = params.constants[0].respawn_delay_ticks
    agent.respawn_tick = NOBODY if delay < 0 else state.towns[b].tick + delay
    emit(state, b, FAINT, NOBODY, i, NOBODY)


@rule
def _arrive(state: TownState, params: TownParams, b: int, i: int, board: np.ndarray) -> None:
    spec = params.agents[i]
    if board[spec.y + BORDER, spec.x + BORDER] == EMPTY:
        _settle(state, params, b, i, board)
        emit(state, b, ARRIVAL, NOBODY, i, NOBODY)


@rule
def _settle(state: TownState, params: TownParams, b: int, i: int, board: np.ndarray) -> None:
    """Put a new person into place i, as the scenario describes it, with nothing remembered."""
    spec = params.agents[i]
    agent = state.agents[b, i]
    agent.alive = True
    agent.newcomer = True
    agent.hunger, agent.hygiene, agent.energy = spec.hunger, spec.hygiene, spec.energy
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


@rule
def restart_town(
    state: TownState, params: TownParams, b: int, board: np.ndarray, seed: np.uint64, episode: int
) -> None:
    """Begin an episode: everybody and everything as the scenario says."""
    town = state.towns[b]
    town.episode = episode
    town.key = town_key(seed, town.town, episode)
    town.tick = 0
    town.clock = params.constants[0].day_start_tick % params.constants[0].ticks_per_day
    town.over = town.has_rivals = False
    town.event_count = 0
    for o in range(state.objects.shape[1]):
        thing = state.objects[b, o]
        thing.user = thing.holder = thing.last_user = NOBODY
        thing.line_length = 0
        thing.idle_ticks = 0
        thing.asked_free_tick = NOBODY
        thing.contested = thing.out_of_order = False
        thing.stock = params.objects[o].stock
        thing.price = params.kinds[params.objects[o].kind].cost
    draw_perturbations(state, params, b)
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        agent.reward = 0.0
        agent.terms[:] = 0.0
        agent.fainted = agent.terminated = agent.truncated = False
        agent.conflict_events = agent.conflict_intensity = 0.0
        _settle(state, params, b, i, board)
    find_legal_actions(state, params, b, board)
    clear_board(state, b, board)
