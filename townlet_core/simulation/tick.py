"""The tick: one line per heading of docs/rules.md, and the kernels that play it over all towns."""

from __future__ import annotations

import numba
import numpy as np

from townlet_core.simulation.board import clear_board, fill_board
from townlet_core.simulation.numba_support import kernel, rule
from townlet_core.simulation.observation import ObservationWorkspace, observe_town
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.rules.actions import take_actions
from townlet_core.simulation.rules.affordances import use_objects
from townlet_core.simulation.rules.chat import hold_chats
from townlet_core.simulation.rules.employment import run_shifts
from townlet_core.simulation.rules.episodes import advance_tick, restart_town
from townlet_core.simulation.rules.fainting import remove_fainted
from townlet_core.simulation.rules.legal_actions import find_legal_actions
from townlet_core.simulation.rules.meetings import hold_meetings
from townlet_core.simulation.rules.movement import move_agents
from townlet_core.simulation.rules.needs import decay_needs
from townlet_core.simulation.rules.newcomers import admit_newcomers
from townlet_core.simulation.rules.perturbations import announce_perturbations, perturb_objects
from townlet_core.simulation.rules.queues import serve_queues
from townlet_core.simulation.rules.relationships import update_relationships
from townlet_core.simulation.rules.rewards import compute_rewards
from townlet_core.simulation.rules.rivalry import decay_rivalry
from townlet_core.simulation.rules.serving_order import draw_serving_order
from townlet_core.simulation.state import TownState


@rule
def play_tick(state: TownState, params: TownParams, b: int, board: np.ndarray, actions: np.ndarray) -> None:
    """Play one tick of town b, rule by rule in the order of docs/rules.md. actions: (A,) any integers."""
    fill_board(state, b, board)
    begin_tick(state, b)
    draw_serving_order(state, b)
    announce_perturbations(state, params, b)
    take_actions(state, b, actions)
    move_agents(state, b, board)
    serve_queues(state, params, b)  # and conflicts
    use_objects(state, params, b)  # and shared meals
    decay_needs(state, params, b)
    run_shifts(state, params, b)
    hold_meetings(state, params, b)
    update_relationships(state, params, b)
    hold_chats(state, params, b)
    decay_rivalry(state, params, b)
    compute_rewards(state, params, b)
    remove_fainted(state, params, b, board)
    admit_newcomers(state, params, b, board)
    advance_tick(state, params, b)
    perturb_objects(state, params, b)
    find_legal_actions(state, params, b, board)
    clear_board(state, b, board)


@rule
def begin_tick(state: TownState, b: int) -> None:
    """Clear what the last tick left for reading: its events, and each agent's flags and amounts."""
    state.towns[b].event_count = 0
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        agent.fainted = agent.terminated = agent.truncated = agent.was_punctual = False
        agent.earned = agent.gained = agent.late_penalty = 0.0
        agent.conflict_events = agent.conflict_intensity = 0.0


@rule
def play_share(
    state: TownState, params: TownParams, boards: np.ndarray, actions: np.ndarray, share: int, shares: int
) -> int:
    """Play one tick of one share of the towns on its own board; return how many episodes have ended."""
    over = 0
    first, end = share_of(state.towns.shape[0], share, shares)
    for b in range(first, end):
        play_tick(state, params, b, boards[share], actions[b])
        over += state.towns[b].over
    return over


@rule
def share_of(towns: int, share: int, shares: int) -> tuple[int, int]:
    """Return the first town of a share, and the first after it."""
    return towns * share // shares, towns * (share + 1) // shares


# Serial and parallel kernels: starting threads costs more than a tick of a few towns.


@kernel()
def play_few(
    state: TownState, params: TownParams, boards: np.ndarray, actions: np.ndarray, shares: int
) -> int:
    """Play one tick of every town, share by share; return how many episodes have ended. actions: (B, A)."""
    over = 0
    for share in range(shares):
        over += play_share(state, params, boards, actions, share, shares)
    return over


@kernel(parallel=True)
def play_many(
    state: TownState, params: TownParams, boards: np.ndarray, actions: np.ndarray, shares: int
) -> int:
    """Do the same as play_few, each share on its own thread."""
    over = 0
    for share in numba.prange(shares):
        over += play_share(state, params, boards, actions, share, shares)
    return over


@kernel()
def observe_few(
    state: TownState,
    params: TownParams,
    workspace: ObservationWorkspace,
    maps: np.ndarray,
    features: np.ndarray,
    masks: np.ndarray,
) -> None:
    """Write all observations. maps: (B, A, 484), features: (B, A, F), masks: (B, A, 9)."""
    for b in range(state.towns.shape[0]):
        observe_town(state, params, b, workspace, maps[b], features[b], masks[b])


@kernel(parallel=True)
def observe_many(
    state: TownState,
    params: TownParams,
    workspace: ObservationWorkspace,
    maps: np.ndarray,
    features: np.ndarray,
    masks: np.ndarray,
) -> None:
    """Do the same as observe_few, on all threads."""
    for b in numba.prange(state.towns.shape[0]):
        observe_town(state, params, b, workspace, maps[b], features[b], masks[b])


@kernel()
def restart_towns(
    state: TownState, params: TownParams, boards: np.ndarray, chosen: np.ndarray, seed: np.uint64
) -> None:
    """Begin the next episode of each chosen town. chosen: (B,) bool."""
    for b in range(state.towns.shape[0]):
        if chosen[b]:
            restart_town(state, params, b, boards[0], seed, state.towns[b].episode + 1)
