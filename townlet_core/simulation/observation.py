"""Rule: Observation (docs/data.md#observations). What an agent sees, written in place."""

from __future__ import annotations

import math

import numpy as np

from townlet_core.simulation.compiled import rule
from townlet_core.simulation.constants import WINDOW_BYTES, TownRules
from townlet_core.simulation.employment import own_shift_is_on
from townlet_core.simulation.meetings import next_meeting, ticks_to_meeting
from townlet_core.simulation.state import HOLDING, NOBODY, USING, WAITING, TownState
from townlet_core.vocab import (
    ACTION_COUNT,
    BASE_FEATURES,
    KIND_FEATURES,
    MAP_SIZE,
    MEETING_FEATURES,
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
OFFSET_SCALE = 16  # tiles at which an offset feature reaches one
_NO_RANK = 1 << 30
BEYOND = REACH + 1  # out of sight
assert NEIGHBOURS == 3  # _see_others keeps this many


@rule
def observe_town(
    state: TownState, rules: TownRules, b: int, maps: np.ndarray, features: np.ndarray, masks: np.ndarray
) -> None:
    """Write what every agent of one town sees; zeros, and only `wait`, for those out of town.

    maps: (A, 484) float32 or uint8. features: (A, F) float32. masks: (A, 9) bool.
    """
    angle = 2.0 * math.pi * state.towns[b].clock / rules.constants[0].ticks_per_day
    time_sin, time_cos = math.sin(angle), math.cos(angle)
    progress = state.towns[b].tick / rules.constants[0].ticks
    prices_at = KINDS_AT + rules.kinds.shape[0] * PER_KIND + NEIGHBOURS * PER_NEIGHBOUR
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        for action in range(ACTION_COUNT):
            masks[i, action] = (agent.legal >> action) & 1 == 1
        features[i, :] = 0.0
        maps[i, :] = 0
        if agent.alive:
            _see_things(rules, agent.x, agent.y, maps[i])
            _see_others(state, rules, b, i, maps[i], features[i])
            _feel_base(state, rules, b, i, features[i])
            features[i, TIME_AT], features[i, TIME_AT + 1] = time_sin, time_cos
            features[i, PROGRESS_AT] = progress
            _feel_state(state, rules, b, i, features[i])
            _feel_work(state, rules, b, i, features[i])
            _feel_kinds(state, rules, b, i, features[i])
            if rules.price_spikes.shape[0] > 0:
                _feel_prices(state, rules, b, i, features[i], prices_at)
            if rules.meetings.shape[0] > 0:
                _feel_meeting(state, rules, b, i, features[i])


@rule
def _see_things(rules: TownRules, x: int, y: int, out: np.ndarray) -> None:
    """Copy what never moves around the tile, and mark the middle. Row 0 of the map is north."""
    window = rules.windows[y, x]
    for tile in range(WINDOW_BYTES):  # the zeros at its end fall into the channel after it, still empty
        out[OBJECTS_AT + tile] = window[tile]
    out[CENTRE] = 1


@rule
def _see_others(
    state: TownState, rules: TownRules, b: int, i: int, seen: np.ndarray, out: np.ndarray
) -> None:
    """Mark where the others are and what is held or used, and find the nearest three.

    The lowest index comes first at equal distance.
    """
    x, y = state.agents[b, i].x, state.agents[b, i].y
    first = second = third = _NO_RANK  # the three lowest ranks: distance · 256 + index
    for j in range(state.agents.shape[1]):
        other = state.agents[b, j]
        if other.role >= HOLDING:
            thing = rules.objects[other.object]
            _mark(seen, RESERVATIONS_AT, thing.x - x, thing.y - y)
        east, south = other.x - x, other.y - y
        rank = (abs(east) + abs(south)) * 256 + j
        if j == i or not other.alive:
            east, rank = BEYOND, _NO_RANK
        _mark(seen, AGENTS_AT, east, south)
        # Sorted in without a branch: each place keeps the lower and passes the higher on.
        passed = max(first, rank)
        first = min(first, rank)
        second, passed = min(second, passed), max(second, passed)
        third = min(third, passed)
    at = KINDS_AT + rules.kinds.shape[0] * PER_KIND
    _feel_neighbour(state, b, i, first, out, at)
    _feel_neighbour(state, b, i, second, out, at + PER_NEIGHBOUR)
    _feel_neighbour(state, b, i, third, out, at + 2 * PER_NEIGHBOUR)


@rule
def _mark(out: np.ndarray, channel: int, east: int, south: int) -> None:
    """Set the tile of a channel that lies so far east and south of the middle, if it is in the window.

    Where others stand is anybody's guess, the processor's too, so there is no branch: what is out of sight
    sets the middle of the channel `self`, which is set anyway.
    """
    is_seen = (abs(east) <= REACH) & (abs(south) <= REACH)
    out[channel + CENTRE + south * MAP_SIZE + east if is_seen else CENTRE] = 1


@rule
def _feel_neighbour(state: TownState, b: int, i: int, rank: int, out: np.ndarray, at: int) -> None:
    if rank == _NO_RANK:
        return
    j = rank & 255
    agent, other = state.agents[b, i], state.agents[b, j]
    out[at] = min(max(other.x - agent.x, -OFFSET_SCALE), OFFSET_SCALE) / OFFSET_SCALE
    out[at + 1] = min(max(other.y - agent.y, -OFFSET_SCALE), OFFSET_SCALE) / OFFSET_SCALE
    out[at + 2] = state.rivalry[b, i, j]
    out[at + 3] = state.trust[b, i, j]
    out[at + 4] = state.familiarity[b, i, j]


@rule
def _feel_base(state: TownState, rules: TownRules, b: int, i: int, out: np.ndarray) -> None:
    constants = rules.constants[0]
    agent = state.agents[b, i]
    rivalry_max = 0.0
    avoided = 0
    for j in range(state.agents.shape[1]):
        rivalry_max = max(rivalry_max, state.rivalry[b, i, j])
        avoided += j != i and state.rivalry[b, i, j] >= constants.avoid_threshold
    out[0] = agent.hunger
    out[1] = agent.hygiene
    out[2] = agent.energy
    out[3] = agent.wallet / (agent.wallet + 10.0)
    if agent.late_ticks > 0:
        out[4] = min(agent.late_ticks / constants.absent_cutoff, 1.0)
    out[5] = own_shift_is_on(state, rules, b, i)
    out[8] = _attendance_ratio(state, b, i)
    if agent.wages_withheld > 0.0:
        out[9] = agent.wages_withheld / (agent.wages_withheld + 1.0)
    if rules.agents[i].job != NOBODY:
        out[SHIFT_AT + agent.shift_state] = 1.0
    at = SHIFT_AT + len(SHIFT_STATES)
    out[at] = i / state.agents.shape[1]
    out[at + 1] = agent.newcomer
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
def _feel_state(state: TownState, rules: TownRules, b: int, i: int, out: np.ndarray) -> None:
    constants = rules.constants[0]
    agent = state.agents[b, i]
    if agent.role == WAITING:
        place = 0
        while state.line[b, agent.object, place] != i:
            place += 1
        out[STATE_AT] = 1.0
        out[STATE_AT + 1] = 1.0 / (1.0 + place)
    out[STATE_AT + 2] = agent.role == HOLDING
    if agent.role == USING:
        duration = rules.kinds[rules.objects[agent.object].kind].duration_ticks
        if rules.kinds[rules.objects[agent.object].kind].is_work:
            job = rules.jobs[rules.agents[i].job]
            duration = job.end_tick - job.start_tick
        out[STATE_AT + 3] = min(agent.progress / duration, 1.0)
    if agent.cooldown_until > state.towns[b].tick:
        out[STATE_AT + 4] = (agent.cooldown_until - state.towns[b].tick) / constants.cooldown_ticks
    if not agent.newcomer:
        out[LAST_ACTION_AT + agent.action] = 1.0
    out[LAST_ACTION_AT + ACTION_COUNT] = agent.success


@rule
def _feel_work(state: TownState, rules: TownRules, b: int, i: int, out: np.ndarray) -> None:
    if rules.agents[i].job == NOBODY:
        return
    agent = state.agents[b, i]
    job = rules.jobs[rules.agents[i].job]
    _feel_way(rules.ways_to_work[rules.agents[i].job, agent.y, agent.x], out, WORK_AT)
    if not own_shift_is_on(state, rules, b, i):
        day = rules.constants[0].ticks_per_day
        ticks = job.start_tick - state.towns[b].clock
        out[WORK_AT + 3] = (ticks if ticks >= 0 else ticks + day) / day


@rule
def _feel_way(way: np.record, out: np.ndarray, at: int) -> None:
    out[at] = way.step_x
    out[at + 1] = way.step_y
    out[at + 2] = way.distance


@rule
def _feel_kinds(state: TownState, rules: TownRules, b: int, i: int, out: np.ndarray) -> None:
    agent = state.agents[b, i]
    ways = rules.ways_to_kinds[agent.y, agent.x]
    for k in range(ways.shape[0]):
        way = ways[k]
        if way.object == NOBODY:
            continue
        at = KINDS_AT + k * PER_KIND
        thing = state.objects[b, way.object]
        _feel_way(way, out, at)
        out[at + 3] = (thing.user == NOBODY) & (thing.holder == NOBODY)
        if thing.line_length > 0:
            out[at + 4] = thing.line_length / (thing.line_length + 2.0)
        if thing.stock > 0:
            out[at + 5] = thing.stock / (thing.stock + 4.0)


@rule
def _feel_prices(state: TownState, rules: TownRules, b: int, i: int, out: np.ndarray, at: int) -> None:
    agent = state.agents[b, i]
    ways = rules.ways_to_kinds[agent.y, agent.x]
    for k in range(ways.shape[0]):
        if ways[k].object != NOBODY:
            price = state.objects[b, ways[k].object].price
            out[at + k] = price / (price + 1.0)


@rule
def _feel_meeting(state: TownState, rules: TownRules, b: int, i: int, out: np.ndarray) -> None:
    """Describe the next meeting that agent i is invited to, in the last columns."""
    m = next_meeting(state, rules, b, i)
    if m == NOBODY:
        return
    agent = state.agents[b, i]
    at = out.shape[0] - len(MEETING_FEATURES)
    _feel_way(rules.ways_to_meetings[m, agent.y, agent.x], out, at)
    left = ticks_to_meeting(state, rules, b, m)
    out[at + 3] = left == 0
    out[at + 4] = min(left / rules.constants[0].ticks_per_day, 1.0)
