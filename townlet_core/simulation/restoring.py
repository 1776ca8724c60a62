"""What towns read from a file may hold: compiled rules use its numbers as indices and do not check them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from townlet_core.simulation.state import (
    AGENT,
    BORDER,
    FREE,
    HOLDING,
    NOBODY,
    USING,
    WAITING,
    TownState,
    record,
)
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import ACTION_COUNT, CONFLICT_REASONS, EVENTS, NEEDS, SHIFT_STATES

# Version 0.1.0 saved every need of an agent as a field of its own.
AGENT_0_1 = record(
    [
        field
        for name in AGENT.names or ()
        for field in ([(need, np.float64) for need in NEEDS] if name == "needs" else [(name, AGENT[name])])
    ]
)
ANY = 2**62  # no bound of its own
UNIT, BIPOLAR, NATURAL = (0, 1), (-1, 1), (0, ANY)


class Odd(NamedTuple):
    """A value that no town can hold."""

    field: str
    found: object
    expected: str


def agents_from_0_1(saved: np.ndarray) -> np.ndarray:
    """Convert agents from the layout AGENT_0_1, field by field."""
    agents = np.zeros(saved.shape, AGENT)
    for name in AGENT.names or ():
        agents[name] = np.stack([saved[need] for need in NEEDS], -1) if name == "needs" else saved[name]
    return agents


def find_impossible(state: TownState, towns: Towns) -> Odd | None:
    """Return the first thing in `state` that these towns cannot hold; None if there is none.

    state: arrays of the shapes and types of `towns.state`. Checked are what would lead a rule outside an
    array or round a line for ever, booleans, and that numbers are finite; a digest tells the rest.
    """
    return next(_odd_numbers(state, towns), None) or _odd_roles(state)


def _odd_numbers(state: TownState, towns: Towns) -> Iterator[Odd]:
    ranges = _ranges(towns)
    told = np.arange(state.events.shape[1]) < state.towns["event_count"][:, None]
    for name, array in state._asdict().items():
        rows = array[told] if name == "events" else array
        for field in rows.dtype.names or ("",):
            place = f"{name}.{field}".rstrip(".")
            values = np.asarray(rows[field] if field else rows)
            if values.dtype == bool:
                values, low, high = values.view(np.uint8), 0, 1
            else:
                low, high = ranges.get(place, (-ANY, ANY))
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                yield Odd(place, values[~np.isfinite(values)][0], "a finite number")
            beyond = (values < low) | (values > high)
            if low > -ANY and beyond.any():
                yield Odd(place, values[beyond][0], f"{low} to {high}" if high < ANY else f"at least {low}")
    numbers = towns.state.towns["town"]
    if (state.towns["town"] != numbers).any():
        yield Odd("towns.town", state.towns["town"][0], f"{numbers[0]} to {numbers[-1]}, in order")


def _ranges(towns: Towns) -> dict[str, tuple[int, int]]:
    """The least and greatest value of a field, both allowed; `name.field` for records."""
    constants, floor = towns.params.constants[0], towns.params.floor
    _, things, people = towns.state.line.shape
    agent, thing, somebody = (0, people - 1), (NOBODY, things - 1), (NOBODY, people - 1)
    return {
        "towns.episode": NATURAL,
        "towns.tick": (0, int(constants["ticks"])),
        "towns.clock": (0, int(constants["ticks_per_day"]) - 1),
        "towns.event_count": (0, towns.state.events.shape[1]),
        **{f"towns.{name}": NATURAL for name in ("invalid_actions", "actions", "tally", "intensity_sum")},
        "agents.x": (0, floor.shape[1] - 2 * BORDER - 1),
        "agents.y": (0, floor.shape[0] - 2 * BORDER - 1),
        "agents.needs": UNIT,
        "agents.wallet": NATURAL,
        "agents.role": (FREE, USING),
        "agents.object": thing,
        "agents.legal": (1, (1 << ACTION_COUNT) - 1),
        "agents.action": (0, ACTION_COUNT - 1),
        "agents.shift_state": (0, len(SHIFT_STATES) - 1),
        **{
            f"agents.{name}": NATURAL
            for name in ("ticks_waited", "progress", "late_ticks", "attended_ticks", "shifts")
        },
        "agents.respawn_tick": (NOBODY, ANY),
        "objects.user": somebody,
        "objects.holder": somebody,
        "objects.last_user": somebody,
        "objects.line_length": (0, people),
        "objects.idle_ticks": NATURAL,
        "objects.stock": (-1, ANY),
        "line": agent,
        "order": agent,
        "rivalry": UNIT,
        "trust": BIPOLAR,
        "familiarity": BIPOLAR,
        "events.type": (0, len(EVENTS) - 1),
        "events.reason": (-1, len(CONFLICT_REASONS) - 1),
        "events.actor": somebody,
        "events.rival": somebody,
        "events.object": thing,
        "perturbations.attended": UNIT,
    }


def _odd_roles(state: TownState) -> Odd | None:
    """Objects and agents say the same of who uses, holds and waits for what, and nobody is there twice."""
    agents, objects = state.agents, state.objects
    role = np.full(agents.shape, FREE)
    thing = np.full(agents.shape, NOBODY)
    count = np.zeros(agents.shape, int)
    waiting = np.arange(state.line.shape[2]) < objects["line_length"][..., None]
    for kind, party, there in (
        (USING, objects["user"][..., None], objects["user"][..., None] != NOBODY),
        (HOLDING, objects["holder"][..., None], objects["holder"][..., None] != NOBODY),
        (WAITING, state.line, waiting),
    ):
        b, o, place = there.nonzero()
        i = party[b, o, place]
        role[b, i], thing[b, i] = kind, o
        np.add.at(count, (b, i), 1)
    for name, expected in (("role", role), ("object", thing)):
        other = agents[name] != expected
        if other.any():
            return Odd(
                f"agents.{name}", agents[name][other][0], f"{expected[other][0]}, as the objects have it"
            )
    if (count > 1).any():
        return Odd("line", int(count.max()), "everybody in one place at most")
    return None
