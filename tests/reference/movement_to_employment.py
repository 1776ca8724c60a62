"""The first half of a tick: movement, queues, affordances, needs, employment (docs/rules.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.entities import HOLDING, MOVES, NEEDS, USING, VITAL, WAITING, Agent, Thing, within

from townlet_core.scenario.model import Job
from townlet_core.vocab import RELEASE, REQUEST, START

if TYPE_CHECKING:
    from reference.town import ReferenceTown


# Movement


def movement(town: ReferenceTown, chosen: list[int], in_order: list[Agent]) -> None:
    for agent in in_order:
        if chosen[agent.index] in MOVES:
            dx, dy = MOVES[chosen[agent.index]]
            if town.agent_at(agent.x + dx, agent.y + dy) is None:
                agent.x, agent.y = agent.x + dx, agent.y + dy
            else:
                agent.last_success = False


# Queues


def queues(town: ReferenceTown, chosen: list[int], in_order: list[Agent]) -> None:
    for agent in in_order:
        if chosen[agent.index] == RELEASE:
            town.leave(agent, politely=True)
    free = [t for t in town.objects if t.user is None and t.holder is None and not t.line]
    for agent in in_order:
        if chosen[agent.index] == REQUEST:
            thing = town.to_join(agent)
            assert thing is not None  # else the request was impossible
            agent.ticks_waited = 0
            join(town, agent, thing)
    for thing in town.objects:
        ghost_step(town, thing, chosen)
        offer(town, thing, thing in free)
        for agent in thing.line:
            agent.ticks_waited += 1
        if thing.user and thing.line and thing.line[0].ticks_waited % town.rules.queues.patience_ticks == 0:
            town.emit_conflict("impatience", thing, thing.line[0], thing.user)


def join(town: ReferenceTown, agent: Agent, thing: Thing) -> None:
    thing.line.append(agent)
    agent.role, agent.thing = WAITING, thing


def nobody_could_start(town: ReferenceTown, thing: Thing) -> bool:
    return town.is_out_of_order(thing) or thing.stock == 0


def ghost_step(town: ReferenceTown, thing: Thing, chosen: list[int]) -> None:
    holder = thing.holder
    if holder is None or nobody_could_start(town, thing) or chosen[holder.index] == START or not thing.line:
        return
    thing.idle_ticks += 1
    if thing.idle_ticks >= town.rules.queues.ghost_step_after:
        following = offer_to_next(town, thing)
        join(town, holder, thing)
        town.emit_conflict("ghost_step", thing, following, holder)


def offer_to_next(town: ReferenceTown, thing: Thing) -> Agent:
    weight = town.rules.queues.age_priority_weight
    position = min(
        range(len(thing.line)), key=lambda place: (place - weight * thing.line[place].ticks_waited, place)
    )
    agent = thing.line.pop(position)
    thing.holder, thing.idle_ticks = agent, 0
    thing.left_by, thing.conflict_since_offer = None, False
    agent.role = HOLDING
    return agent


def offer(town: ReferenceTown, thing: Thing, was_free: bool) -> None:
    if nobody_could_start(town, thing) or thing.user or thing.holder or not thing.line:
        return
    left_by, had_conflict = thing.left_by, thing.conflict_since_offer
    agent = offer_to_next(town, thing)
    if left_by and left_by is not agent and agent.ticks_waited >= 1 and not had_conflict:
        town.emit("queue_handover", object=thing, actor=left_by, rival=agent)
    if was_free:
        for loser in thing.line:
            town.emit_conflict("contention", thing, loser, agent)


# Affordances


def affordances(town: ReferenceTown, chosen: list[int]) -> None:
    for thing in town.objects:
        if thing.holder and chosen[thing.holder.index] == START:
            start(town, thing, thing.holder)
        if thing.user and thing.kind.is_work:
            leave_work(town, thing, thing.user)
        if thing.user:
            thing.user.progress += 1
            if not thing.kind.is_work and thing.user.progress >= thing.kind.duration_ticks:
                complete(town, thing, thing.user)


def start(town: ReferenceTown, thing: Thing, agent: Agent) -> None:
    thing.holder, thing.user = None, agent
    agent.role, agent.progress = USING, 0
    agent.agreed_price = town.price(thing)
    if thing.kind.is_work and not town.is_on_shift(agent):
        covered = town.covered_by(agent, thing)
        if covered and covered.shift_state == "absent":
            town.emit("shift_takeover", object=thing, actor=agent, rival=covered)


def leave_work(town: ReferenceTown, thing: Thing, agent: Agent) -> None:
    if not town.may_work(agent, thing):
        town.leave(agent, politely=False)
    elif not town.is_on_shift(agent):
        expected = [colleague for colleague in thing.line if town.is_on_shift(colleague)]
        if expected:
            town.leave(agent, politely=False)
            town.emit("late_help", object=thing, actor=agent, rival=expected[0])


def complete(town: ReferenceTown, thing: Thing, agent: Agent) -> None:
    for need in NEEDS:
        before = agent.needs[need]
        agent.needs[need] = within(0.0, before + getattr(thing.kind.effects, need), 1.0)
        agent.gained += max(agent.needs[need] - before, 0.0)
    agent.wallet -= agent.agreed_price
    if thing.stock is not None:
        thing.stock -= 1
    target = supplied_by(town, thing)
    if target and target.stock is not None:
        target.stock += 1
    agent.cooldown_until[thing.index] = town.tick + 1 + town.rules.queues.cooldown_ticks
    town.leave(agent, politely=True)
    town.emit(thing.kind.completion_event, object=thing, actor=agent)
    if thing.kind.is_meal:
        share_meal(town, thing, agent)


def supplied_by(town: ReferenceTown, thing: Thing) -> Thing | None:
    """Return the nearest other thing of the kind it supplies, seen from the tiles beside it."""
    beside = [tile for tile, steps in thing.steps.items() if steps == 1]
    ranked = [
        (min(other.steps[tile] for tile in beside if tile in other.steps), other.index)
        for other in town.objects
        if other is not thing
        and other.kind_name == thing.kind.supplies
        and any(tile in other.steps for tile in beside)
    ]
    return town.objects[min(ranked)[1]] if ranked else None


def share_meal(town: ReferenceTown, thing: Thing, agent: Agent) -> None:
    rules = town.rules.relationships
    agent.last_meal = town.tick
    for other in town.here():
        near = max(abs(other.x - agent.x), abs(other.y - agent.y)) <= rules.meal_radius
        eats = other.role == USING and other.taken.kind.is_meal
        ate = other.last_meal is not None and town.tick - other.last_meal <= rules.meal_memory_ticks
        if other is not agent and near and (eats or ate):
            town.emit("shared_meal", object=thing, actor=agent, rival=other)
            return


# Needs


def needs(town: ReferenceTown) -> None:
    rules = town.rules.needs
    for agent in town.here():
        for need in NEEDS:
            agent.needs[need] = max(agent.needs[need] - getattr(rules, f"{need}_decay"), 0.0)
        agent.fainted = any(agent.needs[need] <= rules.faint_threshold for need in VITAL)


# Employment


def employment(town: ReferenceTown) -> None:
    for agent in town.here():
        if agent.job:
            employ(town, agent, agent.job)


def employ(town: ReferenceTown, agent: Agent, job: Job) -> None:
    on = town.is_on_shift(agent)
    if agent.in_shift and (not on or town.time_of_day == job.start_tick):
        agent.shares.append(agent.attended_ticks / (town.tick - agent.shift_tick))
        agent.in_shift = False
    if on and not agent.in_shift:
        agent.shift_tick = town.tick
        agent.in_shift, agent.shift_state, agent.arrived = True, "pre", False
        agent.late_ticks, agent.withheld, agent.attended_ticks = 0, 0.0, 0
    at_work = agent.role == USING and agent.thing is agent.workplace
    if at_work:
        agent.wallet += job.wage_rate
        agent.earned += job.wage_rate
    if on and at_work:
        agent.attended_ticks += 1
        arrive(town, agent, town.tick - agent.shift_tick)
    elif on:
        agent.withheld += job.wage_rate
        miss(town, agent, town.tick - agent.shift_tick)
    if not on:
        agent.shift_state = "pre" if town.time_of_day < job.start_tick else "post"


def arrive(town: ReferenceTown, agent: Agent, since_start: int) -> None:
    if not agent.arrived and agent.shift_state == "pre":
        agent.came_on_time = since_start <= town.rules.employment.grace_ticks
        agent.shift_state = "on_time" if agent.came_on_time else "late"
        town.emit(f"shift_{agent.shift_state}", object=agent.workplace, actor=agent)
    agent.arrived = True


def miss(town: ReferenceTown, agent: Agent, since_start: int) -> None:
    if agent.arrived:
        return
    before = agent.shift_state
    if since_start > town.rules.employment.absent_cutoff:
        agent.shift_state = "absent"
    elif since_start > town.rules.employment.grace_ticks:
        agent.shift_state = "late"
    if agent.shift_state != before:
        town.emit(f"shift_{agent.shift_state}", object=agent.workplace, actor=agent)
    if agent.shift_state == "late":
        agent.late_ticks += 1
        agent.late_now = True
