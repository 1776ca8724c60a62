"""The tick: a table of contents of docs/rules.md, and the kernels that play it over all towns."""

from __future__ import annotations

import numba
import numpy as np

from townlet_core.simulation.actions import take_actions
from townlet_core.simulation.affordances import use_objects
from townlet_core.simulation.compiled import kernel, rule
from townlet_core.simulation.constants import TownRules
from townlet_core.simulation.employment import run_shifts
from townlet_core.simulation.ends import end_tick, restart_town
from townlet_core.simulation.meetings import hold_meetings
from townlet_core.simulation.movement import clear_board, fill_board, move_agents
from townlet_core.simulation.needs import decay_needs
from townlet_core.simulation.observation import Sight, observe_town
from townlet_core.simulation.queues import serve_queues
from townlet_core.simulation.relationships import remember
from townlet_core.simulation.rewards import pay_rewards
from townlet_core.simulation.state import TownState


@rule
def play_tick(state: TownState, rules: TownRules, b: int, board: np.ndarray, actions: np.ndarray) -> None:
    """Play one tick of town b. actions: (A,) integers, any value."""
    fill_board(state, b, board)
    take_actions(state, rules, b, actions)
    move_agents(state, b, board)
    serve_queues(state, rules, b)
    use_objects(state, rules, b)
    decay_needs(state, rules, b)
    run_shifts(state, rules, b)
    hold_meetings(state, rules, b)
    remember(state, rules, b)
    pay_rewards(state, rules, b)
    end_tick(state, rules, b, board)
    clear_board(state, b, board)


@rule
def play_share(
    state: TownState, rules: TownRules, boards: np.ndarray, actions: np.ndarray, share: int, shares: int
) -> int:
    """Play one tick of one share of the towns, on a board of its own, and return how many are over."""
    over = 0
    first, end = share_of(state.towns.shape[0], share, shares)
    for b in range(first, end):
        play_tick(state, rules, b, boards[share], actions[b])
        over += state.towns[b].over
    return over


@rule
def share_of(towns: int, share: int, shares: int) -> tuple[int, int]:
    """Return the first town of a share, and the first after it."""
    return towns * share // shares, towns * (share + 1) // shares


# Two kernels of each kind: starting threads costs more than a tick of a few towns.


@kernel()
def play_few(state: TownState, rules: TownRules, boards: np.ndarray, actions: np.ndarray, shares: int) -> int:
    """Play one tick of every town, in so many shares, and return how many are over. actions: (B, A)."""
    over = 0
    for share in range(shares):
        over += play_share(state, rules, boards, actions, share, shares)
    return over


@kernel(parallel=True)
def play_many(
    state: TownState, rules: TownRules, boards: np.ndarray, actions: np.ndarray, shares: int
) -> int:
    """Do what play_few does, each share on a thread."""
    over = 0
    for share in numba.prange(shares):
        over += play_share(state, rules, boards, actions, share, shares)
    return over


@kernel()
def observe_few(
    state: TownState,
    rules: TownRules,
    sight: Sight,
    maps: np.ndarray,
    features: np.ndarray,
    masks: np.ndarray,
) -> None:
    """Write all observations. maps: (B, A, 484), features: (B, A, F), masks: (B, A, 9)."""
    for b in range(state.towns.shape[0]):
        observe_town(state, rules, b, sight, maps[b], features[b], masks[b])


@kernel(parallel=True)
def observe_many(
    state: TownState,
    rules: TownRules,
    sight: Sight,
    maps: np.ndarray,
    features: np.ndarray,
    masks: np.ndarray,
) -> None:
    """Do what observe_few does, on all threads."""
    for b in numba.prange(state.towns.shape[0]):
        observe_town(state, rules, b, sight, maps[b], features[b], masks[b])


@kernel()
def restart_towns(
    state: TownState, rules: TownRules, boards: np.ndarray, chosen: np.ndarray, seed: np.uint64
) -> None:
    """Begin the next episode of each chosen town. chosen: (B,) bool."""
    for b in range(state.towns.shape[0]):
        if chosen[b]:
            restart_town(state, rules, b, boards[0], seed, state.towns[b].episode + 1)
