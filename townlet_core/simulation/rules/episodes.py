"""Rule: Episodes (docs/rules.md#episodes). When an episode ends, and how the next one begins."""

from __future__ import annotations

import numpy as np

from townlet_core.rng import town_key
from townlet_core.simulation.board import clear_board
from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.rules.legal_actions import find_legal_actions
from townlet_core.simulation.rules.newcomers import settle
from townlet_core.simulation.rules.perturbations import draw_perturbations, perturb_objects
from townlet_core.simulation.state import NOBODY, TownState


@rule
def advance_tick(state: TownState, params: TownParams, b: int) -> None:
    """Count the tick, and end the episode if its time is up or nobody is left."""
    town = state.towns[b]
    constants = params.constants[0]
    time_is_up = town.tick + 1 >= constants.ticks
    expected = 0
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        expected += agent.alive or agent.respawn_tick != NOBODY
        agent.truncated = time_is_up and agent.alive and not agent.newcomer
    town.over = time_is_up or expected == 0
    town.tick += 1
    town.clock += 1
    if town.clock == constants.ticks_per_day:
        town.clock = 0


@rule
def restart_town(
    state: TownState, params: TownParams, b: int, board: np.ndarray, seed: np.uint64, episode: int
) -> None:
    """Begin an episode: every agent and object as the scenario describes it."""
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
        settle(state, params, b, i, board)
    perturb_objects(state, params, b)
    find_legal_actions(state, params, b, board)
    clear_board(state, b, board)
