"""The words of a scenario file: every key, its default, its range, and what it means.

The rules themselves are in docs/rules.md; a number here is the constant of the rule of the same name.
"""

from __future__ import annotations

from typing import Annotated, Literal

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
from townlet_core.vocab import feature_names


@once_per_need
class Needs(Words):
    """How satisfied an agent is: 1 satisfied, 0 desperate."""

    NEED: Annotated[Unit, means("{meaning}")] = 0.7


@once_per_need
class Effects(Words):
    """What finishing an affordance adds to each need."""

    NEED: Annotated[Change, means("change of {name}")] = 0.0


def effects(**changes: float) -> Effects:
    """Make the effects with these changes, by need; 0 for the others."""
    return Effects.model_validate(changes)


class Kind(Words):
    """What an object of this kind offers, and what it takes."""

    affordance: Annotated[Name, means("what one does with it")]
    duration_ticks: Annotated[SomeTicks, means("how long that takes")]
    effects: Annotated[Effects, means("what finishing it does to needs")] = Effects()
    cost: Annotated[Amount, means("money, paid on completion; who has less may not start")] = 0.0
    stock: Annotated[Stock | None, means("units at the start, one used each time; `null`: not counted")] = (
        None
    )
    supplies: Annotated[Name | None, means("kind whose nearest object gains one unit on completion")] = None
    is_meal: Annotated[bool, means("whether finishing it near another eater is a shared meal")] = False
    is_work: Annotated[
        bool, means("whether it is used by those whose job is there, for as long as their shift lasts")
    ] = False
    utility: Annotated[Utility | None, means("what it needs, and what an outage can cut off")] = None
    completion_event: Annotated[
        Literal["affordance_complete", "shower_complete", "sleep_complete"],
        means("event that reports completion"),
    ] = "affordance_complete"


BUILT_IN_KINDS: dict[str, Kind] = {
    "shower": Kind(
        affordance="use_shower",
        duration_ticks=30,
        effects=effects(hygiene=0.45, energy=-0.03),
        cost=0.2,
        utility="water",
        completion_event="shower_complete",
    ),
    "fridge": Kind(
        affordance="eat_meal",
        duration_ticks=15,
        effects=effects(hunger=0.4, energy=0.05),
        cost=0.4,
        stock=5,
        is_meal=True,
    ),
    "stove": Kind(
        affordance="cook_meal",
        duration_ticks=40,
        effects=effects(hunger=0.1, energy=-0.05),
        stock=5,
        supplies="fridge",
        utility="power",
    ),
    "bed": Kind(
        affordance="rest_sleep",
        duration_ticks=60,
        effects=effects(energy=0.8),
        completion_event="sleep_complete",
    ),
    "bench": Kind(affordance="rest", duration_ticks=20, effects=effects(energy=0.2)),
    "checkout": Kind(affordance="work_shift", duration_ticks=MAX_TICKS, is_work=True),
}


class ScheduleEntry(Words):
    """One step of a scripted agent: exactly one verb, until achieved or `max_ticks` passed."""

    move: Annotated[Position | Name | None, means("walk to a tile, or beside an object")] = None
    request: Annotated[Name | None, means("walk to an object and join its line")] = None
    start: Annotated[Name | None, means("wait for the turn at an object, then begin to use it")] = None
    release: Annotated[Literal[True] | None, means("leave line or object")] = None
    chat: Annotated[Name | None, means("walk up to an agent and talk, which goes to whoever is nearest")] = (
        None
    )
    wait: Annotated[SomeTicks | None, means("do nothing for so many ticks")] = None
    max_ticks: Annotated[SomeTicks | None, means("give up after so many ticks")] = None


VERBS = ("move", "request", "start", "release", "chat", "wait")


class AgentSpec(Words):
    """One inhabitant."""

    id: Annotated[Name, means("name of the agent")]
    position: Annotated[Position, means("tile `[x, y]` at the start")]
    needs: Annotated[Needs, means("needs at the start")] = Needs()
    wallet: Annotated[Amount, means("money at the start")] = 1.0
    job: Annotated[Name | None, means("one of `jobs`")] = None
    schedule: Annotated[
        list[ScheduleEntry], means("what it does, in a circle; empty: it lives by its needs")
    ] = []


class ObjectSpec(Words):
    """One thing in town."""

    id: Annotated[Name, means("name of the object")]
    kind: Annotated[Name, means("a built-in kind or one of `kinds`")]
    position: Annotated[Position, means("tile `[x, y]`")]
    stock: Annotated[Stock | None, means("units at the start; `null`: as its kind says")] = None


class Job(Words):
    """Where and when to be, and what it pays."""

    workplace: Annotated[Name, means("an object of a kind with `is_work`")]
    start_tick: Annotated[Ticks, means("tick of the day at which the shift starts")]
    end_tick: Annotated[Ticks, means("tick of the day at which it ends")]
    wage_rate: Annotated[Amount, means("money per tick at work")] = 0.02
    lateness_penalty: Annotated[Amount, means("reward lost per late tick, until arrival or absence")] = 0.02


class Grid(Words):
    """The floor plan: a size, or a drawing in which # is wall and anything else is floor."""

    size: Annotated[tuple[Side, Side] | None, means("width and height in tiles")] = None
    layout: Annotated[
        str | None,
        means(
            "a drawing, one text row per row of tiles, all equally long: `#` is wall, anything else floor; "
            "a comma is drawn as grass"
        ),
    ] = None
    walls: Annotated[list[Position], means("tiles that are walls, besides those drawn")] = []


class Perturbation(Words):
    """Something that befalls the town for a while; chance may decide whether and when."""

    start_tick: Annotated[
        Ticks | tuple[Ticks, Ticks],
        means(
            "tick of the episode at which it begins; a pair: drawn anew for each episode, both ends included"
        ),
    ]
    duration_ticks: Annotated[SomeTicks, means("how long it lasts")]
    probability: Annotated[Unit, means("how likely it is to happen in an episode")] = 1.0

    @property
    def start_range(self) -> tuple[int, int]:
        """Earliest and latest start."""
        start = self.start_tick
        return (start, start) if isinstance(start, int) else start


class Outage(Perturbation):
    """Objects of one kind, or of all that need one utility, can't be started; those in use finish."""

    kind: Annotated[Name | None, means("the one kind that is out of order")] = None
    utility: Annotated[Utility | None, means("what is cut off, for all kinds that need it")] = None


class PriceSpike(Perturbation):
    """Objects of one kind cost several times as much, for who starts them meanwhile."""

    kind: Annotated[Name, means("what changes its price; its cost is above 0")]
    factor: Annotated[
        float,
        Field(ge=0, le=1_000, allow_inf_nan=False),
        means("how many times its cost it costs; below 1 it is a sale"),
    ]


class Meeting(Perturbation):
    """An arranged meeting: who is invited and comes gets to know the others who came."""

    place: Annotated[Position | Name, means("a tile `[x, y]`, or an object")]
    radius: Annotated[
        Side, means("within how many tiles of the place one is there; diagonals count as one")
    ] = 2
    agents: Annotated[list[Name], means("who is invited, two at least; empty: everybody")] = []


class Scenario(Words):
    """A whole scenario file."""

    name: Annotated[Name, means("what the scenario is called; file name without `.yaml`, by custom")]
    description: Annotated[str, means("one sentence, shown by `townlet scenario list`")] = ""
    seed: Annotated[
        int, Field(ge=0, lt=2**63), means("start of all chance; the same seed gives the same town")
    ] = 0
    ticks: Annotated[SomeTicks, means("length of an episode; a tick is a minute")]
    grid: Annotated[Grid, means("the floor plan")]
    kinds: Annotated[
        dict[Name, Kind], means("sorts of objects, added to the built-in ones or replacing them")
    ] = {}
    objects: Annotated[list[ObjectSpec], Field(max_length=MAX_OBJECTS), means("what stands in town")] = []
    agents: Annotated[list[AgentSpec], Field(max_length=MAX_AGENTS), means("who lives there")] = []
    jobs: Annotated[dict[Name, Job], means("where and when to work")] = {}
    outages: Annotated[
        list[Outage], Field(max_length=MAX_PERTURBATIONS), means("when things are out of order")
    ] = []
    price_spikes: Annotated[
        list[PriceSpike], Field(max_length=MAX_PERTURBATIONS), means("when things cost more")
    ] = []
    meetings: Annotated[
        list[Meeting], Field(max_length=MAX_PERTURBATIONS), means("who meets when and where")
    ] = []
    rules: Annotated[Rules, means("the constants of the town")] = Rules()
    rewards: Annotated[Rewards, means("what the learner is paid for")] = Rewards()
    expect: Annotated[
        dict[str, tuple[float | None, float | None]],
        means("metric of a capture: `[least, most]`, `null` for an open end; see `townlet capture --check`"),
    ] = {}

    @property
    def all_kinds(self) -> dict[str, Kind]:
        """Built-in kinds first, in their fixed order, then the scenario's own in file order."""
        return {**BUILT_IN_KINDS, **self.kinds}

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The feature columns of an observation of this town, in order."""
        return feature_names(tuple(self.all_kinds), bool(self.price_spikes), bool(self.meetings))

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
