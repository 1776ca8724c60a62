"""A scenario as arrays: every constant that a rule reads, shared by all towns of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from townlet_core.scenario.model import Meeting, Perturbation, Scenario
from townlet_core.scenario.once_per_need import per_need
from townlet_core.scenario.rules import Rewards, Rules
from townlet_core.simulation.pathfinding import NOWHERE, distances_to, ways_along, ways_to_kinds
from townlet_core.simulation.state import BORDER, EMPTY, NOBODY, OBJECT_CELL, WALL, record
from townlet_core.vocab import EVENTS, MAP_SIZE, NEEDS, UTILITIES, VITAL_NEEDS

WINDOW_BYTES = 128  # a window's 121 tiles, and zeros up to whole cache lines: copied without a remainder
assert WINDOW_BYTES >= MAP_SIZE * MAP_SIZE


# Keys that each need has, and the threshold of vital needs: arrays over the needs in CONSTANTS.
_OF_A_NEED = {"faint_threshold", *(f"{need}_{word}" for need in NEEDS for word in ("decay", "deficit"))}


def _numbers(block: type[BaseModel]) -> list[tuple]:
    """Lay out a block of the scenario model, groups flattened; names are unique across groups."""
    fields: list[tuple] = []
    for name, field in block.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            fields += _numbers(field.annotation)
        elif name not in _OF_A_NEED:
            fields.append((name, np.float64 if field.annotation is float else np.int64))
    return fields


# Every number of `rules` and `rewards` by its name in the file; null is -1.
CONSTANTS = record(
    [
        ("ticks", np.int64),
        *_numbers(Rules),
        *_numbers(Rewards),
        ("need_decay", np.float64, (len(NEEDS),)),
        ("need_deficit", np.float64, (len(NEEDS),)),  # weights
        ("faint_threshold", np.float64, (len(NEEDS),)),  # -1, out of reach, for a need that is not vital
    ]
)

KIND = record(
    [
        ("duration_ticks", np.int32),
        ("effects", np.float64, (len(NEEDS),)),  # on completion
        ("cost", np.float64),
        ("is_meal", np.bool_),
        ("is_work", np.bool_),
        ("completion_event", np.int8),
        ("utility", np.int8),  # vocab.UTILITIES, or -1
    ]
)
OBJECT_SPEC = record(
    [
        ("x", np.int16),
        ("y", np.int16),
        ("kind", np.int16),
        ("stock", np.int32),  # at the start; -1 = not counted
        ("supplies", np.int16),  # the object that gains a unit on completion, or -1
    ]
)
AGENT_SPEC = record(
    [
        ("x", np.int16),
        ("y", np.int16),
        ("needs", np.float64, (len(NEEDS),)),
        ("wallet", np.float64),
        ("job", np.int16),  # or -1
    ]
)
JOB = record(
    [
        ("workplace", np.int16),
        ("start_tick", np.int32),
        ("end_tick", np.int32),
        ("wage_rate", np.float64),
        ("lateness_penalty", np.float64),
    ]
)
PERTURBATION = record(
    [
        ("first_start", np.int32),
        ("last_start", np.int32),
        ("duration_ticks", np.int32),
        ("probability", np.float64),
        ("object", np.int16),  # of the event at its start, or -1
        ("kind", np.int16),  # of the affected objects, or -1
        ("utility", np.int8),  # that fails, or -1
        ("factor", np.float64),  # of the price
        ("x", np.int16),  # tile of a meeting
        ("y", np.int16),
        ("radius", np.int16),
    ]
)


class TownParams(NamedTuple):
    """A scenario for the kernels. K object kinds, J jobs, M meetings. Read-only."""

    constants: np.ndarray  # (1,) CONSTANTS
    kinds: np.ndarray  # (K,) KIND
    objects: np.ndarray  # (O,) OBJECT_SPEC
    agents: np.ndarray  # (A,) AGENT_SPEC
    jobs: np.ndarray  # (J,) JOB
    outages: np.ndarray  # (U,) PERTURBATION
    price_spikes: np.ndarray  # (S,) PERTURBATION
    meetings: np.ndarray  # (M,) PERTURBATION
    invited: np.ndarray  # (M, A) bool
    steps_to_meeting: np.ndarray  # (M, H, W) int16 steps to the place
    ways_to_meetings: np.ndarray  # (M, H, W) WAY to the place
    floor: np.ndarray  # (H + 2, W + 2) uint8 cells without agents
    windows: np.ndarray  # (H, W, 128) uint8 the map's channel `objects` as seen from each tile, then zeros
    distance: np.ndarray  # (O, H, W) int16 steps to stand beside the object, plus 1; or NOWHERE
    ways_to_kinds: np.ndarray  # (H, W, K) WAY to the nearest object of each kind
    ways_to_work: np.ndarray  # (J, H, W) WAY to each job's workplace


def compile_params(scenario: Scenario) -> TownParams:
    """Lay a checked scenario out as arrays."""
    kind_ids = {name: i for i, name in enumerate(scenario.all_kinds)}
    object_ids = {spec.id: i for i, spec in enumerate(scenario.objects)}
    job_ids = {name: i for i, name in enumerate(scenario.jobs)}
    positions = [spec.position for spec in scenario.objects]
    width, height = scenario.size
    distance = distances_to(positions, open_floor(scenario))
    kinds_of_objects = [kind_ids[spec.kind] for spec in scenario.objects]

    kinds = np.zeros(len(kind_ids), KIND)
    for row, kind in zip(kinds, scenario.all_kinds.values(), strict=True):
        row.duration_ticks, row.cost = kind.duration_ticks, kind.cost
        row.effects = per_need(kind.effects)
        row.is_meal, row.is_work = kind.is_meal, kind.is_work
        row.completion_event = EVENTS.index(kind.completion_event)
        row.utility = UTILITIES.index(kind.utility) if kind.utility else NOBODY

    objects = np.zeros(len(positions), OBJECT_SPEC)
    for o, (row, spec) in enumerate(zip(objects, scenario.objects, strict=True)):
        kind = scenario.all_kinds[spec.kind]
        stock = spec.stock if spec.stock is not None else kind.stock
        row.x, row.y = spec.position
        row.kind, row.stock = kinds_of_objects[o], -1 if stock is None else stock
        row.supplies = _supplied(o, kind_ids.get(kind.supplies or ""), kinds_of_objects, positions, distance)

    agents = np.zeros(len(scenario.agents), AGENT_SPEC)
    for row, agent in zip(agents, scenario.agents, strict=True):
        row.x, row.y = agent.position
        row.needs = per_need(agent.needs)
        row.wallet, row.job = agent.wallet, job_ids.get(agent.job or "", NOBODY)

    jobs = np.zeros(len(job_ids), JOB)
    for row, job in zip(jobs, scenario.jobs.values(), strict=True):
        row.workplace = object_ids[job.workplace]
        row.start_tick, row.end_tick = job.start_tick, job.end_tick
        row.wage_rate, row.lateness_penalty = job.wage_rate, job.lateness_penalty

    floor = np.full((height + 2 * BORDER, width + 2 * BORDER), WALL, np.uint8)
    inside = floor[BORDER : BORDER + height, BORDER : BORDER + width]
    inside[:] = EMPTY
    for x, y in scenario.walls:
        inside[y, x] = WALL
    for o, (x, y) in enumerate(positions):
        inside[y, x] = OBJECT_CELL + o
    ways = ways_along(distance)
    return TownParams(
        _constants(scenario),
        kinds,
        objects,
        agents,
        jobs,
        *_perturbations(scenario),
        floor,
        _windows(inside),
        distance,
        ways_to_kinds(distance, ways, kinds_of_objects, len(kind_ids)),
        np.ascontiguousarray(ways[jobs["workplace"]]),
    )


def _windows(inside: np.ndarray) -> np.ndarray:
    """Cut the window of static cells around each tile; everything off the grid is wall."""
    blocked = np.pad(inside != EMPTY, MAP_SIZE // 2, constant_values=True).astype(np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(blocked, (MAP_SIZE, MAP_SIZE))
    rows = np.zeros((*inside.shape, WINDOW_BYTES), np.uint8)
    rows[:, :, : MAP_SIZE * MAP_SIZE] = windows.reshape(*inside.shape, -1)
    return rows


_SixArrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _perturbations(scenario: Scenario) -> _SixArrays:
    """Lay out the perturbations: the six arrays of TownParams from `outages` to `ways_to_meetings`."""
    kind_ids = {name: k for k, name in enumerate(scenario.all_kinds)}
    outages, spikes = _timed(scenario.outages), _timed(scenario.price_spikes)
    meetings = _timed(scenario.meetings)
    for row, outage in zip(outages, scenario.outages, strict=True):
        row.kind = kind_ids[outage.kind] if outage.kind else NOBODY
        row.utility = UTILITIES.index(outage.utility) if outage.utility else NOBODY
        row.object = _first_object(scenario, outage.kind, outage.utility)
    for row, spike in zip(spikes, scenario.price_spikes, strict=True):
        row.kind, row.factor = kind_ids[spike.kind], spike.factor
        row.object = _first_object(scenario, spike.kind, None)
    invited = np.zeros((len(meetings), len(scenario.agents)), bool)
    for m, (row, meeting) in enumerate(zip(meetings, scenario.meetings, strict=True)):
        row.object, row.radius = NOBODY, meeting.radius
        if isinstance(meeting.place, str):
            row.object = [thing.id for thing in scenario.objects].index(meeting.place)
        row.x, row.y = meeting_tile(scenario, meeting)
        invited[m] = [not meeting.agents or agent.id in meeting.agents for agent in scenario.agents]
    tiles = [meeting_tile(scenario, meeting) for meeting in scenario.meetings]
    steps = distances_to(tiles, open_floor(scenario))
    return outages, spikes, meetings, invited, steps, ways_along(steps)


def _timed(perturbations: Sequence[Perturbation]) -> np.ndarray:
    rows = np.zeros(len(perturbations), PERTURBATION)
    for row, perturbation in zip(rows, perturbations, strict=True):
        row.first_start, row.last_start = perturbation.start_range
        row.duration_ticks, row.probability = perturbation.duration_ticks, perturbation.probability
    return rows


def _first_object(scenario: Scenario, kind: str | None, utility: str | None) -> int:
    for o, thing in enumerate(scenario.objects):
        if thing.kind == kind or (utility and scenario.all_kinds[thing.kind].utility == utility):
            return o
    return NOBODY


def meeting_tile(scenario: Scenario, meeting: Meeting) -> tuple[int, int]:
    """Return the tile of a meeting: its own, or that of its object."""
    if not isinstance(meeting.place, str):
        return meeting.place
    return next(thing.position for thing in scenario.objects if thing.id == meeting.place)


def _constants(scenario: Scenario) -> np.ndarray:
    numbers: dict = {"ticks": scenario.ticks, **scenario.rewards.model_dump()}
    for name, value in scenario.rules.model_dump().items():
        numbers.update(value if isinstance(value, dict) else {name: value})
    constants = np.zeros(1, CONSTANTS)
    for name, value in numbers.items():
        if name not in _OF_A_NEED:
            constants[name] = -1 if value is None else value
    constants["need_decay"] = per_need(scenario.rules.needs, "NEED_decay")
    constants["need_deficit"] = per_need(scenario.rewards, "NEED_deficit")
    constants["faint_threshold"] = -1
    for need in VITAL_NEEDS:
        constants["faint_threshold"][0, NEEDS.index(need)] = scenario.rules.needs.faint_threshold
    return constants


def open_floor(scenario: Scenario) -> np.ndarray:
    """Return (H, W) bool: True where an agent could stand."""
    width, height = scenario.size
    floor = np.ones((height, width), bool)
    for x, y in [*scenario.walls, *(spec.position for spec in scenario.objects)]:
        floor[y, x] = False
    return floor


def _supplied(
    o: int, kind: int | None, kinds: list[int], positions: list[tuple[int, int]], distance: np.ndarray
) -> int:
    """Find the object of `kind` nearest to object `o`: fewest steps between tiles beside them, then index."""
    height, width = distance.shape[1:]
    x, y = positions[o]
    beside = [
        (x + dx, y + dy)
        for dx, dy in ((0, -1), (1, 0), (0, 1), (-1, 0))
        if 0 <= x + dx < width and 0 <= y + dy < height and distance[o, y + dy, x + dx] == 1
    ]
    best, best_steps = NOBODY, NOWHERE
    for other, other_kind in enumerate(kinds):
        if other_kind == kind and other != o:
            steps = min((int(distance[other, by, bx]) for bx, by in beside), default=NOWHERE)
            if steps < best_steps:
                best, best_steps = other, steps
    return best
