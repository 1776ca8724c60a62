"""Rule: Actions (docs/rules.md#actions). Each agent does what it chose if that is legal, and else waits."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.state import FREE, TownState
from townlet_core.vocab import ACTION_COUNT, WAIT


@rule
def take_actions(state: TownState, b: int, actions: np.ndarray) -> None:
    """Set every agent's action for this tick and count the invalid ones. actions: (A,) any integers."""
    town = state.towns[b]
    agents = state.agents[b]
    chosen = invalid = doing = 0
    is_engaged = False
    for i in range(agents.shape[0]):
        agent = agents[i]
        action = actions[i]
        is_legal = 0 <= action < ACTION_COUNT and (agent.legal >> action) & 1 == 1
        agent.action = action if is_legal else WAIT
        agent.success = is_legal
        doing |= 1 << int(agent.action)  # int: plain Python would shift within eight bits
        is_engaged |= agent.role != FREE
        if agent.alive:
            agent.newcomer = False
            chosen += 1
            invalid += not is_legal
    town.doing, town.is_engaged = doing, is_engaged
    town.actions += chosen
    town.invalid_actions += invalid


@rule
def any_agent_does(state: TownState, b: int, action: int) -> bool:
    """Whether any agent takes this action in this tick; if none does, its rule is skipped."""
    return (state.towns[b].doing >> action) & 1 == 1
