"""Every name that two rooms share: actions, needs, features, events, reward terms, file schema."""

from __future__ import annotations

import re
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

# Observations (docs/data.md says what each feature means).
MAP_CHANNELS = ("self", "agents", "objects", "reservations")
MAP_SIZE = 11
MAP_SHAPE = (len(MAP_CHANNELS), MAP_SIZE, MAP_SIZE)
NEIGHBOURS = 3  # nearest agents described by features
BASE_FEATURES = (
    *(f"need_{name}" for name in NEEDS),
    "wallet",
    "lateness_counter",
    "on_shift",
    "time_sin",
    "time_cos",
    "attendance_ratio",
    "wages_withheld",
    "shift_pre",
    "shift_on_time",
    "shift_late",
    "shift_absent",
    "shift_post",
    "embedding_slot_norm",
    "ctx_reset_flag",
    "episode_progress",
    "rivalry_max",
    "rivalry_avoid_count",
)
STATE_FEATURES = (
    "in_queue",
    "queue_position",
    "holds_reservation",
    "using_progress",
    "cooldown_left",
    *(f"last_action_{name}" for name in ACTIONS),
    "last_action_success",
    "work_step_x",
    "work_step_y",
    "work_distance",
    "ticks_to_shift",
)
KIND_FEATURES = ("step_x", "step_y", "distance", "free", "queue_length", "stock")
NEIGHBOUR_FEATURES = ("offset_x", "offset_y", "rivalry", "trust", "familiarity")
MEETING_FEATURES = (
    "meeting_step_x",
    "meeting_step_y",
    "meeting_distance",
    "meeting_is_on",
    "ticks_to_meeting",
)


def feature_names(
    kinds: tuple[str, ...] = OBJECT_KINDS, has_price_spikes: bool = False, has_meetings: bool = False
) -> tuple[str, ...]:
    """Name the feature columns, in order, of a town with these object kinds and perturbations."""
    return (
        *BASE_FEATURES,
        *STATE_FEATURES,
        *(f"{kind}_{name}" for kind in kinds for name in KIND_FEATURES),
        *(f"neighbour{n}_{name}" for n in range(NEIGHBOURS) for name in NEIGHBOUR_FEATURES),
        *(f"{kind}_price" for kind in kinds if has_price_spikes),
        *(MEETING_FEATURES if has_meetings else ()),
    )


# Files.
SAMPLE_SCHEMA_VERSION = "2.0"
TELEMETRY_VERSION = 1.1
DATA_MODES = ("replay", "rollout", "mixed")
CONFLICT_FEATURES = ("rivalry_max", "rivalry_avoid_count")  # a sample without them can't teach conflict
