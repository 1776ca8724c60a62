"""Random play for the slow town, and what must hold after every tick of it."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from reference.entities import FREE, HOLDING, MOVES, USING, WAITING, Agent, Thing
from reference.town import ReferenceTown

from townlet_core.vocab import CHAT, EAST, NORTH, RELEASE, REQUEST, SOUTH, START, WAIT, WEST

BUSY = (REQUEST, START, START)
CALM = (*(NORTH, EAST, SOUTH, WEST) * 3, *(WAIT, REQUEST, START) * 2, RELEASE, CHAT)


def random_actions(town: ReferenceTown, chance: Random) -> list[int]:
    """Choose for each agent: use things, walk to one, do anything possible, or now and then any number."""
    actions = []
    for agent in town.agents:
        draw = chance.random()
        useful = [action for action in BUSY if agent.legal[action]]
        nearer = steps_towards(agent, errand(town, agent, chance)) if agent.role in (FREE, HOLDING) else []
        if draw < 0.08:
            actions.append(chance.randint(-3, 12))
        elif useful and draw < 0.6:
            actions.append(chance.choice(useful))
        elif nearer and draw < 0.8:
            actions.append(chance.choice(nearer))
        else:
            actions.append(chance.choice([action for action in CALM if agent.legal[action]]))
    return actions


def errand(town: ReferenceTown, agent: Agent, chance: Random) -> Thing:
    """Name the thing to walk to: what it was offered, its workplace, or each object in turn."""
    if agent.thing:
        return agent.thing
    if agent.workplace and chance.random() < 0.7:
        return agent.workplace
    return town.objects[(agent.index + town.tick // 8) % len(town.objects)]


def steps_towards(agent: Agent, thing: Thing) -> list[int]:
    """Return the possible moves that shorten the way to `thing`."""
    here = thing.steps.get((agent.x, agent.y), 0)
    return [
        action
        for action, (dx, dy) in MOVES.items()
        if agent.legal[action] and thing.steps.get((agent.x + dx, agent.y + dy), here) < here
    ]


def check_invariants(town: ReferenceTown) -> None:
    """Raise AssertionError when the town is in a state that the rules exclude."""
    here = town.here()
    places = [(agent.x, agent.y) for agent in here]
    assert len(set(places)) == len(places)
    assert all(place in town.floor for place in places)
    for agent in town.agents:
        check_agent(agent)
    for thing in town.objects:
        assert thing.stock is None or thing.stock >= 0
        assert not (thing.user and thing.holder)
        for role, people in ((USING, [thing.user]), (HOLDING, [thing.holder]), (WAITING, thing.line)):
            assert [a for a in here if a.thing is thing and a.role == role] == sorted(
                filter(None, people), key=lambda agent: agent.index
            )
    assert all(0 <= rivalry <= 1 for rivalry in town.rivalry.values())
    assert all(-1 <= bond <= 1 for bonds in (town.trust, town.familiarity) for bond in bonds.values())
    assert all(one < other for bonds in (town.rivalry, town.trust) for one, other in bonds)
    assert all(first["tick"] <= second["tick"] for first, second in pairwise(town.events))


def check_agent(agent: Agent) -> None:
    assert all(0 <= need <= 1 for need in agent.needs.values())
    assert agent.wallet >= 0
    assert (agent.role == FREE) == (agent.thing is None)
    assert agent.in_town or agent.role == FREE
    assert abs(sum(agent.terms.values()) - agent.reward) < 1e-9
    assert agent.legal[0]
