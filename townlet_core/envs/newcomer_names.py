"""Names of agents and newcomers: `anna`, and after her `anna#2`, `anna#3`.

In PettingZoo an agent that is done never acts again, so each newcomer is an agent of its own. Agents of
a scenario cannot have `#` in their names.
"""

from __future__ import annotations

from typing import Any

from townlet_core.errors import InputError
from townlet_core.scenario.model import AgentSpec, Scenario
from townlet_core.vocab import VITAL_NEEDS

MOST_NAMES = 10_000


def possible_names(scenario: Scenario) -> list[str]:
    """List all possible agents of one episode: the first of every place, then the second, and so on.

    Raises InputError for more than MOST_NAMES.
    """
    counts = [_most_lives(scenario, agent) for agent in scenario.agents]
    if sum(counts) > MOST_NAMES:
        raise InputError(
            f"{scenario.name}: {sum(counts):,} agents could come to town in one episode, expected at most"
            f" {MOST_NAMES:,}",
            "use newcomers=False, or a longer rules.needs.respawn_delay_ticks",
        )
    return [
        name_of_resident(agent.id, life)
        for life in range(1, max(counts) + 1)
        for agent, count in zip(scenario.agents, counts, strict=True)
        if life <= count
    ]


def name_of_resident(place: str, life: int) -> str:
    """Name the agent number `life` at a place, counted from 1."""
    return place if life == 1 else f"{place}#{life}"


def _most_lives(scenario: Scenario, agent: AgentSpec) -> int:
    """Return an upper bound of the agents at this place in one episode.

    Two arrivals are at least a shortest life and the delay apart, and an arrival in the last tick never acts.
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
    """The number of agents at each place so far in this episode."""

    def __init__(self, places: list[str]) -> None:
        self.counts = dict.fromkeys(places, 1)

    def name(self, place: str) -> str:
        """Name the current agent of a place, or the last one."""
        return name_of_resident(place, self.counts[place])

    def rename(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Replace places in events by agents' names, and count the newcomers.

        Events are in order: before an arrival, a place means the previous agent.
        """
        renamed = []
        for event in events:
            if event["type"] == "arrival":
                self.counts[event["actor"]] += 1
            people = {role: self.name(event[role]) for role in ("actor", "rival") if role in event}
            renamed.append(event | people)
        return renamed
