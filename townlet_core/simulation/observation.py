"""Rule: Observation (docs/data.md#observations). What an agent sees, written in place."""

from __future__ import annotations

import math

import numpy as np

from townlet_core.simulation.compiled import rule
from townlet_core.simulation.constants import TownRules
from townlet_core.simulation.employment import own_shift_is_on, time_of_day
from townlet_core.simulation.meetings import feel_perturbations
from townlet_core.simulation.paths import STEP_X, STEP_Y, next_step
from townlet_core.simulation.state import (
    BUSY,
    HOLDING,
    NOBODY,
    OBJECT,
    OCCUPANT,
    USING,
    WAITING,
    WALL,
    TownState,
)
from townlet_core.vocab import (
    ACTION_COUNT,
    BASE_FEATURES,
    KIND_FEATURES,
    MAP_SIZE,
    NEIGHBOUR_FEATURES,
    NEIGHBOURS,
    SHIFT_STATES,
    STATE_FEATURES,
)

STATE_AT = len(BASE_FEATURES)
KINDS_AT = STATE_AT + len(STATE_FEATURES)
PER_KIND = len(KIND_FEATURES)
PER_NEIGHBOUR = len(NEIGHBOUR_FEATURES)
SHIFT_AT = BASE_FEATURES.index("shift_pre")
LAST_ACTION_AT = STATE_AT + STATE_FEATURES.index("last_action_wait")
WORK_AT = STATE_AT + STATE_FEATURES.index("work_step_x")
DISTANCE_SCALE = 8.0  # steps at which a distance feature reaches one half
OFFSET_SCALE = 16.0  # tiles at which an offset feature reaches one
_NO_RANK = 1 << 30
assert NEIGHBOURS == 3  # _feel_neighbours keeps this many


@rule
def observe_town(
    state: TownState, rules: TownRules, b: int, maps: np.ndarray, features: np.ndarray, masks: np.ndarray
) -> None:
    """Write what every agent of one town sees; zeros, and only `wait`, for those out of town.

    maps: (A, 4, 11, 11) float32 or uint8. features: (A, F) float32. masks: (A, 9) bool.
    """
    for i in range(state.agents.shape[1]):
        agent = state.agents[b, i]
        for action in range(ACTION_COUNT):
            masks[i, action] = (agent.legal >> action) & 1 == 1
        features[i, :] = 0.0
        if agent.alive:
            _see_map(state, b, i, maps[i])
            _feel_base(state, rules, b, i, features[i])
            _feel_state(state, rules, b, i, features[i])
            _feel_work(state, rules, b, i, features[i])
            _feel_kinds(state, rules, b, i, features[i])
            own = KINDS_AT + rules.kinds.shape[0] * PER_KIND + NEIGHBOURS * PER_NEIGHBOUR
            _feel_neighbours(state, b, i, features[i, :own])
            if own < features.shape[1]:
                feel_perturbations(state, rules, b, i, features[i, own:])
        else:
            maps[i] = 0


@rule
def _see_map(state: TownState, b: int, i: int, out: np.ndarray) -> None:
    """Unpack the window around agent i; row 0 is north of it, and the agent itself is in the middle.

    Most tiles are empty, so the map is cleared at once and only what stands there is written.
    """
    agent = state.agents[b, i]
    x, y = agent.x, agent.y
    out[:] = 0
    for row in range(MAP_SIZE):
        cells = state.cell[b, y + row, x : x + MAP_SIZE]
        for column in range(MAP_SIZE):
            cell = cells[column]
            if cell != 0:
                out[1, row, column] = cell & OCCUPANT != 0
                out[2, row, column] = cell & (OBJECT | WALL) != 0
                out[3, row, column] = cell & BUSY != 0
    out[0, MAP_SIZE // 2, MAP_SIZE // 2] = 1
    out[1, MAP_SIZE // 2, MAP_SIZE // 2] = 0


@rule
def _feel_base(state: TownState, rules: TownRules, b: int, i: int, out: np.ndarray) -> None:
    constants = rules.constants[0]
    agent = state.agents[b, i]
    angle = 2.0 * math.pi * time_of_day(state, rules, b) / constants.ticks_per_day
    rivalry_max = 0.0
    avoided = 0
    for j in range(state.agents.shape[1]):
        rivalry_max = max(rivalry_max, state.rivalry[b, i, j])
        avoided += j != i and state.rivalry[b, i, j] >= constants.avoid_threshold
    out[0] = agent.hunger
    out[1] = agent.hygiene
    out[2] = agent.energy
    out[3] = agent.wallet / (agent.wallet + 10.0)
    if constants.absent_cutoff > 0:
        out[4] = min(agent.late_ticks / constants.absent_cutoff, 1.0)
    out[5] = own_shift_is_on(state, rules, b, i)
    out[6] = math.sin(angle)
    out[7] = math.cos(angle)
    out[8] = _attendance_ratio(state, b, i)
    out[9] = agent.wages_withheld / (agent.wages_withheld + 1.0)
    if rules.agents[i].job != NOBODY:
        out[SHIFT_AT + agent.shift_state] = 1.0
    at = SHIFT_AT + len(SHIFT_STATES)
    out[at] = i / state.agents.shape[1]
    out[at + 1] = agent.newcomer
    out[at + 2] = state.towns[b].tick / constants.ticks
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
    if constants.cooldown_ticks > 0:
        longest = 0
        for o in range(state.objects.shape[1]):
            longest = max(longest, state.cooldown[b, o, i] - state.towns[b].tick)
        out[STATE_AT + 4] = longest / constants.cooldown_ticks
    if not agent.newcomer:
        out[LAST_ACTION_AT + agent.action] = 1.0
    out[LAST_ACTION_AT + ACTION_COUNT] = agent.success


@rule
def _feel_work(state: TownState, rules: TownRules, b: int, i: int, out: np.ndarray) -> None:
    if rules.agents[i].job == NOBODY:
        return
    agent = state.agents[b, i]
    job = rules.jobs[rules.agents[i].job]
    _feel_way(rules.distance[job.workplace], agent.x, agent.y, out[WORK_AT : WORK_AT + 3])
    if not own_shift_is_on(state, rules, b, i):
        day = rules.constants[0].ticks_per_day
        out[WORK_AT + 3] = ((job.start_tick - time_of_day(state, rules, b)) % day) / day


@rule
def _feel_way(field: np.ndarray, x: int, y: int, out: np.ndarray) -> None:
    """Write step_x, step_y and distance of the shortest way; zeros where there is none."""
    d = next_step(field, x, y)
    if d >= 0:
        out[0] = STEP_X[d]
        out[1] = STEP_Y[d]
        out[2] = field[y, x] / (field[y, x] + DISTANCE_SCALE)


@rule
def _feel_kinds(state: TownState, rules: TownRules, b: int, i: int, out: np.ndarray) -> None:
    agent = state.agents[b, i]
    for k in range(rules.kinds.shape[0]):
        o = rules.nearest[agent.y, agent.x, k]
        if o == NOBODY:
            continue
        at = KINDS_AT + k * PER_KIND
        thing = state.objects[b, o]
        _feel_way(rules.distance[o], agent.x, agent.y, out[at : at + 3])
        out[at + 3] = thing.user == NOBODY and thing.holder == NOBODY
        out[at + 4] = thing.line_length / (thing.line_length + 2.0)
        out[at + 5] = max(thing.stock, 0) / (max(thing.stock, 0) + 4.0)


@rule
def _feel_neighbours(state: TownState, b: int, i: int, out: np.ndarray) -> None:
    """Describe the nearest others, the lowest index first at equal distance."""
    agent = state.agents[b, i]
    first = second = third = _NO_RANK  # the three lowest ranks: distance · 256 + index
    for j in range(state.agents.shape[1]):
        other = state.agents[b, j]
        rank = (abs(other.x - agent.x) + abs(other.y - agent.y)) * 256 + j
        if j == i or not other.alive:
            rank = _NO_RANK
        # Sorted in without a branch: each place keeps the lower and passes the higher on.
        passed = max(first, rank)
        first = min(first, rank)
        second, passed = min(second, passed), max(second, passed)
        third = min(third, passed)
    at = out.shape[0] - NEIGHBOURS * PER_NEIGHBOUR
    for n in range(NEIGHBOURS):
        rank = first if n == 0 else second if n == 1 else third
        if rank == _NO_RANK:
            return
        j = rank % 256
        other = state.agents[b, j]
        out[at] = min(max((other.x - agent.x) / OFFSET_SCALE, -1.0), 1.0)
        out[at + 1] = min(max((other.y - agent.y) / OFFSET_SCALE, -1.0), 1.0)
        out[at + 2] = state.rivalry[b, i, j]
        out[at + 3] = state.trust[b, i, j]
        out[at + 4] = state.familiarity[b, i, j]
        at += PER_NEIGHBOUR
