"""The state of a batch of towns: fixed record layouts, one array per kind of entity.

Axes: B towns, A agents, O objects, E events of one tick. Agents and objects have their index in the scenario;
-1 is none. Layouts never depend on the scenario, so compiled kernels fit all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from townlet_core.scenario.values import MAX_AGENTS, MAX_OBJECTS
from townlet_core.vocab import EVENTS, NEEDS, REWARD_TERMS

NOBODY = -1
NEVER = -1_000_000_000  # a tick too far in the past to matter
FREE, WAITING, HOLDING, USING = range(4)  # the role of an agent towards its object

# A cell says in one byte what stands on a tile: nothing, a wall, an agent or an object by its index.
EMPTY = 0
WALL = 1
AGENT_CELL = 64  # to 127
OBJECT_CELL = 128  # to 255
BORDER = 1  # tiles of wall around the grid, so that a neighbour never leaves the array
assert AGENT_CELL + MAX_AGENTS <= OBJECT_CELL
assert OBJECT_CELL + MAX_OBJECTS <= 256


def record(fields: list[tuple]) -> np.dtype:
    """Make an aligned record layout whose items read as attributes, compiled and in plain Python."""
    return np.dtype((np.record, np.dtype(fields, align=True)))


TOWN = record(
    [
        ("key", np.uint64),  # where this episode's draws start (rng.town_key)
        ("town", np.int64),  # the town's number in the run: its coordinate of chance
        ("episode", np.int64),
        ("tick", np.int32),  # ticks played in this episode
        ("clock", np.int32),  # time of day of the current tick
        ("over", np.bool_),  # the episode has ended; the town waits for a restart
        ("doing", np.uint16),  # bit a is set when an agent takes action a in this tick
        ("is_engaged", np.bool_),  # an agent waits for, holds or uses an object at the start of the tick
        ("has_rivals", np.bool_),  # false: every rivalry is 0
        ("event_count", np.int32),  # events of the last tick, in `events`
        ("invalid_actions", np.int64),  # since the batch was made, as are the three below
        ("actions", np.int64),  # of agents in town
        ("tally", np.int64, (len(EVENTS),)),  # events of each type
        ("intensity_sum", np.float64),  # of queue conflicts
        ("chat_quality_sum", np.float64),  # of successful chats
    ]
)

AGENT = record(
    [
        ("alive", np.bool_),  # in town
        ("x", np.int16),
        ("y", np.int16),
        ("needs", np.float64, (len(NEEDS),)),  # vocab.NEEDS; 0 = desperate, 1 = satisfied
        ("wallet", np.float64),  # money, never negative
        ("role", np.int8),  # FREE, WAITING, HOLDING, USING
        ("object", np.int16),  # the object of the role, or -1
        ("ticks_waited", np.int32),  # in this line, since joining or being displaced
        ("progress", np.int32),  # ticks of use
        ("price", np.float64),  # of the use, as it was at its start
        ("legal", np.uint16),  # bit a is set when action a is legal in the next tick
        ("action", np.int8),  # of the last tick; an invalid one is wait
        ("success", np.bool_),  # of the action
        ("newcomer", np.bool_),  # has not acted yet
        ("shift_state", np.int8),  # vocab.SHIFT_STATES
        ("on_shift", np.bool_),  # its shift was on in the last tick
        ("shift_tick", np.int32),  # first tick of this shift for this agent
        ("arrived", np.bool_),  # at this shift
        ("late_ticks", np.int32),  # of this shift
        ("attended_ticks", np.int32),  # of this shift
        ("wages_withheld", np.float64),  # of this shift
        ("shifts", np.int32),  # completed shifts
        ("attendance", np.float64, (3,)),  # attended share of the last three shifts, a ring buffer
        ("cooldown_until", np.int32),  # first tick without a cooldown at any object
        ("last_meal_tick", np.int32),  # when it last finished a meal; NEVER if it has not
        ("respawn_tick", np.int32),  # first tick in which a newcomer may take the place, or -1
        # The tick just played:
        ("earned", np.float64),  # money
        ("gained", np.float64),  # need added by completed affordances
        ("late_penalty", np.float64),  # the job's penalty, if this tick was late
        ("conflict_events", np.float64),  # 0.5 for each conflict of this agent
        ("conflict_intensity", np.float64),  # half of the intensity of each
        ("reward", np.float64),
        ("terms", np.float64, (len(REWARD_TERMS),)),  # vocab.REWARD_TERMS; they sum to the reward
        ("was_punctual", np.bool_),  # arrived on time in this tick
        ("fainted", np.bool_),
        ("terminated", np.bool_),
        ("truncated", np.bool_),
    ]
)

OBJECT_STATE = record(
    [
        ("user", np.int16),
        ("holder", np.int16),  # agent that it is offered to
        ("line_length", np.int16),  # waiting; neither user nor holder is counted
        ("asked_free_tick", np.int32),  # last tick in which it was requested while free
        ("idle_ticks", np.int32),  # ticks in which the holder did not start while others waited
        ("last_user", np.int16),  # agent that freed it, until the next offer
        ("contested", np.bool_),  # a conflict has occurred since the last offer
        ("out_of_order", np.bool_),
        ("stock", np.int32),  # units; -1 = not counted
        ("price", np.float64),  # in the next tick
    ]
)

PERTURBATION_STATE = record(
    [
        ("start_tick", np.int32),  # as drawn for this episode; NEVER if it does not happen
        ("attended", np.int8, (MAX_AGENTS,)),  # 1: the agent has attended this meeting
    ]
)

EVENT = record(
    [
        ("type", np.int8),  # vocab.EVENTS
        ("reason", np.int8),  # vocab.CONFLICT_REASONS, or -1
        ("actor", np.int8),
        ("rival", np.int8),
        ("object", np.int16),
        ("queue_length", np.int16),
        ("value", np.float64),  # intensity of a conflict, quality of a chat
    ]
)


class TownState(NamedTuple):
    """All towns of a batch. The caller owns the arrays; the rules write in place."""

    towns: np.ndarray  # (B,) TOWN
    agents: np.ndarray  # (B, A) AGENT
    objects: np.ndarray  # (B, O) OBJECT_STATE
    line: np.ndarray  # (B, O, A) int16 agents in line, first come first
    cooldown: np.ndarray  # (B, O, A) int32 first tick at which the agent may join again
    rivalry: np.ndarray  # (B, A, A) float64 in [0, 1], symmetric, diagonal 0
    trust: np.ndarray  # (B, A, A) float64 in [-1, 1], symmetric, diagonal 0
    familiarity: np.ndarray  # (B, A, A) float64 in [-1, 1], symmetric, diagonal 0
    order_key: np.ndarray  # (B, A) uint64 drawn for the last tick; the lowest is served first
    order: np.ndarray  # (B, A) int16 agents in serving order of the last tick
    events: np.ndarray  # (B, E) EVENT of the last tick
    perturbations: np.ndarray  # (B, P) PERTURBATION_STATE: outages, then price spikes, then meetings


def events_per_tick(agents: int, perturbations: int) -> int:
    """Bound the events of one tick: no rule emits more than one per agent, and twelve rules emit.

    A perturbation emits one when it starts, and one per agent if it is a meeting.
    """
    return 12 * agents + perturbations * (1 + agents)


def allocate(towns: int, agents: int, objects: int, perturbations: int) -> TownState:
    """Make zeroed arrays for a batch; rules.episodes.restart_town fills them."""
    shape = (towns, agents, agents)
    return TownState(
        np.zeros(towns, TOWN),
        np.zeros((towns, agents), AGENT),
        np.zeros((towns, objects), OBJECT_STATE),
        np.zeros((towns, objects, agents), np.int16),
        np.zeros((towns, objects, agents), np.int32),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros((towns, agents), np.uint64),
        np.zeros((towns, agents), np.int16),
        np.zeros((towns, events_per_tick(agents, perturbations)), EVENT),
        np.zeros((towns, perturbations), PERTURBATION_STATE),
    )
