"""The words of a scenario file: every key, its default, its range, and what it means.

The rules themselves are in docs/rules.md; a number here is the constant of the rule of the same name.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from townlet_core.vocab import NAME_PATTERN, feature_names

MAX_AGENTS = 64
MAX_OBJECTS = 128
MAX_SIDE = 128  # tiles along one edge of the grid
MAX_TICKS = 1_000_000
MAX_PERTURBATIONS = 64  # of each sort

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$")]
Position = tuple[Annotated[int, Field(ge=0, lt=MAX_SIDE)], Annotated[int, Field(ge=0, lt=MAX_SIDE)]]
Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Change = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Ticks = Annotated[int, Field(ge=0, le=MAX_TICKS)]
Utility = Literal["water", "power"]


class Words(BaseModel):
    """A block of the file: unknown keys are mistakes, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Needs(Words):
    """How satisfied an agent is: 1 satisfied, 0 desperate."""

    hunger: Unit = 0.7
    hygiene: Unit = 0.7
    energy: Unit = 0.7


class Effects(Words):
    """What finishing an affordance adds to each need."""

    hunger: Change = 0.0
    hygiene: Change = 0.0
    energy: Change = 0.0


class Kind(Words):
    """What an object of this kind offers, and what it takes."""

    affordance: Name
    duration_ticks: Annotated[int, Field(ge=1, le=MAX_TICKS)]
    effects: Effects = Effects()
    cost: Amount = 0.0  # money, paid on completion; who has less may not start
    stock: Annotated[int, Field(ge=0, le=10_000)] | None = None  # units at the start; null: not counted
    supplies: Name | None = None  # kind whose nearest object gains one unit on completion
    is_meal: bool = False  # finishing it near another eater is a shared meal
    is_work: bool = False  # used by those whose job is there, for as long as a shift lasts
    utility: Utility | None = None  # what it needs to be started
    completion_event: Literal["affordance_complete", "shower_complete", "sleep_complete"] = (
        "affordance_complete"
    )


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
    """One step of a scripted agent: exactly one verb, until achieved or `max_ticks` passed."""

    move: Position | Name | None = None  # a tile, or an object to stand beside
    request: Name | None = None  # an object; walks there first
    start: Name | None = None  # an object; waits for the turn, then begins
    release: Literal[True] | None = None  # leave line or object
    chat: Name | None = None  # an agent; walks up to it first
    wait: Annotated[int, Field(ge=1, le=MAX_TICKS)] | None = None  # ticks
    max_ticks: Annotated[int, Field(ge=1, le=MAX_TICKS)] | None = None


VERBS = ("move", "request", "start", "release", "chat", "wait")


class AgentSpec(Words):
    """One inhabitant."""

    id: Name
    position: Position
    needs: Needs = Needs()
    wallet: Amount = 1.0
    job: Name | None = None
    schedule: list[ScheduleEntry] = []  # empty: lives by its needs


class ObjectSpec(Words):
    """One thing in town."""

    id: Name
    kind: Name
    position: Position
    stock: Annotated[int, Field(ge=0, le=10_000)] | None = None  # null: as its kind says


class Job(Words):
    """Where and when to be, and what it pays."""

    workplace: Name  # an object of a kind with is_work
    start_tick: Ticks  # of the day
    end_tick: Ticks  # of the day; later than start_tick
    wage_rate: Amount = 0.02  # money per tick at work
    lateness_penalty: Amount = 0.02  # reward lost per late tick, until arrival or absence


class Grid(Words):
    """The floor plan: a size, or a drawing in which # is wall and anything else is floor."""

    size: tuple[Annotated[int, Field(ge=1, le=MAX_SIDE)], Annotated[int, Field(ge=1, le=MAX_SIDE)]] | None = (
        None
    )
    layout: str | None = None
    walls: list[Position] = []


class NeedRules(Words):
    """Needs and fainting."""

    hunger_decay: Unit = 0.01  # per tick
    hygiene_decay: Unit = 0.005
    energy_decay: Unit = 0.008
    faint_threshold: Unit = 0.03  # hunger at or below this faints
    respawn_delay_ticks: Ticks | None = None  # null: nobody takes the place


class QueueRules(Words):
    """Lines, offers and displacement."""

    cooldown_ticks: Ticks = 60
    age_priority_weight: Amount = 0.0  # 0: strictly first come, first served
    ghost_step_after: Annotated[int, Field(ge=1, le=MAX_TICKS)] = 3
    patience_ticks: Annotated[int, Field(ge=1, le=MAX_TICKS)] = 8


class ConflictRules(Words):
    """How bad a quarrel is."""

    boost_ghost_step: Amount = 1.5
    boost_contention: Amount = 1.0
    boost_impatience: Amount = 0.5
    intensity_per_waiter: Amount = 0.25  # for each waiting agent beyond the first
    intensity_min: Amount = 0.1
    intensity_max: Amount = 5.0


class RivalryRules(Words):
    """How quarrels are remembered."""

    increment_per_conflict: Unit = 0.15  # times intensity
    decay_per_tick: Unit = 0.005
    eviction_threshold: Unit = 0.05
    max_edges: Annotated[int, Field(ge=1, le=MAX_AGENTS)] = 6
    avoid_threshold: Unit = 0.7


class RelationshipRules(Words):
    """How kindness is remembered. Each number moves trust and familiarity of both."""

    handover_rivalry: Unit = 0.05  # taken from their rivalry
    handover_trust: Unit = 0.05
    handover_familiarity: Unit = 0.05
    chat_trust: Unit = 0.02
    chat_familiarity: Unit = 0.05
    chat_failure_trust: Unit = 0.02  # lost
    meal_radius: Annotated[int, Field(ge=1, le=MAX_SIDE)] = 2  # tiles, diagonals count as one
    meal_memory_ticks: Ticks = 15
    meal_trust: Unit = 0.03
    meal_familiarity: Unit = 0.08
    help_trust: Unit = 0.1  # covering for a late colleague
    takeover_trust: Unit = 0.15  # taking an absent colleague's shift
    meeting_trust: Unit = 0.05  # coming together at a meeting
    meeting_familiarity: Unit = 0.1


class EmploymentRules(Words):
    """Punctuality."""

    grace_ticks: Ticks = 5
    absent_cutoff: Ticks = 30


class Perturbation(Words):
    """Something that befalls the town for a while; chance may decide whether and when."""

    start_tick: Ticks | tuple[Ticks, Ticks]  # of the episode; a pair: drawn, both ends included
    duration_ticks: Annotated[int, Field(ge=1, le=MAX_TICKS)]
    probability: Unit = 1.0  # that it happens in an episode

    @property
    def start_range(self) -> tuple[int, int]:
        """Earliest and latest start."""
        start = self.start_tick
        return (start, start) if isinstance(start, int) else start


class Outage(Perturbation):
    """Objects of one kind, or of all that need one utility, can't be started; those in use finish."""

    kind: Name | None = None  # this kind, or
    utility: Utility | None = None  # all kinds that need this


class PriceSpike(Perturbation):
    """Objects of one kind cost several times as much, for who starts them meanwhile."""

    kind: Name
    factor: Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)]


class Meeting(Perturbation):
    """An arranged meeting: who is invited and comes gets to know the others who came."""

    place: Position | Name  # a tile, or an object
    radius: Annotated[int, Field(ge=1, le=MAX_SIDE)] = 2  # tiles, diagonals count as one
    agents: list[Name] = []  # who is invited; empty: everybody


class Rules(Words):
    """Every constant of the town."""

    ticks_per_day: Annotated[int, Field(ge=1, le=MAX_TICKS)] = 1440
    day_start_tick: Ticks = 0  # time of day at the first tick of an episode
    epsilon: Unit = 0.02  # how often the scripted policy takes a random legal action
    needs: NeedRules = NeedRules()
    queues: QueueRules = QueueRules()
    conflict: ConflictRules = ConflictRules()
    rivalry: RivalryRules = RivalryRules()
    relationships: RelationshipRules = RelationshipRules()
    employment: EmploymentRules = EmploymentRules()


class Rewards(Words):
    """Every coefficient of the reward; all zero makes a town that pays nothing."""

    survival: Amount = 0.01  # per tick
    wages: Amount = 1.0  # per unit of money earned
    punctuality_bonus: Amount = 0.2  # once per shift, for arriving in time
    lateness: Amount = 1.0  # times the job's lateness_penalty
    satisfaction: Amount = 1.0  # per unit of need gained on completion
    hunger_deficit: Amount = 0.03  # times deficit squared, per tick
    hygiene_deficit: Amount = 0.02
    energy_deficit: Amount = 0.02
    conflict_penalty: Amount = 0.1  # times intensity, both parties
    faint_penalty: Amount = 1.0
    clip_per_tick: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = 1.0


class Scenario(Words):
    """A whole scenario file."""

    name: Name
    description: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    ticks: Annotated[int, Field(ge=1, le=MAX_TICKS)]  # length of an episode
    grid: Grid
    kinds: dict[Name, Kind] = {}  # added to, or replacing, the built-in ones
    objects: Annotated[list[ObjectSpec], Field(max_length=MAX_OBJECTS)] = []
    agents: Annotated[list[AgentSpec], Field(max_length=MAX_AGENTS)] = []
    jobs: dict[Name, Job] = {}
    outages: Annotated[list[Outage], Field(max_length=MAX_PERTURBATIONS)] = []
    price_spikes: Annotated[list[PriceSpike], Field(max_length=MAX_PERTURBATIONS)] = []
    meetings: Annotated[list[Meeting], Field(max_length=MAX_PERTURBATIONS)] = []
    rules: Rules = Rules()
    rewards: Rewards = Rewards()
    expect: dict[str, tuple[float | None, float | None]] = {}  # capture metric: [least, most]; null is open

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
