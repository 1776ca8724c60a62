"""The tick: a table of contents of docs/rules.md, and the kernels that play it over all towns."""

from __future__ import annotations

import numba
import numpy as np

from townlet_core.simulation.numba_support import kernel, rule
from townlet_core.simulation.observation import ObservationWorkspace, observe_town
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.rules.actions import take_actions
from townlet_core.simulation.rules.affordances import use_objects
from townlet_core.simulation.rules.employment import run_shifts
from townlet_core.simulation.rules.episodes import end_tick, restart_town
from townlet_core.simulation.rules.meetings import hold_meetings
from townlet_core.simulation.rules.movement import clear_board, fill_board, move_agents
from townlet_core.simulation.rules.needs import decay_needs
from townlet_core.simulation.rules.queues import serve_queues
from townlet_core.simulation.rules.relationships import remember
from townlet_core.simulation.rules.rewards import pay_rewards
from townlet_core.simulation.state import TownState


@rule
def play_tick(state: TownState, params: TownParams, b: int, board: np.ndarray, actions: np.ndarray) -> None:
    """Play one tick of town b. actions: (A,) integers, any value."""
    fill_board(state, b, board)
    take_actions(state, params, b, actions)
    move_agents(state, b, board)
    serve_queues(state, params, b)
    use_objects(state, params, b)
    decay_needs(state, params, b)
    run_shifts(state, params, b)
    hold_meetings(state, params, b)
    remember(state, params, b)
    pay_rewards(state, params, b)
    end_tick(state, params, b, board)
    clear_board(state, b, board)


@rule
def play_share(
    state: TownState, params: TownParams, boards: np.ndarray, actions: np.ndarray, share: int, shares: int
) -> int:
    """Play one tick of one share of the towns, on a board of its own, and return how many are over."""
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


# Two kernels of each kind: starting threads costs more than a tick of a few towns.


@kernel()
def play_few(
    state: TownState, params: TownParams, boards: np.ndarray, actions: np.ndarray, shares: int
) -> int:
    """Play one tick of every town, in so many shares, and return how many are over. actions: (B, A)."""
    over = 0
    for share in range(shares):
        over += play_share(state, params, boards, actions, share, shares)
    return over


@kernel(parallel=True)
def play_many(
    state: TownState, params: TownParams, boards: np.ndarray, actions: np.ndarray, shares: int
) -> int:
    """Do what play_few does, each share on a thread."""
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
    """Do what observe_few does, on all threads."""
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
