"""Entities of the slow town: agents and objects, random numbers, walking distances."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from townlet_core.scenario.model import AgentSpec, Job, Kind, Meeting
from townlet_core.vocab import EAST, NORTH, SOUTH, WEST

FREE, WAITING, HOLDING, USING = "free", "waiting", "holding", "using"
MOVES = {NORTH: (0, -1), EAST: (1, 0), SOUTH: (0, 1), WEST: (-1, 0)}
WORD = (1 << 64) - 1
NEEDS = ("hunger", "hygiene", "energy")
VITAL = ("hunger",)  # at the threshold, an agent faints


def mix(state: int, coordinate: int) -> int:
    """Fold one more coordinate into `state`, with the finaliser of splitmix64."""
    z = ((state ^ (coordinate & WORD)) + 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


@dataclass(eq=False)
class Thing:
    """An object in town."""

    index: int
    kind_name: str
    kind: Kind
    x: int
    y: int
    stock: int | None  # None: not counted
    user: Agent | None = None
    holder: Agent | None = None
    line: list[Agent] = field(default_factory=list)
    idle_ticks: int = 0  # of the holder
    left_by: Agent | None = None  # who freed it politely, until the next offer
    conflict_since_offer: bool = False
    steps: dict[tuple[int, int], int] = field(default_factory=dict)  # tile → walking distance


@dataclass(eq=False)
class Agent:
    """An inhabitant. The last block is about the last tick only."""

    index: int
    spec: AgentSpec
    job: Job | None
    workplace: Thing | None
    x: int
    y: int
    needs: dict[str, float]
    wallet: float
    in_town: bool = True
    role: str = FREE
    thing: Thing | None = None  # what it waits for, holds or uses
    ticks_waited: int = 0
    progress: int = 0
    agreed_price: float = 0.0  # of what it uses
    cooldown_until: dict[int, int] = field(default_factory=dict)  # object → first tick without
    last_meal: int | None = None  # tick
    faint_tick: int = -1  # of who is gone
    # Employment
    shift_state: str = "pre"
    in_shift: bool = False
    shift_tick: int = 0  # its first tick in this shift
    arrived: bool = False
    late_ticks: int = 0
    withheld: float = 0.0
    attended_ticks: int = 0
    shares: list[float] = field(default_factory=list)
    # What it did
    is_new: bool = True
    last_action: int | None = None
    last_success: bool = True
    legal: list[bool] = field(default_factory=list)
    # This tick
    invalid: bool = False
    fainted: bool = False
    earned: float = 0.0
    gained: float = 0.0
    came_on_time: bool = False
    late_now: bool = False
    reward: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)
    terminated: bool = False
    truncated: bool = False

    @property
    def taken(self) -> Thing:
        """What it waits for, holds or uses; for agents that are not FREE."""
        assert self.thing is not None
        return self.thing


@dataclass(eq=False)
class Gathering:
    """A meeting of this episode."""

    meeting: Meeting
    thing: Thing | None  # where it is, if that is an object
    place: tuple[int, int]
    start_tick: int
    steps: dict[tuple[int, int], int]
    attended: set[Agent] = field(default_factory=set)

    @property
    def end_tick(self) -> int:
        return self.start_tick + self.meeting.duration_ticks


def walking_distances(goal: tuple[int, int], floor: frozenset[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Tell for each floor tile how many steps lead to `goal`; unreachable tiles are absent."""
    steps = {goal: 0} if goal in floor else {}
    edge = deque([(*goal, 0)])
    while edge:
        x, y, distance = edge.popleft()
        for dx, dy in MOVES.values():
            tile = (x + dx, y + dy)
            if tile in floor and tile not in steps:
                steps[tile] = distance + 1
                edge.append((*tile, distance + 1))
    return steps


def nearest(things: list[Thing], x: int, y: int) -> Thing | None:
    """Return the thing fewest steps from this tile, then of lowest index; None if none is reachable."""
    reachable = [thing for thing in things if (x, y) in thing.steps]
    if len(reachable) < 2:
        return reachable[0] if reachable else None
    return min(reachable, key=lambda thing: (thing.steps[x, y], thing.index), default=None)


def within(low: float, value: float, high: float) -> float:
    """Clamp."""
    return low if value < low else high if value > high else value
