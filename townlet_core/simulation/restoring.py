"""Checks of a town state that was read from a file: compiled rules use its numbers as indices, unchecked."""

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


class Misfit(NamedTuple):
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


def find_misfit(state: TownState, towns: Towns) -> Misfit | None:
    """Return the first value in `state` that these towns cannot hold; None if there is none.

    state: arrays of the shapes and types of `towns.state`. Checked are values that would lead a rule outside
    an array or into an endless loop, booleans, and that numbers are finite. A digest covers the rest.
    """
    return next(_misfit_numbers(state, towns), None) or _misfit_roles(state)


def _misfit_numbers(state: TownState, towns: Towns) -> Iterator[Misfit]:
    ranges = _ranges(towns)
    is_event = np.arange(state.events.shape[1]) < state.towns["event_count"][:, None]
    for name, array in state._asdict().items():
        rows = array[is_event] if name == "events" else array
        for field in rows.dtype.names or ("",):
            place = f"{name}.{field}".rstrip(".")
            values = np.asarray(rows[field] if field else rows)
            if values.dtype == bool:
                values, low, high = values.view(np.uint8), 0, 1
            else:
                low, high = ranges.get(place, (-ANY, ANY))
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                yield Misfit(place, values[~np.isfinite(values)][0], "a finite number")
            beyond = (values < low) | (values > high)
            if low > -ANY and beyond.any():
                yield Misfit(
                    place, values[beyond][0], f"{low} to {high}" if high < ANY else f"at least {low}"
                )
    numbers = towns.state.towns["town"]
    if (state.towns["town"] != numbers).any():
        yield Misfit("towns.town", state.towns["town"][0], f"{numbers[0]} to {numbers[-1]}, in order")


def _ranges(towns: Towns) -> dict[str, tuple[int, int]]:
    """Return the inclusive range of each field; `name.field` for records."""
    constants, floor = towns.params.constants[0], towns.params.floor
    _, objects, agents = towns.state.line.shape
    agent, thing, agent_or_none = (0, agents - 1), (NOBODY, objects - 1), (NOBODY, agents - 1)
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
        "objects.user": agent_or_none,
        "objects.holder": agent_or_none,
        "objects.last_user": agent_or_none,
        "objects.line_length": (0, agents),
        "objects.idle_ticks": NATURAL,
        "objects.stock": (-1, ANY),
        "line": agent,
        "order": agent,
        "rivalry": UNIT,
        "trust": BIPOLAR,
        "familiarity": BIPOLAR,
        "events.type": (0, len(EVENTS) - 1),
        "events.reason": (-1, len(CONFLICT_REASONS) - 1),
        "events.actor": agent_or_none,
        "events.rival": agent_or_none,
        "events.object": thing,
        "perturbations.attended": UNIT,
    }


def _misfit_roles(state: TownState) -> Misfit | None:
    """Check that agents and objects agree on roles, and that no agent has two."""
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
            return Misfit(
                f"agents.{name}", agents[name][other][0], f"{expected[other][0]}, as the objects have it"
            )
    if (count > 1).any():
        return Misfit("line", int(count.max()), "everybody in one place at most")
    return None
