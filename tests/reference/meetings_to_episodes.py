"""The second half of a tick: meetings to episodes (docs/rules.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.entities import NEEDS, USING, Agent, Gathering, within

from townlet_core.vocab import CHAT

if TYPE_CHECKING:
    from reference.town import ReferenceTown


# Meetings


def meetings(town: ReferenceTown) -> None:
    for gathering in town.gatherings:
        if gathering.start_tick <= town.tick < gathering.end_tick:
            gather(town, gathering)


def gather(town: ReferenceTown, gathering: Gathering) -> None:
    rules = town.rules.relationships
    there = [agent for agent in town.here() if is_there(town, agent, gathering)]
    if len(there) < 2:
        return
    for agent in there:
        if agent in gathering.attended:
            continue
        for other in there:
            if other in gathering.attended:
                move(town.trust, bond(agent.index, other.index), rules.meeting_trust)
                move(town.familiarity, bond(agent.index, other.index), rules.meeting_familiarity)
        gathering.attended.add(agent)
        company = next(other for other in there if other is not agent)
        town.emit("meeting_attended", object=gathering.thing, actor=agent, rival=company)


def is_there(town: ReferenceTown, agent: Agent, gathering: Gathering) -> bool:
    x, y = gathering.place
    near = max(abs(agent.x - x), abs(agent.y - y)) <= gathering.meeting.radius
    return near and town.is_invited(agent, gathering)


# Relationships


def relationships(town: ReferenceTown) -> None:
    for event in town.events:
        update_relationship(town, event)


def update_relationship(town: ReferenceTown, event: dict) -> None:
    rules, kind = town.rules.relationships, event["type"]
    pair = bond(event["actor"], event["rival"])
    if kind == "queue_conflict":
        move(town.rivalry, pair, town.rules.rivalry.increment_per_conflict * event["intensity"], 0.0)
    elif kind == "queue_handover":
        move(town.rivalry, pair, -rules.handover_rivalry, 0.0)
        move(town.trust, pair, rules.handover_trust)
        move(town.familiarity, pair, rules.handover_familiarity)
    elif kind == "shared_meal":
        move(town.trust, pair, rules.meal_trust)
        move(town.familiarity, pair, rules.meal_familiarity)
    elif kind == "late_help":
        move(town.trust, pair, rules.help_trust)
    elif kind == "shift_takeover":
        move(town.trust, pair, rules.takeover_trust)


# Chat


def chats(town: ReferenceTown, chosen: list[int], in_order: list[Agent]) -> None:
    for agent in in_order:
        if chosen[agent.index] == CHAT:
            chat(town, agent, in_order)


def chat(town: ReferenceTown, agent: Agent, in_order: list[Agent]) -> None:
    rules = town.rules.relationships
    around = town.agents_around(agent)
    if not around:
        agent.last_success = False
        return
    partner = min(around, key=lambda o: (abs(o.x - agent.x) + abs(o.y - agent.y), in_order.index(o)))
    pair = bond(agent.index, partner.index)
    if partner.role == USING or town.rivalry.get(pair, 0.0) >= town.rules.rivalry.avoid_threshold:
        agent.last_success = False
        town.emit("chat_failure", actor=agent, rival=partner)
        move(town.trust, pair, -rules.chat_failure_trust)
        return
    liking = town.trust.get(pair, 0.0) + town.familiarity.get(pair, 0.0)
    quality = within(0.0, 0.5 + 0.25 * liking, 1.0)
    town.emit("chat_success", actor=agent, rival=partner, quality=quality)
    move(town.trust, pair, rules.chat_trust)
    move(town.familiarity, pair, rules.chat_familiarity)


# Rivalry


def rivalry_decay(town: ReferenceTown) -> None:
    rules = town.rules.rivalry
    for pair, rivalry in town.rivalry.items():
        if rivalry > 0:
            left = rivalry - rules.decay_per_tick
            town.rivalry[pair] = left if left > rules.eviction_threshold else 0.0
    for agent in town.agents:
        keep_strongest(town, agent)


def keep_strongest(town: ReferenceTown, agent: Agent) -> None:
    while True:
        rivals = [o for o in town.agents if town.rivalry.get(bond(agent.index, o.index), 0.0) > 0]
        if len(rivals) <= town.rules.rivalry.max_edges:
            return
        weakest = min(rivals, key=lambda o: (town.rivalry[bond(agent.index, o.index)], -o.index))
        town.rivalry[bond(agent.index, weakest.index)] = 0.0


def bond(one: int, other: int) -> tuple[int, int]:
    """Name the pair, the same from both sides."""
    return min(one, other), max(one, other)


def move(
    bonds: dict[tuple[int, int], float], pair: tuple[int, int], change: float, low: float = -1.0
) -> None:
    bonds[pair] = within(low, bonds.get(pair, 0.0) + change, 1.0)


# Rewards


def rewards(town: ReferenceTown) -> None:
    for agent in town.here():
        reward(town, agent)


def reward(town: ReferenceTown, agent: Agent) -> None:
    pay, needs, terms = town.scenario.rewards, agent.needs, agent.terms
    terms["survival"] = 0.0 if agent.fainted else pay.survival
    terms["wages"] = pay.wages * agent.earned
    if agent.came_on_time:
        terms["punctuality"] = pay.punctuality_bonus
    if agent.late_now and agent.job:
        terms["punctuality"] = -(pay.lateness * agent.job.lateness_penalty)
    terms["satisfaction"] = pay.satisfaction * agent.gained
    terms["deficit"] = -sum_in_order(
        [getattr(pay, f"{need}_deficit") * square(1 - needs[need]) for need in NEEDS]
    )
    quarrels = [
        e["intensity"]
        for e in town.events
        if e["type"] == "queue_conflict" and agent.index in (e["actor"], e["rival"])
    ]
    terms["conflict"] = -pay.conflict_penalty * sum_in_order(quarrels)
    terms["faint"] = -pay.faint_penalty if agent.fainted else 0.0
    total = sum_in_order(list(terms.values()))
    agent.reward = within(-pay.clip_per_tick, total, pay.clip_per_tick)
    terms["clipped"] = agent.reward - total


def square(number: float) -> float:
    return number * number


def sum_in_order(numbers: list[float]) -> float:
    """Add from left to right; `sum` compensates for rounding in some Pythons."""
    total = 0.0
    for number in numbers:
        total += number
    return total


# Fainting


def fainting(town: ReferenceTown) -> None:
    for agent in town.here():
        if agent.fainted:
            faint(town, agent)


def faint(town: ReferenceTown, agent: Agent) -> None:
    town.leave(agent, politely=False)
    for thing in town.objects:
        if thing.left_by is agent:
            thing.left_by = None
    agent.in_town, agent.terminated, agent.faint_tick = False, True, town.tick
    town.emit("faint", actor=agent)


# Newcomers


def newcomers(town: ReferenceTown) -> None:
    for agent in town.agents:
        if not agent.in_town:
            admit(town, agent)


def admit(town: ReferenceTown, agent: Agent) -> None:
    delay = town.rules.needs.respawn_delay_ticks
    if delay is None or town.tick < agent.faint_tick + delay or town.agent_at(*agent.spec.position):
        return
    newcomer = town.newcomer(agent.index)
    newcomer.reward, newcomer.terms, newcomer.terminated = agent.reward, agent.terms, agent.terminated
    town.agents[agent.index] = newcomer
    for bonds in (town.rivalry, town.trust, town.familiarity):
        for pair in [pair for pair in bonds if agent.index in pair]:
            del bonds[pair]
    town.emit("arrival", actor=newcomer)


# Episodes


def episodes(town: ReferenceTown) -> None:
    town.tick += 1
    nobody = not town.here() and (town.rules.needs.respawn_delay_ticks is None or not town.agents)
    town.over = town.tick >= town.scenario.ticks or nobody
    if town.tick >= town.scenario.ticks:
        for agent in town.here():
            agent.truncated = not agent.is_new
