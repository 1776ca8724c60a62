"""Rule: Movement (docs/rules.md#movement). One tile a tick; nobody shares, swaps or passes through."""

from __future__ import annotations

from townlet_core.simulation.compiled import rule
from townlet_core.simulation.paths import STEP_X, STEP_Y
from townlet_core.simulation.state import AGENT_CELL, BORDER, EMPTY, TownState
from townlet_core.vocab import NORTH, WEST


@rule
def move_agents(state: TownState, b: int) -> None:
    """Step every mover onto its tile, in serving order, if that is still free."""
    for place in range(state.order.shape[1]):
        i = state.order[b, place]
        agent = state.agents[b, i]
        if NORTH <= agent.action <= WEST:
            d = agent.action - NORTH
            x, y = agent.x + STEP_X[d], agent.y + STEP_Y[d]
            agent.success = state.cell[b, y + BORDER, x + BORDER] == EMPTY
            leave_tile(state, b, i)
            enter_tile(state, b, i, x if agent.success else agent.x, y if agent.success else agent.y)


@rule
def enter_tile(state: TownState, b: int, i: int, x: int, y: int) -> None:
    """Put agent i on a free tile."""
    agent = state.agents[b, i]
    agent.x, agent.y = x, y
    state.cell[b, y + BORDER, x + BORDER] = AGENT_CELL + i


@rule
def leave_tile(state: TownState, b: int, i: int) -> None:
    """Take agent i off its tile."""
    agent = state.agents[b, i]
    state.cell[b, agent.y + BORDER, agent.x + BORDER] = EMPTY
