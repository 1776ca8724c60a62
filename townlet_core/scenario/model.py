"""The model of a scenario file: every key with its default, range and description.

The rules are in docs/rules.md; a number here is the constant of the rule of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from townlet_core.scenario.once_per_need import once_per_need
from townlet_core.scenario.rules import Rewards, Rules
from townlet_core.scenario.values import (
    MAX_AGENTS,
    MAX_OBJECTS,
    MAX_PERTURBATIONS,
    MAX_TICKS,
    Amount,
    Change,
    Name,
    Position,
    Side,
    SomeTicks,
    Stock,
    Ticks,
    Unit,
    Utility,
    Words,
    means,
)
from townlet_core.vocab import Feature, features_of


@once_per_need
class Needs(Words):
    """The needs of an agent: 1 is satisfied, 0 is desperate."""

    NEED: Annotated[Unit, means("{meaning}")] = 0.7

    if TYPE_CHECKING:  # which does not see the keys of each need

        def __init__(self, **needs: float) -> None: ...
        def __getattr__(self, key: str) -> float: ...


@once_per_need
class Effects(Words):
    """The change of each need on completion of an affordance."""

    NEED: Annotated[Change, means("change of {name}")] = 0.0

    if TYPE_CHECKING:  # which does not see the keys of each need

        def __init__(self, **changes: float) -> None: ...
        def __getattr__(self, key: str) -> float: ...


class Kind(Words):
    """The affordance of a kind of object, with its duration, effects and cost."""

    affordance: Annotated[Name, means("name of what agents do with it")]
    duration_ticks: Annotated[SomeTicks, means("duration of one use")]
    effects: Annotated[Effects, means("change of needs on completion")] = Effects()
    cost: Annotated[Amount, means("money, paid on completion; who has less may not start")] = 0.0
    stock: Annotated[Stock | None, means("units at the start, one used each time; `null`: not counted")] = (
        None
    )
    supplies: Annotated[Name | None, means("kind whose nearest object gains one unit on completion")] = None
    is_meal: Annotated[bool, means("whether completing it near another eater is a shared meal")] = False
    is_work: Annotated[
        bool, means("whether it is a workplace, used by agents with a job there for their whole shift")
    ] = False
    utility: Annotated[Utility | None, means("utility it depends on, which an outage can cut off")] = None
    completion_event: Annotated[
        Literal["affordance_complete", "shower_complete", "sleep_complete"],
        means("event that reports completion"),
    ] = "affordance_complete"


BUILT_IN_KINDS: dict[str, Kind] = {
    "shower": Kind(
        affordance="use_shower",
        duration_ticks=30,
        effects=Effects(hygiene=0.45, energy=-0.03),
        cost=0.2,
        utility="water",
        completion_event="shower_complete",
    ),
    "fridge": Kind(
        affordance="eat_meal",
        duration_ticks=15,
        effects=Effects(hunger=0.4, energy=0.05),
        cost=0.4,
        stock=5,
        is_meal=True,
    ),
    "stove": Kind(
        affordance="cook_meal",
        duration_ticks=40,
        effects=Effects(hunger=0.1, energy=-0.05),
        stock=5,
        supplies="fridge",
        utility="power",
    ),
    "bed": Kind(
        affordance="rest_sleep",
        duration_ticks=60,
        effects=Effects(energy=0.8),
        completion_event="sleep_complete",
    ),
    "bench": Kind(affordance="rest", duration_ticks=20, effects=Effects(energy=0.2)),
    "checkout": Kind(affordance="work_shift", duration_ticks=MAX_TICKS, is_work=True),
}


class ScheduleEntry(Words):
    """One step of a schedule: exactly one verb, until it is achieved or `max_ticks` have passed."""

    move: Annotated[Position | Name | None, means("walk to a tile, or beside an object")] = None
    request: Annotated[Name | None, means("walk to an object and join its queue")] = None
    start: Annotated[Name | None, means("wait for an offer of the object, then start to use it")] = None
    release: Annotated[Literal[True] | None, means("leave the queue or the object")] = None
    chat: Annotated[Name | None, means("walk up to an agent and chat; the nearest agent is addressed")] = None
    wait: Annotated[SomeTicks | None, means("ticks to do nothing")] = None
    max_ticks: Annotated[SomeTicks | None, means("ticks after which the entry is given up")] = None


VERBS = ("move", "request", "start", "release", "chat", "wait")


class AgentSpec(Words):
    """An agent."""

    id: Annotated[Name, means("name of the agent")]
    position: Annotated[Position, means("tile `[x, y]` at the start")]
    needs: Annotated[Needs, means("needs at the start")] = Needs()
    wallet: Annotated[Amount, means("money at the start")] = 1.0
    job: Annotated[Name | None, means("one of `jobs`")] = None
    schedule: Annotated[
        list[ScheduleEntry], means("cyclic schedule; empty: the agent acts on its needs")
    ] = []


class ObjectSpec(Words):
    """An object."""

    id: Annotated[Name, means("name of the object")]
    kind: Annotated[Name, means("a built-in kind or one of `kinds`")]
    position: Annotated[Position, means("tile `[x, y]`")]
    stock: Annotated[Stock | None, means("units at the start; `null`: that of its kind")] = None


class Job(Words):
    """A job: workplace, shift and wage."""

    workplace: Annotated[Name, means("an object of a kind with `is_work`")]
    start_tick: Annotated[Ticks, means("tick of the day at which the shift starts")]
    end_tick: Annotated[Ticks, means("tick of the day at which the shift ends")]
    wage_rate: Annotated[Amount, means("money per tick at work")] = 0.02
    lateness_penalty: Annotated[Amount, means("penalty per late tick, until arrival or absence")] = 0.02


class Grid(Words):
    """The floor plan: a size, or a drawing in which `#` is wall and anything else is floor."""

    size: Annotated[tuple[Side, Side] | None, means("width and height in tiles")] = None
    layout: Annotated[
        str | None,
        means(
            "drawing with one text row per row of tiles, all equally long: `#` is wall, anything else floor; "
            "a comma is rendered as grass"
        ),
    ] = None
    walls: Annotated[list[Position], means("wall tiles in addition to those drawn")] = []


class Perturbation(Words):
    """A temporary change of the town; its start and occurrence may be random."""

    start_tick: Annotated[
        Ticks | tuple[Ticks, Ticks],
        means("tick of the episode at which it starts; a pair: drawn for each episode, both ends included"),
    ]
    duration_ticks: Annotated[SomeTicks, means("duration")]
    probability: Annotated[Unit, means("probability that it happens in an episode")] = 1.0

    @property
    def start_range(self) -> tuple[int, int]:
        """Earliest and latest start."""
        start = self.start_tick
        return (start, start) if isinstance(start, int) else start


class Outage(Perturbation):
    """Objects of one kind, or of all that need a utility, cannot be started; current uses finish."""

    kind: Annotated[Name | None, means("kind that is out of order")] = None
    utility: Annotated[Utility | None, means("utility that is cut off, for all kinds that need it")] = None


class PriceSpike(Perturbation):
    """A changed price of one kind, for uses started during the spike."""

    kind: Annotated[Name, means("kind whose price changes; its cost is above 0")]
    factor: Annotated[
        float,
        Field(ge=0, le=1_000, allow_inf_nan=False),
        means("price as a multiple of the cost; below 1 it is a sale"),
    ]


class Meeting(Perturbation):
    """A meeting: invited agents who attend become familiar with each other."""

    place: Annotated[Position | Name, means("tile `[x, y]`, or object")]
    radius: Annotated[
        Side, means("distance in tiles within which an agent attends; diagonals count as one")
    ] = 2
    agents: Annotated[list[Name], means("invited agents, at least two; empty: everybody")] = []


class Scenario(Words):
    """A scenario file."""

    name: Annotated[Name, means("name of the scenario; by convention the file name without `.yaml`")]
    description: Annotated[str, means("one sentence, shown by `townlet scenario list`")] = ""
    seed: Annotated[
        int, Field(ge=0, lt=2**63), means("seed of all randomness; equal seeds give equal towns")
    ] = 0
    ticks: Annotated[SomeTicks, means("length of an episode; a tick is a minute")]
    grid: Annotated[Grid, means("the floor plan")]
    kinds: Annotated[
        dict[Name, Kind], means("kinds of objects, in addition to the built-in ones or replacing them")
    ] = {}
    objects: Annotated[list[ObjectSpec], Field(max_length=MAX_OBJECTS), means("objects of the town")] = []
    agents: Annotated[list[AgentSpec], Field(max_length=MAX_AGENTS), means("agents of the town")] = []
    jobs: Annotated[dict[Name, Job], means("jobs by name")] = {}
    outages: Annotated[list[Outage], Field(max_length=MAX_PERTURBATIONS), means("outages")] = []
    price_spikes: Annotated[list[PriceSpike], Field(max_length=MAX_PERTURBATIONS), means("price spikes")] = []
    meetings: Annotated[list[Meeting], Field(max_length=MAX_PERTURBATIONS), means("meetings")] = []
    rules: Annotated[Rules, means("constants of the rules")] = Rules()
    rewards: Annotated[Rewards, means("coefficients of the reward")] = Rewards()
    expect: Annotated[
        dict[str, tuple[float | None, float | None]],
        means("metric of a capture: `[min, max]`, `null` for an open end; see `townlet capture --check`"),
    ] = {}

    @property
    def all_kinds(self) -> dict[str, Kind]:
        """Built-in kinds first, in their fixed order, then the scenario's own in file order."""
        return {**BUILT_IN_KINDS, **self.kinds}

    @property
    def features(self) -> tuple[Feature, ...]:
        """The feature columns of an observation of this town, in order."""
        return features_of(tuple(self.all_kinds), bool(self.price_spikes), bool(self.meetings))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the feature columns, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def walls(self) -> frozenset[tuple[int, int]]:
        """All wall tiles, from the drawing and from the list."""
        rows = (self.grid.layout or "").splitlines()
        drawn = {(x, y) for y, row in enumerate(rows) for x, mark in enumerate(row) if mark == "#"}
        return frozenset(drawn | set(self.grid.walls))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in tiles."""
        if self.grid.size is not None:
            return self.grid.size
        rows = (self.grid.layout or "").splitlines()
        return max((len(row) for row in rows), default=0), len(rows)
