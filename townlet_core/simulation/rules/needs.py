"""Rule: Needs (docs/rules.md#needs). Needs decay; an agent faints when a vital one reaches the threshold."""

from __future__ import annotations

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.state import TownState
from townlet_core.vocab import NEEDS


@rule
def decay_needs(state: TownState, params: TownParams, b: int) -> None:
    """Lower every need of every agent in town, and mark those that faint."""
    constants = params.constants[0]
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        if agent.alive:
            fainted = False
            for need in range(len(NEEDS)):
                level = max(agent.needs[need] - constants.need_decay[need], 0.0)
                agent.needs[need] = level
                fainted |= level <= constants.faint_threshold[need]
            agent.fainted = fainted
