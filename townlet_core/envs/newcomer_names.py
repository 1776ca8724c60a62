"""Names for everybody who lives in a town: `anna`, and the newcomers who take her place.

PettingZoo has it that an agent who is gone stays gone. So each newcomer is an agent of its own: `anna#2`,
`anna#3`. No agent of a scenario can have such a name.
"""

from __future__ import annotations

from typing import Any

from townlet_core.errors import InputError
from townlet_core.scenario.model import AgentSpec, Scenario
from townlet_core.vocab import VITAL_NEEDS

MOST_NAMES = 10_000


def possible_names(scenario: Scenario) -> list[str]:
    """List all who can live in town during one episode: the first of every place, then the second, and so on.

    Raises InputError for more than MOST_NAMES.
    """
    lives = [_most_lives(scenario, agent) for agent in scenario.agents]
    if sum(lives) > MOST_NAMES:
        raise InputError(
            f"{scenario.name}: {sum(lives):,} agents could come to town in one episode, expected at most"
            f" {MOST_NAMES:,}",
            "use newcomers=False, or a longer rules.needs.respawn_delay_ticks",
        )
    return [
        life_name(agent.id, life)
        for life in range(1, max(lives) + 1)
        for agent, count in zip(scenario.agents, lives, strict=True)
        if life <= count
    ]


def life_name(place: str, life: int) -> str:
    """Name the life-th to live at a place, counted from 1."""
    return place if life == 1 else f"{place}#{life}"


def _most_lives(scenario: Scenario, agent: AgentSpec) -> int:
    """Bound how many can act at this place in one episode.

    Between two arrivals lie a life and the delay, and who arrives in the last tick does not act any more.
    """
    delay = scenario.rules.needs.respawn_delay_ticks
    if delay is None:
        return 1
    between = _shortest_life(scenario, agent) + delay
    return 1 + (scenario.ticks - 1) // between


def _shortest_life(scenario: Scenario, agent: AgentSpec) -> int:
    """Bound from below after how many ticks this agent can faint if nothing satisfies its vital needs."""
    return min((_lasts(scenario, agent, need) for need in VITAL_NEEDS), default=scenario.ticks)


def _lasts(scenario: Scenario, agent: AgentSpec, need: str) -> int:
    """Bound from below after how many ticks a need reaches the faint threshold."""
    decay = getattr(scenario.rules.needs, f"{need}_decay")
    spare = getattr(agent.needs, need) - scenario.rules.needs.faint_threshold
    if spare <= 0 or any(getattr(kind.effects, need) < 0 for kind in scenario.all_kinds.values()):
        return 1
    if spare >= decay * scenario.ticks:
        return scenario.ticks
    return max(int(spare / decay), 1)


class Residents:
    """Who has lived at each place so far in this episode."""

    def __init__(self, places: list[str]) -> None:
        self.lives = dict.fromkeys(places, 1)

    def name(self, place: str) -> str:
        """Name the one who lives at this place now, or lived there last."""
        return life_name(place, self.lives[place])

    def rename(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put residents' names where events name places, and count the newcomers.

        Events stand in the order in which they happened: before an arrival, the place is the old resident's.
        """
        renamed = []
        for event in events:
            if event["type"] == "arrival":
                self.lives[event["actor"]] += 1
            people = {role: self.name(event[role]) for role in ("actor", "rival") if role in event}
            renamed.append(event | people)
        return renamed
