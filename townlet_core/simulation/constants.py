"""A scenario as arrays: every constant a rule reads, found once and shared by all towns of a batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from townlet_core.scenario.model import Rewards, Rules, Scenario
from townlet_core.simulation.paths import NOWHERE, distances_to, nearest_objects
from townlet_core.simulation.state import NOBODY, OBJECT_SHIFT, PAD, WALL, record
from townlet_core.vocab import EVENTS


def _numbers(block: type[BaseModel]) -> list[tuple]:
    """Lay out a block of the scenario model, groups flattened; names are unique across groups."""
    fields: list[tuple] = []
    for name, field in block.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            fields += _numbers(field.annotation)
        else:
            fields.append((name, np.float64 if field.annotation is float else np.int64))
    return fields


# One record with every number of `rules` and `rewards`, by its name in the file; null is -1.
CONSTANTS = record([("ticks", np.int64), *_numbers(Rules), *_numbers(Rewards)])

KIND = record(
    [
        ("duration_ticks", np.int32),
        ("hunger", np.float64),  # effects on completion
        ("hygiene", np.float64),
        ("energy", np.float64),
        ("cost", np.float64),
        ("is_meal", np.bool_),
        ("is_work", np.bool_),
        ("completion_event", np.int8),
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
        ("hunger", np.float64),
        ("hygiene", np.float64),
        ("energy", np.float64),
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
OUTAGE = record([("kind", np.int16), ("start_tick", np.int32), ("end_tick", np.int32), ("object", np.int16)])


class TownRules(NamedTuple):
    """A scenario for the kernels. K object kinds, J jobs, U outages; nothing here changes."""

    constants: np.ndarray  # (1,) CONSTANTS
    kinds: np.ndarray  # (K,) KIND
    objects: np.ndarray  # (O,) OBJECT_SPEC
    agents: np.ndarray  # (A,) AGENT_SPEC
    jobs: np.ndarray  # (J,) JOB
    outages: np.ndarray  # (U,) OUTAGE
    floor: np.ndarray  # (H + 2 PAD, W + 2 PAD) uint32 cells without agents
    distance: (
        np.ndarray
    )  # (O, H, W) int16 steps to stand beside the object, plus 1; NOWHERE if there is no way
    nearest: np.ndarray  # (H, W, K) int16 the nearest object of each kind, or -1


def found(scenario: Scenario) -> TownRules:
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
        effects = kind.effects
        row.duration_ticks, row.cost = kind.duration_ticks, kind.cost
        row.hunger, row.hygiene, row.energy = effects.hunger, effects.hygiene, effects.energy
        row.is_meal, row.is_work = kind.is_meal, kind.is_work
        row.completion_event = EVENTS.index(kind.completion_event)

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
        row.hunger, row.hygiene, row.energy = agent.needs.hunger, agent.needs.hygiene, agent.needs.energy
        row.wallet, row.job = agent.wallet, job_ids.get(agent.job or "", NOBODY)

    jobs = np.zeros(len(job_ids), JOB)
    for row, job in zip(jobs, scenario.jobs.values(), strict=True):
        row.workplace = object_ids[job.workplace]
        row.start_tick, row.end_tick = job.start_tick, job.end_tick
        row.wage_rate, row.lateness_penalty = job.wage_rate, job.lateness_penalty

    outages = np.zeros(len(scenario.outages), OUTAGE)
    for row, outage in zip(outages, scenario.outages, strict=True):
        row.kind = kind_ids[outage.kind]
        row.start_tick, row.end_tick = outage.start_tick, outage.start_tick + outage.duration_ticks
        row.object = kinds_of_objects.index(row.kind) if row.kind in kinds_of_objects else NOBODY

    floor = np.full((height + 2 * PAD, width + 2 * PAD), WALL, np.uint32)
    inside = floor[PAD : PAD + height, PAD : PAD + width]
    inside[:] = 0
    for x, y in scenario.walls:
        inside[y, x] = WALL
    for o, (x, y) in enumerate(positions):
        inside[y, x] |= (o + 1) << OBJECT_SHIFT
    nearest = nearest_objects(distance, kinds_of_objects, len(kind_ids))
    return TownRules(_constants(scenario), kinds, objects, agents, jobs, outages, floor, distance, nearest)


def _constants(scenario: Scenario) -> np.ndarray:
    numbers: dict = {"ticks": scenario.ticks, **scenario.rewards.model_dump()}
    for name, value in scenario.rules.model_dump().items():
        numbers.update(value if isinstance(value, dict) else {name: value})
    constants = np.zeros(1, CONSTANTS)
    for name, value in numbers.items():
        constants[name] = -1 if value is None else value
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
