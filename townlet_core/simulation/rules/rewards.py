"""Rule: Rewards (docs/rules.md#rewards). The reward of an agent, term by term."""

from __future__ import annotations

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import TownParams
from townlet_core.simulation.state import TownState
from townlet_core.vocab import NEEDS, REWARD_TERMS

SURVIVAL, WAGES, PUNCTUALITY, SATISFACTION, DEFICIT, CONFLICT, FAINT, CLIPPED = range(len(REWARD_TERMS))


@rule
def compute_rewards(state: TownState, params: TownParams, b: int) -> None:
    """Set every agent's reward and its terms; zero for agents out of town."""
    constants = params.constants[0]
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        if not agent.alive:
            agent.reward = 0.0
            agent.terms[:] = 0.0
            continue
        terms = agent.terms
        terms[SURVIVAL] = 0.0 if agent.fainted else constants.survival
        terms[WAGES] = constants.wages * agent.earned
        terms[PUNCTUALITY] = -constants.lateness * agent.late_penalty
        if agent.was_punctual:
            terms[PUNCTUALITY] += constants.punctuality_bonus
        terms[SATISFACTION] = constants.satisfaction * agent.gained
        deficit = 0.0
        for need in range(len(NEEDS)):
            lack = 1.0 - agent.needs[need]
            deficit += constants.need_deficit[need] * (lack * lack)
        terms[DEFICIT] = -deficit
        terms[CONFLICT] = -constants.conflict_penalty * (2.0 * agent.conflict_intensity)
        terms[FAINT] = -constants.faint_penalty if agent.fainted else 0.0
        total = 0.0
        for t in range(CLIPPED):
            total += terms[t]
        agent.reward = min(max(total, -constants.clip_per_tick), constants.clip_per_tick)
        terms[CLIPPED] = agent.reward - total
