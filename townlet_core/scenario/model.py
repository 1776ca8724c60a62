"""The words of a scenario file: every key, its default, its range, and what it means.

The rules themselves are in docs/rules.md; a number here is the constant of the rule of the same name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

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
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Change = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Ticks = Annotated[int, Field(ge=0, le=MAX_TICKS)]
SomeTicks = Annotated[int, Field(ge=1, le=MAX_TICKS)]
Utility = Literal["water", "power"]
Stock = Annotated[int, Field(ge=0, le=10_000)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


def means(text: str) -> Any:
    """Say what a key is for: in the schema for editors, and in docs/scenarios.md."""
    return Field(description=text)


class Words(BaseModel):
    """A block of the file: unknown keys are mistakes, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Needs(Words):
    """How satisfied an agent is: 1 satisfied, 0 desperate."""

    hunger: Annotated[Unit, means("how well fed")] = 0.7
    hygiene: Annotated[Unit, means("how clean")] = 0.7
    energy: Annotated[Unit, means("how rested")] = 0.7


class Effects(Words):
    """What finishing an affordance adds to each need."""

    hunger: Annotated[Change, means("change of hunger")] = 0.0
    hygiene: Annotated[Change, means("change of hygiene")] = 0.0
    energy: Annotated[Change, means("change of energy")] = 0.0


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

    move: Annotated[Position | Name | None, means("walk to a tile, or beside an object")] = None
    request: Annotated[Name | None, means("walk to an object and join its line")] = None
    start: Annotated[Name | None, means("wait for the turn at an object, then begin to use it")] = None
    release: Annotated[Literal[True] | None, means("leave line or object")] = None
    chat: Annotated[Name | None, means("walk up to an agent and talk to it")] = None
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


class NeedRules(Words):
    """Needs and fainting."""

    hunger_decay: Annotated[Unit, means("hunger lost per tick")] = 0.01
    hygiene_decay: Annotated[Unit, means("hygiene lost per tick")] = 0.005
    energy_decay: Annotated[Unit, means("energy lost per tick")] = 0.008
    faint_threshold: Annotated[Unit, means("hunger at or below this faints")] = 0.03
    respawn_delay_ticks: Annotated[Ticks | None, means("when a newcomer takes the place; `null`: never")] = (
        None
    )


class QueueRules(Words):
    """Lines, offers and displacement."""

    cooldown_ticks: Annotated[Ticks, means("after finishing, for how long one may not rejoin the line")] = 60
    age_priority_weight: Annotated[
        Amount,
        means("how much waiting counts against position in line; 0: strictly first come, first served"),
    ] = 0.0
    ghost_step_after: Annotated[
        SomeTicks, means("for how long one may hold an offered object without starting while somebody waits")
    ] = 3
    patience_ticks: Annotated[
        SomeTicks, means("how long the first in line waits behind a busy user before a quarrel")
    ] = 8


class ConflictRules(Words):
    """How bad a quarrel is."""

    boost_ghost_step: Annotated[Amount, means("boost when an idle holder is displaced")] = 1.5
    boost_contention: Annotated[Amount, means("boost when two ask for the same free object at once")] = 1.0
    boost_impatience: Annotated[Amount, means("boost when the first in line has waited too long")] = 0.5
    intensity_per_waiter: Annotated[Amount, means("for each waiting agent beyond the first")] = 0.25
    intensity_min: Annotated[Amount, means("least intensity; at most `intensity_max`")] = 0.1
    intensity_max: Annotated[Amount, means("greatest intensity")] = 5.0


class RivalryRules(Words):
    """How quarrels are remembered."""

    increment_per_conflict: Annotated[Unit, means("rivalry gained per conflict, times its intensity")] = 0.15
    decay_per_tick: Annotated[Unit, means("rivalry lost per tick")] = 0.005
    eviction_threshold: Annotated[Unit, means("rivalry at or below this is forgotten")] = 0.05
    max_edges: Annotated[
        int,
        Field(ge=1, le=MAX_AGENTS),
        means("rivals one can remember; the weakest is forgotten first"),
    ] = 6
    avoid_threshold: Annotated[Share, means("rivalry from which one avoids the other")] = 0.7


class RelationshipRules(Words):
    """How kindness is remembered. Each number moves trust and familiarity of both."""

    handover_rivalry: Annotated[Unit, means("rivalry lost by a polite hand-over")] = 0.05
    handover_trust: Annotated[Unit, means("trust gained by a polite hand-over")] = 0.05
    handover_familiarity: Annotated[Unit, means("familiarity gained by a polite hand-over")] = 0.05
    chat_trust: Annotated[Unit, means("trust gained by a chat")] = 0.02
    chat_familiarity: Annotated[Unit, means("familiarity gained by a chat")] = 0.05
    chat_failure_trust: Annotated[Unit, means("trust lost by a chat that fails")] = 0.02
    meal_radius: Annotated[Side, means("within how many tiles a meal is shared; diagonals count as one")] = 2
    meal_memory_ticks: Annotated[Ticks, means("within how many ticks a meal is shared")] = 15
    meal_trust: Annotated[Unit, means("trust gained by a shared meal")] = 0.03
    meal_familiarity: Annotated[Unit, means("familiarity gained by a shared meal")] = 0.08
    help_trust: Annotated[Unit, means("trust gained by covering for a late colleague")] = 0.1
    takeover_trust: Annotated[Unit, means("trust gained by taking an absent colleague's shift")] = 0.15
    meeting_trust: Annotated[Unit, means("trust gained by coming together at a meeting")] = 0.05
    meeting_familiarity: Annotated[Unit, means("familiarity gained by coming together at a meeting")] = 0.1


class EmploymentRules(Words):
    """Punctuality."""

    grace_ticks: Annotated[Ticks, means("within how many ticks of the start an arrival is on time")] = 5
    absent_cutoff: Annotated[
        Ticks, means("after how many ticks one counts as absent; at least `grace_ticks`")
    ] = 30


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


class Rules(Words):
    """Every constant of the town."""

    ticks_per_day: Annotated[SomeTicks, means("length of a day")] = 1440
    day_start_tick: Annotated[
        Ticks, means("time of day at the first tick of an episode; less than `ticks_per_day`")
    ] = 0
    epsilon: Annotated[Unit, means("how often the scripted policy takes a random legal action")] = 0.02
    needs: Annotated[NeedRules, means("needs and fainting")] = NeedRules()
    queues: Annotated[QueueRules, means("lines and offers")] = QueueRules()
    conflict: Annotated[ConflictRules, means("how bad a quarrel is")] = ConflictRules()
    rivalry: Annotated[RivalryRules, means("how quarrels are remembered")] = RivalryRules()
    relationships: Annotated[RelationshipRules, means("how kindness is remembered")] = RelationshipRules()
    employment: Annotated[EmploymentRules, means("punctuality")] = EmploymentRules()


class Rewards(Words):
    """Every coefficient of the reward; all zero makes a town that pays nothing."""

    survival: Annotated[Amount, means("paid per tick alive")] = 0.01
    wages: Annotated[Amount, means("paid per unit of money earned")] = 1.0
    punctuality_bonus: Annotated[Amount, means("paid once per shift, for arriving in time")] = 0.2
    lateness: Annotated[Amount, means("taken per late tick, times the job's `lateness_penalty`")] = 1.0
    satisfaction: Annotated[Amount, means("paid per unit of need gained on completion")] = 1.0
    hunger_deficit: Annotated[Amount, means("taken per tick, times the square of what hunger lacks to 1")] = (
        0.03
    )
    hygiene_deficit: Annotated[Amount, means("the same for what hygiene lacks")] = 0.02
    energy_deficit: Annotated[Amount, means("the same for what energy lacks")] = 0.02
    conflict_penalty: Annotated[Amount, means("taken from both parties, times intensity")] = 0.1
    faint_penalty: Annotated[Amount, means("taken for fainting")] = 1.0
    clip_per_tick: Annotated[
        float,
        Field(gt=0, le=1_000_000, allow_inf_nan=False),
        means("no reward of a tick is greater, nor less than its negative"),
    ] = 1.0


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
