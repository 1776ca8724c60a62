"""The events of a tick: `emit` writes them; `describe_events` names them for files and people."""

from __future__ import annotations

from typing import Any

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.state import NOBODY, TownState
from townlet_core.vocab import CONFLICT_REASONS, EVENTS

QUEUE_CONFLICT = EVENTS.index("queue_conflict")
QUEUE_HANDOVER = EVENTS.index("queue_handover")
SHARED_MEAL = EVENTS.index("shared_meal")
LATE_HELP = EVENTS.index("late_help")
SHIFT_TAKEOVER = EVENTS.index("shift_takeover")
CHAT_SUCCESS = EVENTS.index("chat_success")
CHAT_FAILURE = EVENTS.index("chat_failure")
UTILITY_OUTAGE = EVENTS.index("utility_outage")
SHIFT_ON_TIME = EVENTS.index("shift_on_time")
SHIFT_LATE = EVENTS.index("shift_late")
SHIFT_ABSENT = EVENTS.index("shift_absent")
FAINT = EVENTS.index("faint")
ARRIVAL = EVENTS.index("arrival")
PRICE_SPIKE = EVENTS.index("price_spike")
MEETING = EVENTS.index("meeting")
MEETING_ATTENDED = EVENTS.index("meeting_attended")


@rule
def emit(state: TownState, b: int, event_type: int, obj: int, actor: int, rival: int) -> int:
    """Add one event to the tick and return its row."""
    town = state.towns[b]
    row = town.event_count
    town.event_count = row + 1
    town.tally[event_type] += 1
    event = state.events[b, row]
    event.type = event_type
    event.reason = -1
    event.object = obj
    event.actor = actor
    event.rival = rival
    event.queue_length = 0
    event.value = 0.0
    return row


def describe_events(state: TownState, agents: list[str], objects: list[str]) -> list[dict[str, Any]]:
    """Describe the events of the last tick by name, towns in order, in order of emission."""
    return [
        _describe(event, state.towns[b], agents, objects)
        for b in state.towns["event_count"].nonzero()[0]
        for event in state.events[b, : state.towns[b].event_count]
    ]


def _describe(event: Any, town: Any, agents: list[str], objects: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "tick": int(town.tick) - 1,
        "episode": int(town.episode),
        "town": int(town.town),
        "type": EVENTS[event.type],
    }
    if event.object != NOBODY:
        row["object_id"] = objects[event.object]
    if event.actor != NOBODY:
        row["actor"] = agents[event.actor]
    if event.rival != NOBODY:
        row["rival"] = agents[event.rival]
    if event.type == QUEUE_CONFLICT:
        row["reason"] = CONFLICT_REASONS[event.reason]
        row["queue_length"] = int(event.queue_length)
        row["intensity"] = float(event.value)
    if event.type == CHAT_SUCCESS:
        row["quality"] = float(event.value)
    return row
