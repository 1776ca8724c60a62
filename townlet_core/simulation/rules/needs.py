"""Rule: Needs (docs/rules.md#needs). Needs decay; an agent whose hunger reaches the threshold faints."""

from __future__ import annotations

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.state import TownState


@rule
def decay_needs(state: TownState, params: TownParams, b: int) -> None:
    """Lower every need of every agent in town, and mark those that faint."""
    constants = params.constants[0]
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        if agent.alive:
            agent.hunger = max(agent.hunger - constants.hunger_decay, 0.0)
            agent.hygiene = max(agent.hygiene - constants.hygiene_decay, 0.0)
            agent.energy = max(agent.energy - constants.energy_decay, 0.0)
            agent.fainted = agent.hunger <= constants.faint_threshold
