"""Rule: Observation (docs/data.md#observations). Writes map, features and action mask in place."""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.params import WINDOW_BYTES, TownParams
from townlet_core.simulation.rules.employment import own_shift_is_on
from townlet_core.simulation.rules.meetings import next_meeting, ticks_to_meeting
from townlet_core.simulation.state import HOLDING, NOBODY, USING, WAITING, TownState, record
from townlet_core.vocab import (
    ACTION_COUNT,
    KIND_FEATURES,
    LINE_SCALE,
    MAP_SIZE,
    MEETING_FEATURES,
    NEEDS,
    NEIGHBOUR_FEATURES,
    NEIGHBOURS,
    OFFSET_SCALE,
    OWN_FEATURES,
    PRICE_FEATURES,
    PRICE_SCALE,
    STOCK_SCALE,
    WAGES_SCALE,
    WALLET_SCALE,
    Feature,
)

# Where the four channels of the map begin, in a row of 484 tiles.
TILES = MAP_SIZE * MAP_SIZE
AGENTS_AT, OBJECTS_AT, RESERVATIONS_AT, MAP_END = TILES, 2 * TILES, 3 * TILES, 4 * TILES
REACH = MAP_SIZE // 2  # tiles that an agent sees in each direction
CENTRE = REACH * MAP_SIZE + REACH


def columns(rows: tuple[Feature, ...]) -> Any:
    """Return the column of each row, by its name, as attributes that compiled rules read as constants."""
    names = [row.name for row in rows]
    return namedtuple("Columns", names)(*range(len(names)))


OWN, KIND, NEIGHBOUR = columns(OWN_FEATURES), columns(KIND_FEATURES), columns(NEIGHBOUR_FEATURES)
PRICE, MEETING = columns(PRICE_FEATURES), columns(MEETING_FEATURES)
KINDS_AT = len(OWN)
NEEDS_AT = getattr(OWN, f"need_{NEEDS[0]}")  # of the first need; the others follow in their order
PER_KIND, PER_NEIGHBOUR, PER_PRICE, PER_MEETING = len(KIND), len(NEIGHBOUR), len(PRICE), len(MEETING)
FARTHEST = np.float32(OFFSET_SCALE)  # tiles; farther offsets are clipped to it
assert NEIGHBOURS == 3  # _draw_agents keeps this many

# Agents are processed in blocks of eight, in float32: the width of one vector instruction.
LANES = 8
AGENT_BLOCK = record(
    [
        ("x", np.float32, (LANES,)),  # tiles of the agents; FAR for agents out of town
        ("y", np.float32, (LANES,)),
        ("held_x", np.float32, (LANES,)),  # tiles of the objects they hold or use; FAR for none
        ("held_y", np.float32, (LANES,)),
        ("rank", np.float32, (LANES,)),  # distance to the observer · 256 + index; FAR for none
        ("offset_x", np.float32, (LANES,)),  # features of a neighbour of the observer
        ("offset_y", np.float32, (LANES,)),
        ("tile", np.int32, (LANES,)),  # index of their tile in the observer's map
        ("held_tile", np.int32, (LANES,)),
    ]
)
OBJECT_FEATURES = record(
    [("free", np.float32), ("line", np.float32), ("stock", np.float32)]
)  # an object's features
FAR = np.float32(1e6)  # tiles; more than any rank
RANK_STEP, ROW = np.float32(256), np.float32(MAP_SIZE)
SELF_CENTRE, AGENTS_CENTRE = np.float32(CENTRE), np.float32(AGENTS_AT + CENTRE)
RESERVATIONS_CENTRE = np.float32(RESERVATIONS_AT + CENTRE)


class ObservationWorkspace(NamedTuple):
    """Scratch arrays of one call; nothing in them is kept."""

    blocks: np.ndarray  # (B, ceil(A / 8)) AGENT_BLOCK
    objects: np.ndarray  # (B, O) OBJECT_FEATURES


def allocate_workspace(towns: int, agents: int, objects: int) -> ObservationWorkspace:
    """Allocate the scratch arrays of a batch, without agents."""
    blocks = np.zeros((towns, -(-agents // LANES)), AGENT_BLOCK)
    blocks["x"] = blocks["held_x"] = FAR
    return ObservationWorkspace(blocks, np.zeros((towns, objects), OBJECT_FEATURES))


@rule
def observe_town(
    state: TownState,
    params: TownParams,
    b: int,
    workspace: ObservationWorkspace,
    maps: np.ndarray,
    features: np.ndarray,
    masks: np.ndarray,
) -> None:
    """Write the observation of every agent of one town: for agents out of town zeros, and only `wait`.

    maps: (A, 484) float32 or uint8. features: (A, F) float32. masks: (A, 9) bool.
    """
    angle = 2.0 * math.pi * state.towns[b].clock / params.constants[0].ticks_per_day
    time_sin, time_cos = math.sin(angle), math.cos(angle)
    progress = state.towns[b].tick / params.constants[0].ticks
    prices_at = KINDS_AT + params.kinds.shape[0] * PER_KIND + NEIGHBOURS * PER_NEIGHBOUR
    _locate_agents(state, params, b, workspace.blocks[b])
    _compute_object_features(state, b, workspace.objects[b])
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        for action in range(ACTION_COUNT):
            masks[i, action] = (agent.legal >> action) & 1 == 1
        features[i, :] = 0.0
        maps[i, :] = 0
        if agent.alive:
            _draw_objects(params, agent.x, agent.y, maps[i])
            _draw_agents(state, params, b, i, workspace.blocks[b], maps[i], features[i])
            _write_base(state, params, b, i, time_sin, time_cos, progress, features[i])
            _write_activity(state, params, b, i, features[i])
            _write_work(state, params, b, i, features[i])
            _write_kinds(state, params, b, i, workspace.objects[b], features[i])
            if params.price_spikes.shape[0] > 0:
                _write_prices(state, params, b, i, features[i], prices_at)
            if params.meetings.shape[0] > 0:
                _write_meeting(state, params, b, i, features[i])


@rule
def _draw_objects(params: TownParams, x: int, y: int, out: np.ndarray) -> None:
    """Copy the window of objects and walls around the tile, and mark the centre. Row 0 is north."""
    window = params.windows[y, x]
    for tile in range(WINDOW_BYTES):  # its zero padding ends in the next channel, still empty
        out[OBJECTS_AT + tile] = window[tile]
    out[CENTRE] = 1


@rule
def _locate_agents(state: TownState, params: TownParams, b: int, blocks: np.ndarray) -> None:
    """Note the tile of every agent and of the object it holds or uses. blocks: (ceil(A / 8),) AGENT_BLOCK."""
    for j in range(state.agents.shape[1]):
        agent = state.agents[b, j]
        block, lane = blocks[j // LANES], j % LANES
        block.x[lane] = agent.x if agent.alive else FAR
        block.y[lane] = agent.y
        block.held_x[lane] = FAR
        if agent.role >= HOLDING:
            block.held_x[lane] = params.objects[agent.object].x
            block.held_y[lane] = params.objects[agent.object].y


@rule
def _compute_object_features(state: TownState, b: int, objects: np.ndarray) -> None:
    """Compute the features of every object once for all observers. objects: (O,) OBJECT_FEATURES."""
    for o in range(state.objects.shape[1]):
        obj = state.objects[b, o]
        objects[o].free = (obj.user == NOBODY) & (obj.holder == NOBODY)
        line, stock = np.float32(obj.line_length), np.float32(max(obj.stock, 0))
        objects[o].line = line / (line + np.float32(LINE_SCALE))
        objects[o].stock = stock / (stock + np.float32(STOCK_SCALE))


@rule
def _draw_agents(
    state: TownState,
    params: TownParams,
    b: int,
    i: int,
    blocks: np.ndarray,
    seen: np.ndarray,
    out: np.ndarray,
) -> None:
    """Mark the other agents and the objects held or used, and write the features of the nearest three.

    At equal distance the lowest index comes first. Branches on positions would be mispredicted, so there are
    none, and all lanes of a block are processed at once.
    """
    first = second = third = FAR  # the three lowest ranks
    for n in range(blocks.shape[0]):
        block = blocks[n]
        _rank_block(
            block, np.float32(n * LANES), np.float32(state.agents[b, i].x), np.float32(state.agents[b, i].y)
        )
        for lane in range(LANES):
            seen[np.uint32(block.tile[lane])] = 1
            seen[np.uint32(block.held_tile[lane])] = 1
            # Insertion sort: each place keeps the lower rank and passes the higher on.
            rank = block.rank[lane]
            passed = max(first, rank)
            first = min(first, rank)
            second, passed = min(second, passed), max(second, passed)
            third = min(third, passed)
    at = KINDS_AT + params.kinds.shape[0] * PER_KIND
    _write_neighbour(state, b, i, blocks, first, out, at)
    _write_neighbour(state, b, i, blocks, second, out, at + PER_NEIGHBOUR)
    _write_neighbour(state, b, i, blocks, third, out, at + 2 * PER_NEIGHBOUR)


@rule
def _rank_block(block: np.record, index: np.float32, x: np.float32, y: np.float32) -> None:
    """Compute rank, offset and map tile of each agent of a block, relative to the observer at (x, y).

    Tiles outside the window, and the observer's own, become the centre of the channel `self`, marked anyway.
    """
    for lane in range(LANES):
        east, south = block.x[lane] - x, block.y[lane] - y
        block.offset_x[lane] = min(max(east, -FARTHEST), FARTHEST) / FARTHEST
        block.offset_y[lane] = min(max(south, -FARTHEST), FARTHEST) / FARTHEST
        steps = abs(east) + abs(south)
        is_other = steps > 0
        block.rank[lane] = steps * RANK_STEP + (index + np.float32(lane)) if is_other else FAR
        is_seen = is_other & (abs(east) <= REACH) & (abs(south) <= REACH)
        block.tile[lane] = np.int32(south * ROW + east + AGENTS_CENTRE if is_seen else SELF_CENTRE)
        east, south = block.held_x[lane] - x, block.held_y[lane] - y
        is_seen = (abs(east) <= REACH) & (abs(south) <= REACH)
        block.held_tile[lane] = np.int32(south * ROW + east + RESERVATIONS_CENTRE if is_seen else SELF_CENTRE)


@rule
def _write_neighbour(
    state: TownState, b: int, i: int, blocks: np.ndarray, rank: np.float32, out: np.ndarray, at: int
) -> None:
    if rank >= FAR:
        return
    j = int(rank) % 256
    out[at + NEIGHBOUR.offset_x] = blocks[j // LANES].offset_x[j % LANES]
    out[at + NEIGHBOUR.offset_y] = blocks[j // LANES].offset_y[j % LANES]
    out[at + NEIGHBOUR.rivalry] = state.rivalry[b, i, j]
    out[at + NEIGHBOUR.trust] = state.trust[b, i, j]
    out[at + NEIGHBOUR.familiarity] = state.familiarity[b, i, j]


@rule
def _write_base(
    state: TownState,
    params: TownParams,
    b: int,
    i: int,
    time_sin: float,
    time_cos: float,
    progress: float,
    out: np.ndarray,
) -> None:
    constants = params.constants[0]
    agent = state.agents[b, i]
    for need in range(len(NEEDS)):
        out[NEEDS_AT + need] = agent.needs[need]
    out[OWN.wallet] = agent.wallet / (agent.wallet + WALLET_SCALE)
    if agent.late_ticks > 0:
        out[OWN.lateness_counter] = min(agent.late_ticks / constants.absent_cutoff, 1.0)
    out[OWN.on_shift] = own_shift_is_on(state, params, b, i)
    out[OWN.time_sin], out[OWN.time_cos] = time_sin, time_cos
    out[OWN.attendance_ratio] = _attendance_ratio(state, b, i)
    if agent.wages_withheld > 0.0:
        out[OWN.wages_withheld] = agent.wages_withheld / (agent.wages_withheld + WAGES_SCALE)
    if params.agents[i].job != NOBODY:
        out[OWN.shift_pre + agent.shift_state] = 1.0
    out[OWN.embedding_slot_norm] = i / state.agents.shape[1]
    out[OWN.ctx_reset_flag] = agent.newcomer
    out[OWN.episode_progress] = progress
    if state.towns[b].has_rivals:
        rivalry_max = 0.0
        avoided = 0
        for j in range(state.agents.shape[1]):
            rivalry_max = max(rivalry_max, state.rivalry[b, i, j])
            avoided += state.rivalry[b, i, j] >= constants.avoid_threshold
        out[OWN.rivalry_max] = rivalry_max
        out[OWN.rivalry_avoid_count] = avoided


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
def _write_activity(state: TownState, params: TownParams, b: int, i: int, out: np.ndarray) -> None:
    constants = params.constants[0]
    agent = state.agents[b, i]
    if agent.role == WAITING:
        place = 0
        while state.line[b, agent.object, place] != i:
            place += 1
        out[OWN.in_queue] = 1.0
        out[OWN.queue_position] = 1.0 / (1.0 + place)
    out[OWN.holds_reservation] = agent.role == HOLDING
    if agent.role == USING:
        duration = params.kinds[params.objects[agent.object].kind].duration_ticks
        if params.kinds[params.objects[agent.object].kind].is_work:
            job = params.jobs[params.agents[i].job]
            duration = job.end_tick - job.start_tick
        out[OWN.using_progress] = min(agent.progress / duration, 1.0)
    if agent.cooldown_until > state.towns[b].tick:
        ticks = agent.cooldown_until - state.towns[b].tick
        out[OWN.cooldown_left] = ticks / constants.cooldown_ticks
    if not agent.newcomer:
        out[OWN.last_action_wait + agent.action] = 1.0
    out[OWN.last_action_success] = agent.success


@rule
def _write_work(state: TownState, params: TownParams, b: int, i: int, out: np.ndarray) -> None:
    if params.agents[i].job == NOBODY:
        return
    agent = state.agents[b, i]
    job = params.jobs[params.agents[i].job]
    way = params.ways_to_work[params.agents[i].job, agent.y, agent.x]
    out[OWN.work_step_x] = way.step_x
    out[OWN.work_step_y] = way.step_y
    out[OWN.work_distance] = way.distance
    if not own_shift_is_on(state, params, b, i):
        day = params.constants[0].ticks_per_day
        ticks = job.start_tick - state.towns[b].clock
        out[OWN.ticks_to_shift] = (ticks if ticks >= 0 else ticks + day) / day


@rule
def _write_kinds(
    state: TownState, params: TownParams, b: int, i: int, objects: np.ndarray, out: np.ndarray
) -> None:
    agent = state.agents[b, i]
    ways = params.ways_to_kinds[agent.y, agent.x]
    for k in range(ways.shape[0]):
        way = ways[k]
        if way.object == NOBODY:
            continue
        at = KINDS_AT + k * PER_KIND
        obj = objects[np.uint32(way.object)]
        # All reads come before all writes, so that the compiler can use wide moves.
        step_x, step_y, distance = way.step_x, way.step_y, way.distance
        free, line, stock = obj.free, obj.line, obj.stock
        out[at + KIND.step_x] = step_x
        out[at + KIND.step_y] = step_y
        out[at + KIND.distance] = distance
        out[at + KIND.free] = free
        out[at + KIND.queue_length] = line
        out[at + KIND.stock] = stock


@rule
def _write_prices(state: TownState, params: TownParams, b: int, i: int, out: np.ndarray, at: int) -> None:
    agent = state.agents[b, i]
    ways = params.ways_to_kinds[agent.y, agent.x]
    for k in range(ways.shape[0]):
        if ways[k].object != NOBODY:
            price = state.objects[b, ways[k].object].price
            out[at + k * PER_PRICE + PRICE.price] = price / (price + PRICE_SCALE)


@rule
def _write_meeting(state: TownState, params: TownParams, b: int, i: int, out: np.ndarray) -> None:
    """Write the features of the next meeting that agent i is invited to, in the last columns."""
    m = next_meeting(state, params, b, i)
    if m == NOBODY:
        return
    agent = state.agents[b, i]
    at = out.shape[0] - PER_MEETING
    way = params.ways_to_meetings[m, agent.y, agent.x]
    out[at + MEETING.meeting_step_x] = way.step_x
    out[at + MEETING.meeting_step_y] = way.step_y
    out[at + MEETING.meeting_distance] = way.distance
    left = ticks_to_meeting(state, params, b, m)
    out[at + MEETING.meeting_is_on] = left == 0
    out[at + MEETING.ticks_to_meeting] = min(left / params.constants[0].ticks_per_day, 1.0)
