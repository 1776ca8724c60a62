"""Every name that two rooms share: actions, needs, features, events, reward terms, file schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

NAME_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # agent, object, job and scenario names

# Actions, the same in every sample for ever. The index is the id.
ACTIONS = ("wait", "north", "east", "south", "west", "request", "start", "release", "chat")
WAIT, NORTH, EAST, SOUTH, WEST, REQUEST, START, RELEASE, CHAT = range(9)
ACTION_COUNT = len(ACTIONS)
ACTION_LOOKUP = {name: i for i, name in enumerate(ACTIONS)}


class Need(NamedTuple):
    """A row of the table of needs. A need is a number from 0, desperate, to 1, satisfied."""

    name: str
    meaning: str  # what the number says
    is_vital: bool  # an agent faints when this need falls to `faint_threshold`
    decay: float  # lost per tick, unless a scenario says otherwise
    deficit: float  # weight of (1 − need)² in the reward, unless a scenario says otherwise


# Keys of scenario files, state, features, metrics and pictures follow from this table, in its order.
NEED_TABLE = (
    Need("hunger", "how well fed", is_vital=True, decay=0.01, deficit=0.03),
    Need("hygiene", "how clean", is_vital=False, decay=0.005, deficit=0.02),
    Need("energy", "how rested", is_vital=False, decay=0.008, deficit=0.02),
)
NEEDS = tuple(need.name for need in NEED_TABLE)
VITAL_NEEDS = tuple(need.name for need in NEED_TABLE if need.is_vital)

OBJECT_KINDS = ("shower", "fridge", "stove", "bed", "bench", "checkout")  # built in; scenarios may add more
UTILITIES = ("water", "power")  # what a kind may need, and an outage may cut off

SHIFT_STATES = ("pre", "on_time", "late", "absent", "post")
PRE, ON_TIME, LATE, ABSENT, POST = range(5)

# What makes up a reward; they sum to it. `clipped` is what the per-tick clip took away (docs/rules.md).
REWARD_TERMS = (
    "survival",
    "wages",
    "punctuality",
    "satisfaction",
    "deficit",
    "conflict",
    "faint",
    "clipped",
)

# Events. The index is the id inside the simulation; files carry the name.
EVENTS = (
    "queue_conflict",
    "queue_handover",
    "affordance_complete",
    "shower_complete",
    "sleep_complete",
    "shared_meal",
    "late_help",
    "shift_takeover",
    "chat_success",
    "chat_failure",
    "utility_outage",
    "shift_on_time",
    "shift_late",
    "shift_absent",
    "faint",
    "arrival",
    "price_spike",
    "meeting",
    "meeting_attended",
)
CONFLICT_REASONS = ("ghost_step", "contention", "impatience")
GHOST_STEP, CONTENTION, IMPATIENCE = range(3)

# Observations.
MAP_CHANNELS = ("self", "agents", "objects", "reservations")
MAP_SIZE = 11
MAP_SHAPE = (len(MAP_CHANNELS), MAP_SIZE, MAP_SIZE)
NEIGHBOURS = 3  # nearest agents described by features

# Scales of features: x / (x + scale) is one half at the scale; an offset / scale is clipped to −1…1.
WALLET_SCALE = 10.0  # money
WAGES_SCALE = 1.0  # money
PRICE_SCALE = 1.0  # money
LINE_SCALE = 2.0  # agents
STOCK_SCALE = 4.0  # units
DISTANCE_SCALE = 8.0  # steps
OFFSET_SCALE = 16.0  # tiles

AGENTS = "agents"  # an upper bound: the number of agents in the scenario


class Feature(NamedTuple):
    """A row of the table of features: columns, spaces and the tables of docs/data.md follow from it."""

    name: str
    low: float  # bounds, both included; False and True for a flag
    high: float | str
    scale: float | None
    meaning: str  # with `{scale:g}` for the scale
    written_by: str  # the function of simulation/observation.py


def _rows(written_by: str, *rows: tuple[str, float, float | str, float | None, str]) -> tuple[Feature, ...]:
    return tuple(Feature(*row, written_by) for row in rows)


OWN_FEATURES = (
    *_rows(
        "_write_base",
        *((f"need_{need}", 0, 1, None, "1 is satisfied") for need in NEEDS),
        ("wallet", 0, 1, WALLET_SCALE, "w / (w + {scale:g})"),
        ("lateness_counter", 0, 1, None, "late ticks in this shift / `absent_cutoff`, at most 1"),
        ("on_shift", False, True, None, "the agent's shift is on"),
        ("time_sin", -1, 1, None, "sine of the time of day"),
        ("time_cos", -1, 1, None, "cosine of the time of day"),
        ("attendance_ratio", 0, 1, None, "over the last three shifts"),
        ("wages_withheld", 0, 1, WAGES_SCALE, "w / (w + {scale:g})"),
        *(
            (f"shift_{state}", False, True, None, meaning)
            for state, meaning in zip(
                SHIFT_STATES,
                ("before the shift", "arrived on time", "late", "absent", "after the shift"),
                strict=True,
            )
        ),
        ("embedding_slot_norm", 0, 1, None, "the agent's index, as a fraction of the number of agents"),
        ("ctx_reset_flag", False, True, None, "first observation of an episode or of a newcomer"),
        ("episode_progress", 0, 1, None, "tick / ticks of the scenario"),
        ("rivalry_max", 0, 1, None, "strongest rivalry with any agent"),
        ("rivalry_avoid_count", 0, AGENTS, None, "agents with rivalry at or above `avoid_threshold`"),
    ),
    *_rows(
        "_write_activity",
        ("in_queue", False, True, None, "waiting in a line"),
        ("queue_position", 0, 1, None, "1 / (1 + position); 0 outside a line"),
        ("holds_reservation", False, True, None, "an object is offered to the agent"),
        ("using_progress", 0, 1, None, "completed fraction of the affordance in use, or of the shift"),
        ("cooldown_left", 0, 1, None, "largest cooldown over the objects / `cooldown_ticks`"),
        *(
            (f"last_action_{action}", False, True, None, f"the last action was `{action}`")
            for action in ACTIONS
        ),
        ("last_action_success", False, True, None, "whether the last action succeeded; 1 before the first"),
    ),
    *_rows(
        "_write_work",
        ("work_step_x", -1, 1, None, "next step of the shortest path to the workplace"),
        ("work_step_y", -1, 1, None, "the same, south positive"),
        ("work_distance", 0, 1, DISTANCE_SCALE, "d / (d + {scale:g})"),
        ("ticks_to_shift", 0, 1, None, "ticks until the next shift / ticks of a day; 0 during a shift"),
    ),
)
KIND_FEATURES = _rows(  # of each kind of object, behind `<kind>_`
    "_write_kinds",
    ("step_x", -1, 1, None, "next step of the shortest path to the nearest object of the kind"),
    ("step_y", -1, 1, None, "the same, south positive"),
    ("distance", 0, 1, DISTANCE_SCALE, "d / (d + {scale:g}), d = 1 beside it"),
    ("free", False, True, None, "it has no user and no holder"),
    ("queue_length", 0, 1, LINE_SCALE, "q / (q + {scale:g})"),
    ("stock", 0, 1, STOCK_SCALE, "s / (s + {scale:g})"),
)
NEIGHBOUR_FEATURES = _rows(  # of each of the nearest agents, behind `neighbour<n>_`
    "_write_neighbour",
    ("offset_x", -1, 1, OFFSET_SCALE, "tiles to the east / {scale:g}"),
    ("offset_y", -1, 1, OFFSET_SCALE, "tiles to the south / {scale:g}"),
    ("rivalry", 0, 1, None, "with this agent"),
    ("trust", -1, 1, None, "with this agent"),
    ("familiarity", -1, 1, None, "with this agent"),
)
PRICE_FEATURES = _rows(  # of each kind of object, behind `<kind>_`
    "_write_prices",
    ("price", 0, 1, PRICE_SCALE, "p / (p + {scale:g}), p = current price of the nearest object of the kind"),
)
MEETING_FEATURES = _rows(
    "_write_meeting",
    ("meeting_step_x", -1, 1, None, "next step of the shortest path to its place"),
    ("meeting_step_y", -1, 1, None, "the same, south positive"),
    ("meeting_distance", 0, 1, DISTANCE_SCALE, "d / (d + {scale:g}), d = 0 at the tile, 1 beside the object"),
    ("meeting_is_on", False, True, None, "it has begun"),
    ("ticks_to_meeting", 0, 1, None, "ticks until it begins / ticks of a day, at most 1"),
)


def features_of(
    kinds: tuple[str, ...] = OBJECT_KINDS, has_price_spikes: bool = False, has_meetings: bool = False
) -> tuple[Feature, ...]:
    """Return the rows of all columns, in order, for a town with these object kinds and perturbations."""
    return (
        *OWN_FEATURES,
        *(row for kind in kinds for row in _behind(kind, KIND_FEATURES)),
        *(row for n in range(NEIGHBOURS) for row in _behind(f"neighbour{n}", NEIGHBOUR_FEATURES)),
        *(row for kind in kinds if has_price_spikes for row in _behind(kind, PRICE_FEATURES)),
        *(MEETING_FEATURES if has_meetings else ()),
    )


def _behind(prefix: str, rows: tuple[Feature, ...]) -> Iterator[Feature]:
    return (row._replace(name=f"{prefix}_{row.name}") for row in rows)


def feature_names(
    kinds: tuple[str, ...] = OBJECT_KINDS, has_price_spikes: bool = False, has_meetings: bool = False
) -> tuple[str, ...]:
    """Name the feature columns, as features_of does."""
    return tuple(row.name for row in features_of(kinds, has_price_spikes, has_meetings))


# Files.
SAMPLE_SCHEMA_VERSION = "2.0"
TELEMETRY_VERSION = 1.1
DATA_MODES = ("replay", "rollout", "mixed")
CONFLICT_FEATURES = ("rivalry_max", "rivalry_avoid_count")  # a sample without them can't teach conflict
