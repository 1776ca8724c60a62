"""Rule: Observation (docs/data.md#observations). What an agent sees, written in place."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import WINDOW_BYTES, TownParams
from townlet_core.simulation.rules.employment import own_shift_is_on
from townlet_core.simulation.rules.meetings import next_meeting, ticks_to_meeting
from townlet_core.simulation.state import HOLDING, NOBODY, USING, WAITING, TownState, record
from townlet_core.vocab import (
    ACTION_COUNT,
    BASE_FEATURES,
    KIND_FEATURES,
    MAP_SIZE,
    MEETING_FEATURES,
    NEEDS,
    NEIGHBOUR_FEATURES,
    NEIGHBOURS,
    SHIFT_STATES,
    STATE_FEATURES,
)

# Where the four channels of the map begin, in a row of 484 tiles.
TILES = MAP_SIZE * MAP_SIZE
AGENTS_AT, OBJECTS_AT, RESERVATIONS_AT, MAP_END = TILES, 2 * TILES, 3 * TILES, 4 * TILES
REACH = MAP_SIZE // 2  # tiles that an agent sees in each direction
CENTRE = REACH * MAP_SIZE + REACH

STATE_AT = len(BASE_FEATURES)
KINDS_AT = STATE_AT + len(STATE_FEATURES)
PER_KIND = len(KIND_FEATURES)
PER_NEIGHBOUR = len(NEIGHBOUR_FEATURES)
PROGRESS_AT = BASE_FEATURES.index("episode_progress")
TIME_AT = BASE_FEATURES.index("time_sin")
SHIFT_AT = BASE_FEATURES.index("shift_pre")
LAST_ACTION_AT = STATE_AT + STATE_FEATURES.index("last_action_wait")
WORK_AT = STATE_AT + STATE_FEATURES.index("work_step_x")
OFFSET_SCALE = np.float32(16)  # tiles at which an offset feature reaches one
assert NEIGHBOURS == 3  # _see_others keeps this many

# Agents are looked at in blocks of eight, in float32: what one vector instruction takes.
LANES = 8
CROWD = record(
    [
        ("x", np.float32, (LANES,)),  # where agents stand; FAR if nowhere
        ("y", np.float32, (LANES,)),
        ("held_x", np.float32, (LANES,)),  # where what they hold or use stands; FAR if they do not
        ("held_y", np.float32, (LANES,)),
        ("rank", np.float32, (LANES,)),  # seen from one of them: steps · 256 + index; FAR for nobody
        ("offset_x", np.float32, (LANES,)),  # features of who is looked at from there
        ("offset_y", np.float32, (LANES,)),
        ("tile", np.int32, (LANES,)),  # which tiles of the map they are on
        ("held_tile", np.int32, (LANES,)),
    ]
)
THING = record([("free", np.float32), ("line", np.float32), ("stock", np.float32)])  # an object's features
FAR = np.float32(1e6)  # tiles; more than any rank
RANK_STEP, ROW = np.float32(256), np.float32(MAP_SIZE)
SELF_CENTRE, AGENTS_CENTRE = np.float32(CENTRE), np.float32(AGENTS_AT + CENTRE)
RESERVATIONS_CENTRE = np.float32(RESERVATIONS_AT + CENTRE)


class Sight(NamedTuple):
    """Work space of observation; nothing in it lasts."""

    crowd: np.ndarray  # (B, ceil(A / 8)) CROWD
    things: np.ndarray  # (B, O) THING


def empty_sight(towns: int, agents: int, objects: int) -> Sight:
    """Make the work space of a batch, with nobody in it."""
    crowd = np.zeros((towns, -(-agents // LANES)), CROWD)
    crowd["x"] = crowd["held_x"] = FAR
    return Sight(crowd, np.zeros((towns, objects), THING))


@rule
def observe_town(
    state: TownState,
    params: TownParams,
    b: int,
    sight: Sight,
    maps: np.ndarray,
    features: np.ndarray,
    masks: np.ndarray,
) -> None:
    """Write what every agent of one town sees; zeros, and only `wait`, for those out of town.

    maps: (A, 484) float32 or uint8. features: (A, F) float32. masks: (A, 9) bool.
    """
    angle = 2.0 * math.pi * state.towns[b].clock / params.constants[0].ticks_per_day
    time_sin, time_cos = math.sin(angle), math.cos(angle)
    progress = state.towns[b].tick / params.constants[0].ticks
    prices_at = KINDS_AT + params.kinds.shape[0] * PER_KIND + NEIGHBOURS * PER_NEIGHBOUR
    _place_everybody(state, params, b, sight.crowd[b])
    _show_things(state, b, sight.things[b])
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        for action in range(ACTION_COUNT):
            masks[i, action] = (agent.legal >> action) & 1 == 1
        features[i, :] = 0.0
        maps[i, :] = 0
        if agent.alive:
            _see_things(params, agent.x, agent.y, maps[i])
            _see_others(state, params, b, i, sight.crowd[b], maps[i], features[i])
            _feel_base(state, params, b, i, features[i])
            features[i, TIME_AT], features[i, TIME_AT + 1] = time_sin, time_cos
            features[i, PROGRESS_AT] = progress
            _feel_state(state, params, b, i, features[i])
            _feel_work(state, params, b, i, features[i])
            _feel_kinds(state, params, b, i, sight.things[b], features[i])
            if params.price_spikes.shape[0] > 0:
                _feel_prices(state, params, b, i, features[i], prices_at)
            if params.meetings.shape[0] > 0:
                _feel_meeting(state, params, b, i, features[i])


@rule
def _see_things(params: TownParams, x: int, y: int, out: np.ndarray) -> None:
    """Copy what never moves around the tile, and mark the middle. Row 0 of the map is north."""
    window = params.windows[y, x]
    for tile in range(WINDOW_BYTES):  # the zeros at its end fall into the channel after it, still empty
        out[OBJECTS_AT + tile] = window[tile]
    out[CENTRE] = 1


@rule
def _place_everybody(state: TownState, params: TownParams, b: int, crowd: np.ndarray) -> None:
    """Note where everybody stands and what each one holds or uses. crowd: (ceil(A / 8),) CROWD."""
    for j in range(state.agents.shape[1]):
        agent = state.agents[b, j]
        block, lane = crowd[j // LANES], j % LANES
        block.x[lane] = agent.x if agent.alive else FAR
        block.y[lane] = agent.y
        block.held_x[lane] = FAR
        if agent.role >= HOLDING:
            block.held_x[lane] = params.objects[agent.object].x
            block.held_y[lane] = params.objects[agent.object].y


@rule
def _show_things(state: TownState, b: int, things: np.ndarray) -> None:
    """Work out the features of every object once, for all who see it. things: (O,) THING."""
    for o in range(state.objects.shape[1]):
        thing = state.objects[b, o]
        things[o].free = (thing.user == NOBODY) & (thing.holder == NOBODY)
        line, stock = np.float32(thing.line_length), np.float32(max(thing.stock, 0))
        things[o].line = line / (line + np.float32(2))
        things[o].stock = stock / (stock + np.float32(4))


@rule
def _see_others(
    state: TownState, params: TownParams, b: int, i: int, crowd: np.ndarray, seen: np.ndarray, out: np.ndarray
) -> None:
    """Mark where the others are and what is held or used, and find the nearest three.

    The lowest index comes first at equal distance. Where people stand is anybody's guess, the processor's
    too, so there is no branch, and all lanes of a block are looked at at once.
    """
    first = second = third = FAR  # the three lowest ranks
    for n in range(crowd.shape[0]):
        block = crowd[n]
        _look(
            block, np.float32(n * LANES), np.float32(state.agents[b, i].x), np.float32(state.agents[b, i].y)
        )
        for lane in range(LANES):
            seen[np.uint32(block.tile[lane])] = 1
            seen[np.uint32(block.held_tile[lane])] = 1
            # Sorted in: each place keeps the lower and passes the higher on.
            rank = block.rank[lane]
            passed = max(first, rank)
            first = min(first, rank)
            second, passed = min(second, passed), max(second, passed)
            third = min(third, passed)
    at = KINDS_AT + params.kinds.shape[0] * PER_KIND
    _feel_neighbour(state, b, i, crowd, first, out, at)
    _feel_neighbour(state, b, i, crowd, second, out, at + PER_NEIGHBOUR)
    _feel_neighbour(state, b, i, crowd, third, out, at + 2 * PER_NEIGHBOUR)


@rule
def _look(block: np.record, index: np.float32, x: np.float32, y: np.float32) -> None:
    """Rank the agents of a block, seen from a tile, and note how far and on which tiles of the map they are.

    What is out of sight, and oneself, goes to the middle of the channel `self`, which is marked anyway.
    """
    for lane in range(LANES):
        east, south = block.x[lane] - x, block.y[lane] - y
        block.offset_x[lane] = min(max(east, -OFFSET_SCALE), OFFSET_SCALE) / OFFSET_SCALE
        block.offset_y[lane] = min(max(south, -OFFSET_SCALE), OFFSET_SCALE) / OFFSET_SCALE
        steps = abs(east) + abs(south)
        is_other = steps > 0
        block.rank[lane] = steps * RANK_STEP + (index + np.float32(lane)) if is_other else FAR
        is_seen = is_other & (abs(east) <= REACH) & (abs(south) <= REACH)
        block.tile[lane] = np.int32(south * ROW + east + AGENTS_CENTRE if is_seen else SELF_CENTRE)
        east, south = block.held_x[lane] - x, block.held_y[lane] - y
        is_seen = (abs(east) <= REACH) & (abs(south) <= REACH)
        block.held_tile[lane] = np.int32(south * ROW + east + RESERVATIONS_CENTRE if is_seen else SELF_CENTRE)


@rule
def _feel_neighbour(
    state: TownState, b: int, i: int, crowd: np.ndarray, rank: np.float32, out: np.ndarray, at: int
) -> None:
    if rank >= FAR:
        return
    j = int(rank) % 256
    out[at] = crowd[j // LANES].offset_x[j % LANES]
    out[at + 1] = crowd[j // LANES].offset_y[j % LANES]
    out[at + 2] = state.rivalry[b, i, j]
    out[at + 3] = state.trust[b, i, j]
    out[at + 4] = state.familiarity[b, i, j]


@rule
def _feel_base(state: TownState, params: TownParams, b: int, i: int, out: np.ndarray) -> None:
    constants = params.constants[0]
    agent = state.agents[b, i]
    for need in range(len(NEEDS)):
        out[need] = agent.needs[need]
    at = len(NEEDS)
    out[at] = agent.wallet / (agent.wallet + 10.0)
    if agent.late_ticks > 0:
        out[at + 1] = min(agent.late_ticks / constants.absent_cutoff, 1.0)
    out[at + 2] = own_shift_is_on(state, params, b, i)
    out[at + 5] = _attendance_ratio(state, b, i)
    if agent.wages_withheld > 0.0:
        out[at + 6] = agent.wages_withheld / (agent.wages_withheld + 1.0)
    if params.agents[i].job != NOBODY:
        out[SHIFT_AT + agent.shift_state] = 1.0
    at = SHIFT_AT + len(SHIFT_STATES)
    out[at] = i / state.agents.shape[1]
    out[at + 1] = agent.newcomer
    if state.towns[b].has_rivals:
        rivalry_max = 0.0
        avoided = 0
        for j in range(state.agents.shape[1]):
            rivalry_max = max(rivalry_max, state.rivalry[b, i, j])
            avoided += state.rivalry[b, i, j] >= constants.avoid_threshold
        out[at + 3] = rivalry_max
        out[at + 4] = avoided


@rule
def _attendance_ratio(state: TownState, b: int, i: int) -> float:
    agent = state.agents[b, i]
    known = min(agent.shifts, 3)
    if known == 0:
        return 1.0
    total = 0.0
    for n in range(known):
        total += agent.attendance[n]
    return total / known


@rule
def _feel_state(state: TownState, params: TownParams, b: int, i: int, out: np.ndarray) -> None:
    constants = params.constants[0]
    agent = state.agents[b, i]
    if agent.role == WAITING:
        place = 0
        while state.line[b, agent.object, place] != i:
            place += 1
        out[STATE_AT] = 1.0
        out[STATE_AT + 1] = 1.0 / (1.0 + place)
    out[STATE_AT + 2] = agent.role == HOLDING
    if agent.role == USING:
        duration = params.kinds[params.objects[agent.object].kind].duration_ticks
        if params.kinds[params.objects[agent.object].kind].is_work:
            job = params.jobs[params.agents[i].job]
            duration = job.end_tick - job.start_tick
        out[STATE_AT + 3] = min(agent.progress / duration, 1.0)
    if agent.cooldown_until > state.towns[b].tick:
        out[STATE_AT + 4] = (agent.cooldown_until - state.towns[b].tick) / constants.cooldown_ticks
    if not agent.newcomer:
        out[LAST_ACTION_AT + agent.action] = 1.0
    out[LAST_ACTION_AT + ACTION_COUNT] = agent.success


@rule
def _feel_work(state: TownState, params: TownParams, b: int, i: int, out: np.ndarray) -> None:
    if params.agents[i].job == NOBODY:
        return
    agent = state.agents[b, i]
    job = params.jobs[params.agents[i].job]
    _feel_way(params.ways_to_work[params.agents[i].job, agent.y, agent.x], out, WORK_AT)
    if not own_shift_is_on(state, params, b, i):
        day = params.constants[0].ticks_per_day
        ticks = job.start_tick - state.towns[b].clock
        out[WORK_AT + 3] = (ticks if ticks >= 0 else ticks + day) / day


@rule
def _feel_way(way: np.record, out: np.ndarray, at: int) -> None:
    out[at] = way.step_x
    out[at + 1] = way.step_y
    out[at + 2] = way.distance


@rule
def _feel_kinds(
    state: TownState, params: TownParams, b: int, i: int, things: np.ndarray, out: np.ndarray
) -> None:
    agent = state.agents[b, i]
    ways = params.ways_to_kinds[agent.y, agent.x]
    for k in range(ways.shape[0]):
        way = ways[k]
        if way.object == NOBODY:
            continue
        at = KINDS_AT + k * PER_KIND
        thing = things[np.uint32(way.object)]
        # Everything is read before anything is written, so that the compiler can move it in few pieces.
        step_x, step_y, distance = way.step_x, way.step_y, way.distance
        free, line, stock = thing.free, thing.line, thing.stock
        out[at] = step_x
        out[at + 1] = step_y
        out[at + 2] = distance
        out[at + 3] = free
        out[at + 4] = line
        out[at + 5] = stock


@rule
def _feel_prices(state: TownState, params: TownParams, b: int, i: int, out: np.ndarray, at: int) -> None:
    agent = state.agents[b, i]
    ways = params.ways_to_kinds[agent.y, agent.x]
    for k in range(ways.shape[0]):
        if ways[k].object != NOBODY:
            price = state.objects[b, ways[k].object].price
            out[at + k] = price / (price + 1.0)


@rule
def _feel_meeting(state: TownState, params: TownParams, b: int, i: int, out: np.ndarray) -> None:
    """Describe the next meeting that agent i is invited to, in the last columns."""
    m = next_meeting(state, params, b, i)
    if m == NOBODY:
        return
    agent = state.agents[b, i]
    at = out.shape[0] - len(MEETING_FEATURES)
    _feel_way(params.ways_to_meetings[m, agent.y, agent.x], out, at)
    left = ticks_to_meeting(state, params, b, m)
    out[at + 3] = left == 0
    out[at + 4] = min(left / params.constants[0].ticks_per_day, 1.0)
