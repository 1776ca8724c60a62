"""What an agent of the slow town sees: the map and the features, by the table of docs/data.md."""

from __future__ import annotations

import math
from functools import lru_cache

from reference.entities import HOLDING, MOVES, NEEDS, USING, WAITING, Agent, Thing, nearest, within
from reference.meetings_to_episodes import bond
from reference.town import ReferenceTown

from townlet_core.vocab import (
    ACTION_COUNT,
    KIND_FEATURES,
    MAP_CHANNELS,
    MAP_SIZE,
    MEETING_FEATURES,
    NEIGHBOUR_FEATURES,
    NEIGHBOURS,
    SHIFT_STATES,
    Feature,
    feature_names,
)

LAST_ACTIONS = [name for name in feature_names(()) if name.startswith("last_action_")][:ACTION_COUNT]


def view_map(town: ReferenceTown, agent: Agent) -> list[list[list[bool]]]:
    """Return the map, channel by channel, row by row; nothing for an agent out of town."""
    others = [(other.x, other.y) for other in town.here() if other is not agent]
    busy = [(thing.x, thing.y) for thing in town.objects if thing.user or thing.holder]
    if not agent.in_town:
        return [window(agent.x, agent.y, []) for _ in MAP_CHANNELS]
    return [
        window(agent.x, agent.y, [(agent.x, agent.y)]),
        window(agent.x, agent.y, others),
        blocked_around(town.floor, agent.x, agent.y),
        window(agent.x, agent.y, busy),
    ]


def window(x: int, y: int, marked: list[tuple[int, int]]) -> list[list[bool]]:
    """Mark some tiles in the window around (x, y)."""
    rows = [[False] * MAP_SIZE for _ in range(MAP_SIZE)]
    for column, row in marked:
        dx, dy = column - x + MAP_SIZE // 2, row - y + MAP_SIZE // 2
        if 0 <= dx < MAP_SIZE and 0 <= dy < MAP_SIZE:
            rows[dy][dx] = True
    return rows


@lru_cache(2000)
def blocked_around(floor: frozenset[tuple[int, int]], x: int, y: int) -> list[list[bool]]:
    """Tell what is not floor in the window around (x, y); the same all day, so it is kept."""
    reach = range(-(MAP_SIZE // 2), MAP_SIZE // 2 + 1)
    return [[(x + dx, y + dy) not in floor for dx in reach] for dy in reach]


def view_features(town: ReferenceTown, agent: Agent) -> dict[str, float]:
    """Return every feature by name, in the order of vocab.feature_names."""
    kinds, names = town.kind_names, town.feature_names
    if not agent.in_town:
        return dict.fromkeys(names, 0.0)
    seen = {**base(town, agent), **state(town, agent)}
    for kind in kinds:
        seen.update(zip(names_of(kind, KIND_FEATURES), nearest_of(town, agent, kind), strict=True))
    others = sorted(
        (other for other in town.here() if other is not agent),
        key=lambda other: (abs(other.x - agent.x) + abs(other.y - agent.y), other.index),
    )
    for n in range(NEIGHBOURS):
        neighbour = neighbour_features(town, agent, others[n] if n < len(others) else None)
        seen.update(zip(names_of(f"neighbour{n}", NEIGHBOUR_FEATURES), neighbour, strict=True))
    if town.scenario.price_spikes:
        seen.update({f"{kind}_price": price_of(town, agent, kind) for kind in kinds})
    if town.scenario.meetings:
        seen.update(meeting_features(town, agent))
    assert len(seen) == len(names)
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
        "queue_position": 1 / (1 + agent.taken.line.index(agent)) if waits else 0.0,
        "holds_reservation": float(agent.role == HOLDING),
        "using_progress": using_progress(agent) if agent.role == USING else 0.0,
        "cooldown_left": remaining / cooldown if cooldown else 0.0,
        "last_action_success": float(agent.last_success),
    }
    for action, name in enumerate(LAST_ACTIONS):
        seen[name] = float(agent.last_action == action)
    job, workplace = agent.job, agent.workplace
    distance = workplace.steps.get((agent.x, agent.y), 0) if workplace else 0
    step = step_towards(agent, workplace) if workplace and distance else (0.0, 0.0)
    seen["work_step_x"], seen["work_step_y"] = step
    seen["work_distance"] = distance / (distance + 8)
    day = town.rules.ticks_per_day
    seen["ticks_to_shift"] = 0.0
    if job and not town.is_on_shift(agent):
        seen["ticks_to_shift"] = ((job.start_tick - town.time_of_day) % day) / day
    return seen


def using_progress(agent: Agent) -> float:
    if agent.taken.kind.is_work and agent.job:
        return min(agent.progress / (agent.job.end_tick - agent.job.start_tick), 1.0)
    return agent.progress / agent.taken.kind.duration_ticks


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


@lru_cache(200)
def names_of(prefix: str, rows: tuple[Feature, ...]) -> tuple[str, ...]:
    return tuple(f"{prefix}_{row.name}" for row in rows)


def nearest_of(town: ReferenceTown, agent: Agent, kind: str) -> tuple[float, ...]:
    """Return the KIND_FEATURES of the nearest object of this kind."""
    thing = nearest(town.things_of(kind), agent.x, agent.y)
    if thing is None:
        return (0.0,) * len(KIND_FEATURES)
    dx, dy = step_towards(agent, thing)
    distance, waiting, stock = thing.steps[agent.x, agent.y], len(thing.line), thing.stock or 0
    free = float(thing.user is None and thing.holder is None)
    return dx, dy, distance / (distance + 8), free, waiting / (waiting + 2), stock / (stock + 4)


def price_of(town: ReferenceTown, agent: Agent, kind: str) -> float:
    thing = nearest(town.things_of(kind), agent.x, agent.y)
    return town.price(thing) / (town.price(thing) + 1) if thing else 0.0


def meeting_features(town: ReferenceTown, agent: Agent) -> dict[str, float]:
    names = [row.name for row in MEETING_FEATURES]
    invitations = [g for g in town.gatherings if town.is_invited(agent, g) and town.tick < g.end_tick]
    if not invitations:
        return dict.fromkeys(names, 0.0)
    following = min(invitations, key=lambda gathering: gathering.start_tick)
    distance = following.steps.get((agent.x, agent.y), 0)
    dx, dy = next_tile(agent, following.place, following.steps) if distance else (0.0, 0.0)
    left = max(following.start_tick - town.tick, 0)
    values = (dx, dy, distance / (distance + 8), float(left == 0), min(left / town.rules.ticks_per_day, 1.0))
    return dict(zip(names, values, strict=True))


def neighbour_features(town: ReferenceTown, agent: Agent, other: Agent | None) -> tuple[float, ...]:
    """Return the NEIGHBOUR_FEATURES of one of the nearest agents."""
    if other is None:
        return (0.0,) * len(NEIGHBOUR_FEATURES)
    pair = bond(agent.index, other.index)
    return (
        within(-1.0, (other.x - agent.x) / 16, 1.0),
        within(-1.0, (other.y - agent.y) / 16, 1.0),
        town.rivalry.get(pair, 0.0),
        town.trust.get(pair, 0.0),
        town.familiarity.get(pair, 0.0),
    )
