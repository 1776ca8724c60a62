"""What an agent of the slow town sees: the map and the features, by the table of docs/data.md."""

from __future__ import annotations

import math

from reference.outcomes import bond
from reference.people import HOLDING, MOVES, USING, WAITING, Agent, Thing, nearest, within
from reference.town import ReferenceTown

from townlet_core.vocab import (
    ACTION_COUNT,
    MAP_CHANNELS,
    MAP_SIZE,
    MEETING_FEATURES,
    NEEDS,
    NEIGHBOURS,
    SHIFT_STATES,
    feature_names,
)


def view_map(town: ReferenceTown, agent: Agent) -> list[list[list[float]]]:
    """Return the map, channel by channel, row by row; zeros for an agent out of town."""
    rows = range(MAP_SIZE)
    if not agent.in_town:
        return [[[0.0 for _ in rows] for _ in rows] for _ in MAP_CHANNELS]
    left, top = agent.x - MAP_SIZE // 2, agent.y - MAP_SIZE // 2
    others = {(other.x, other.y) for other in town.here() if other is not agent}
    busy = {(thing.x, thing.y) for thing in town.objects if thing.user or thing.holder}
    shows = (
        lambda tile: tile == (agent.x, agent.y),
        lambda tile: tile in others,
        lambda tile: tile not in town.floor,
        lambda tile: tile in busy,
    )
    return [[[float(show((left + x, top + y))) for x in rows] for y in rows] for show in shows]


def view_features(town: ReferenceTown, agent: Agent) -> dict[str, float]:
    """Return every feature by name, in the order of vocab.feature_names."""
    kinds = tuple(town.scenario.all_kinds)
    names = town.scenario.feature_names
    if not agent.in_town:
        return dict.fromkeys(names, 0.0)
    seen = {**base(town, agent), **state(town, agent)}
    for kind in kinds:
        seen.update({f"{kind}_{name}": value for name, value in nearest_of(town, agent, kind).items()})
    others = sorted(
        (other for other in town.here() if other is not agent),
        key=lambda other: (abs(other.x - agent.x) + abs(other.y - agent.y), other.index),
    )
    for n in range(NEIGHBOURS):
        neighbour = neighbour_features(town, agent, others[n] if n < len(others) else None)
        seen.update({f"neighbour{n}_{name}": value for name, value in neighbour.items()})
    if town.scenario.price_spikes:
        seen.update({f"{kind}_price": price_of(town, agent, kind) for kind in kinds})
    if town.scenario.meetings:
        seen.update(meeting_features(town, agent))
    assert set(seen) == set(names)
    return {name: seen[name] for name in names}


def base(town: ReferenceTown, agent: Agent) -> dict[str, float]:
    rules = town.rules
    cutoff = rules.employment.absent_cutoff
    angle = 2 * math.pi * town.time_of_day / rules.ticks_per_day
    shares = agent.shares[-3:]
    rivalries = [town.rivalry.get(bond(agent.index, o.index), 0.0) for o in town.agents if o is not agent]
    return {
        **{f"need_{need}": agent.needs[need] for need in NEEDS},
        "wallet": agent.wallet / (agent.wallet + 10),
        "lateness_counter": min(agent.late_ticks / cutoff, 1.0) if cutoff else 0.0,
        "on_shift": float(town.is_on_shift(agent)),
        "time_sin": math.sin(angle),
        "time_cos": math.cos(angle),
        "attendance_ratio": sum(shares) / len(shares) if shares else 1.0,
        "wages_withheld": agent.withheld / (agent.withheld + 1),
        **{f"shift_{s}": float(agent.job is not None and agent.shift_state == s) for s in SHIFT_STATES},
        "embedding_slot_norm": agent.index / len(town.agents),
        "ctx_reset_flag": float(agent.is_new),
        "episode_progress": town.tick / town.scenario.ticks,
        "rivalry_max": max(rivalries, default=0.0),
        "rivalry_avoid_count": float(sum(r >= rules.rivalry.avoid_threshold for r in rivalries)),
    }


def state(town: ReferenceTown, agent: Agent) -> dict[str, float]:
    waits, cooldown = agent.role == WAITING, town.rules.queues.cooldown_ticks
    remaining = max([0] + [until - town.tick for until in agent.cooldown_until.values()])
    seen = {
        "in_queue": float(waits),
        "queue_position": 1 / (1 + agent.thing.line.index(agent)) if waits else 0.0,
        "holds_reservation": float(agent.role == HOLDING),
        "using_progress": using_progress(agent) if agent.role == USING else 0.0,
        "cooldown_left": remaining / cooldown if cooldown else 0.0,
        "last_action_success": float(agent.last_success),
    }
    for action, name in enumerate(last_action_names()):
        seen[name] = float(agent.last_action == action)
    job, workplace = agent.job, agent.workplace
    distance = workplace.steps.get((agent.x, agent.y), 0) if workplace else 0
    seen["work_step_x"], seen["work_step_y"] = step_towards(agent, workplace) if distance else (0.0, 0.0)
    seen["work_distance"] = distance / (distance + 8)
    day = town.rules.ticks_per_day
    away = job and not town.is_on_shift(agent)
    seen["ticks_to_shift"] = ((job.start_tick - town.time_of_day) % day) / day if away else 0.0
    return seen


def last_action_names() -> tuple[str, ...]:
    names = [name for name in feature_names(()) if name.startswith("last_action_")]
    return tuple(names[:ACTION_COUNT])


def using_progress(agent: Agent) -> float:
    if agent.thing.kind.is_work:
        return min(agent.progress / (agent.job.end_tick - agent.job.start_tick), 1.0)
    return agent.progress / agent.thing.kind.duration_ticks


def step_towards(agent: Agent, thing: Thing) -> tuple[float, float]:
    """Return the direction of the next step of a shortest way: dx, dy."""
    return next_tile(agent, (thing.x, thing.y), thing.steps)


def next_tile(agent: Agent, goal: tuple[int, int], steps: dict[tuple[int, int], int]) -> tuple[float, float]:
    distance = steps[agent.x, agent.y]
    for dx, dy in MOVES.values():
        tile = (agent.x + dx, agent.y + dy)
        if tile == goal or (distance > 1 and steps.get(tile, distance) < distance):
            return float(dx), float(dy)
    raise AssertionError("what can be reached has a next step")


def nearest_of(town: ReferenceTown, agent: Agent, kind: str) -> dict[str, float]:
    thing = nearest([thing for thing in town.objects if thing.kind_name == kind], agent.x, agent.y)
    if thing is None:
        return dict.fromkeys(("step_x", "step_y", "distance", "free", "queue_length", "stock"), 0.0)
    dx, dy = step_towards(agent, thing)
    distance, waiting, stock = thing.steps[agent.x, agent.y], len(thing.line), thing.stock or 0
    return {
        "step_x": dx,
        "step_y": dy,
        "distance": distance / (distance + 8),
        "free": float(thing.user is None and thing.holder is None),
        "queue_length": waiting / (waiting + 2),
        "stock": stock / (stock + 4),
    }


def price_of(town: ReferenceTown, agent: Agent, kind: str) -> float:
    thing = nearest([thing for thing in town.objects if thing.kind_name == kind], agent.x, agent.y)
    return town.price(thing) / (town.price(thing) + 1) if thing else 0.0


def meeting_features(town: ReferenceTown, agent: Agent) -> dict[str, float]:
    invitations = [g for g in town.gatherings if town.is_invited(agent, g) and town.tick < g.end_tick]
    if not invitations:
        return dict.fromkeys(MEETING_FEATURES, 0.0)
    following = min(invitations, key=lambda gathering: gathering.start_tick)
    distance = following.steps.get((agent.x, agent.y), 0)
    dx, dy = next_tile(agent, following.place, following.steps) if distance else (0.0, 0.0)
    left = max(following.start_tick - town.tick, 0)
    values = (dx, dy, distance / (distance + 8), float(left == 0), min(left / town.rules.ticks_per_day, 1.0))
    return dict(zip(MEETING_FEATURES, values, strict=True))


def neighbour_features(town: ReferenceTown, agent: Agent, other: Agent | None) -> dict[str, float]:
    if other is None:
        return dict.fromkeys(("offset_x", "offset_y", "rivalry", "trust", "familiarity"), 0.0)
    pair = bond(agent.index, other.index)
    return {
        "offset_x": within(-1.0, (other.x - agent.x) / 16, 1.0),
        "offset_y": within(-1.0, (other.y - agent.y) / 16, 1.0),
        "rivalry": town.rivalry.get(pair, 0.0),
        "trust": town.trust.get(pair, 0.0),
        "familiarity": town.familiarity.get(pair, 0.0),
    }
