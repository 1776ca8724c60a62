"""A scene: what is to be drawn of one town at one moment, whatever it is drawn with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from townlet_core.scenario.model import Scenario
from townlet_core.scenario.once_per_need import per_need
from townlet_core.simulation.state import FREE, NOBODY, USING
from townlet_core.vocab import CONFLICT_REASONS, EVENTS

if TYPE_CHECKING:  # a scenario is drawn without starting the simulator
    from townlet_core.simulation.towns import Towns

Tile = tuple[int, int]  # x, y

GRASS_MARK = ","  # of a floor plan: floor like any other to the rules, green to the eye


class DrawnObject(NamedTuple):
    """A thing in town. Agents are named by their index in the scene; -1 is nobody."""

    id: str
    kind: str
    x: int
    y: int
    user: int = NOBODY
    holder: int = NOBODY  # to whom it is offered
    line: tuple[int, ...] = ()  # who waits, first in line first
    stock: int = -1  # units; -1 = not counted
    out_of_order: bool = False


class DrawnAgent(NamedTuple):
    """An inhabitant. Objects are named by their index in the scene; -1 is nothing."""

    id: str
    x: int
    y: int
    alive: bool = True  # in town
    needs: tuple[float, ...] | None = None  # vocab.NEEDS; 1 = satisfied; None = not known
    wallet: float | None = None  # None = not known
    role: int = FREE  # simulation.state: FREE, WAITING, HOLDING, USING
    object: int = NOBODY  # what the role is about
    progress: float = 0.0  # of the use, 0 to 1


class DrawnConflict(NamedTuple):
    """A quarrel of the tick just played."""

    object: int
    actor: int
    rival: int
    reason: str
    intensity: float


class Scene(NamedTuple):
    """One moment of one town. Tiles are (x, y); y grows to the south."""

    width: int
    height: int
    walls: frozenset[Tile]
    grass: frozenset[Tile]
    objects: tuple[DrawnObject, ...]
    agents: tuple[DrawnAgent, ...]
    tick: int  # ticks played in this episode
    time_of_day: int  # ticks since midnight
    ticks_per_day: int  # 0 = not known, and the time of day neither
    conflicts: tuple[DrawnConflict, ...] = ()

    @property
    def clock(self) -> str:
        """The time of day as people say it, such as 08:30; empty if it is not known."""
        if self.ticks_per_day == 0:
            return ""
        minutes = self.time_of_day * 1440 // self.ticks_per_day
        return f"{minutes // 60:02d}:{minutes % 60:02d}"


def scene_of(towns: Towns, town: int = 0) -> Scene:
    """Look at town number `town` of a batch, between two ticks. The scene does not change with the town."""
    state, scenario = towns.state, towns.scenario
    tick = int(state.towns["tick"][town])
    time_of_day = (scenario.rules.day_start_tick + tick) % scenario.rules.ticks_per_day
    return opening_scene(scenario)._replace(
        objects=_objects(towns, town),
        agents=_agents(towns, town),
        tick=tick,
        time_of_day=time_of_day,
        conflicts=_conflicts(towns, town),
    )


def opening_scene(scenario: Scenario) -> Scene:
    """Look at a scenario as its file describes it, before anybody has moved."""
    width, height = scenario.size
    kinds = scenario.all_kinds
    return Scene(
        width,
        height,
        *_floor_plan(scenario.grid.layout or "", tuple(scenario.grid.walls)),
        tuple(
            DrawnObject(
                thing.id, thing.kind, *thing.position, stock=_stock(thing.stock, kinds[thing.kind].stock)
            )
            for thing in scenario.objects
        ),
        tuple(
            DrawnAgent(
                agent.id,
                *agent.position,
                needs=per_need(agent.needs),
                wallet=agent.wallet,
            )
            for agent in scenario.agents
        ),
        tick=0,
        time_of_day=scenario.rules.day_start_tick,
        ticks_per_day=scenario.rules.ticks_per_day,
    )


@lru_cache(maxsize=8)
def _floor_plan(layout: str, walls: tuple[Tile, ...]) -> tuple[frozenset[Tile], frozenset[Tile]]:
    """Return the tiles of walls and of grass; remembered, because every scene of a town asks for them."""
    marks = {(x, y): mark for y, row in enumerate(layout.splitlines()) for x, mark in enumerate(row)}
    drawn = {tile for tile, mark in marks.items() if mark == "#"}
    return frozenset(drawn | set(walls)), frozenset(tile for tile in marks if marks[tile] == GRASS_MARK)


def _stock(own: int | None, of_kind: int | None) -> int:
    """Return the units an object begins with: its own number, else its kind's, else -1."""
    return next((stock for stock in (own, of_kind) if stock is not None), -1)


def _objects(towns: Towns, town: int) -> tuple[DrawnObject, ...]:
    names = ("user", "holder", "stock", "out_of_order", "line_length")
    rows = _rows(towns.state.objects[town], names)
    lines = towns.state.line[town].tolist()
    return tuple(
        DrawnObject(
            spec.id, spec.kind, *spec.position, user, holder, tuple(line[:length]), stock, bool(is_out)
        )
        for spec, (user, holder, stock, is_out, length), line in zip(
            towns.scenario.objects, rows, lines, strict=True
        )
    )


def _agents(towns: Towns, town: int) -> tuple[DrawnAgent, ...]:
    names = ("x", "y", "alive", "needs", "wallet", "role", "object", "progress")
    rows = _rows(towns.state.agents[town], names)
    return tuple(
        DrawnAgent(
            towns.agent_ids[i],
            *(x, y, bool(alive), tuple(needs), wallet, role, used),
            _progress(towns, i, role, used, progress),
        )
        for i, (x, y, alive, needs, wallet, role, used, progress) in enumerate(rows)
    )


def _rows(records: np.ndarray, names: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield these fields of each record as plain numbers; column by column, which is much faster."""
    return zip(*(records[name].tolist() for name in names), strict=True)


def _progress(towns: Towns, i: int, role: int, used: int, progress: float) -> float:
    """Return how much of its use is over, of work: of its shift."""
    if role != USING:
        return 0.0
    scenario = towns.scenario
    kind = scenario.all_kinds[scenario.objects[used].kind]
    job = scenario.jobs.get(scenario.agents[i].job or "")
    duration = job.end_tick - job.start_tick if kind.is_work and job else kind.duration_ticks
    return min(progress / duration, 1.0)


def _conflicts(towns: Towns, town: int) -> tuple[DrawnConflict, ...]:
    events = towns.state.events[town, : towns.state.towns["event_count"][town]]
    return tuple(
        DrawnConflict(
            int(event.object),
            int(event.actor),
            int(event.rival),
            CONFLICT_REASONS[event.reason],
            float(event.value),
        )
        for event in events
        if event.type == _QUEUE_CONFLICT
    )


_QUEUE_CONFLICT = EVENTS.index("queue_conflict")
