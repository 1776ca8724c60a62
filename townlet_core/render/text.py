"""A scene as rows of characters: # wall, · floor, capital letters objects, small letters agents."""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Any

from townlet_core.render.scene import Scene


def draw_text(scene: Scene) -> list[str]:
    """Draw the town, one row of text per row of tiles; who is not in town is not drawn."""
    objects, agents = object_marks(scene), agent_marks(scene)
    rows = [["#" if (x, y) in scene.walls else "·" for x in range(scene.width)] for y in range(scene.height)]
    for thing in scene.objects:
        rows[thing.y][thing.x] = objects[thing.kind]
    for agent in scene.agents:
        if agent.alive:
            rows[agent.y][agent.x] = agents[agent.id]
    return ["".join(row) for row in rows]


def event_text(event: dict[str, Any]) -> str:
    """Say an event of an event log as a sentence without its full stop."""
    actor, rival, thing = event.get("actor"), event.get("rival"), event.get("object_id")
    at = f" at {thing}" if thing else ""
    sentences = {
        "queue_conflict": f"{actor} and {rival} quarrel over {thing}: {event.get('reason')}",
        "queue_handover": f"{actor} leaves {thing} to {rival}",
        "affordance_complete": f"{actor} is done with {thing}",
        "shower_complete": f"{actor} is clean",
        "sleep_complete": f"{actor} has slept",
        "shared_meal": f"{actor} and {rival} have eaten together",
        "late_help": f"{actor} has covered for {rival} until now",
        "shift_takeover": f"{actor} takes over the shift of {rival}",
        "chat_success": f"{actor} chats with {rival}",
        "chat_failure": f"{actor} talks, and {rival or 'nobody'} does not answer",
        "utility_outage": f"an outage stops {thing or 'nothing'} and its like",
        "shift_on_time": f"{actor} is at work in time",
        "shift_late": f"{actor} is late for work",
        "shift_absent": f"{actor} is missing at work",
        "faint": f"{actor} faints",
        "arrival": f"a new {actor} comes to town",
        "price_spike": f"{thing or 'nothing'} and its like have another price",
        "meeting": f"a meeting begins{at}",
        "meeting_attended": f"{actor} comes to the meeting{at}" + (f", where {rival} is" if rival else ""),
    }
    return sentences.get(event["type"], event["type"])  # of a type that another version has


def object_marks(scene: Scene) -> dict[str, str]:
    """Return the capital letter of each kind in town."""
    return kind_marks(thing.kind for thing in scene.objects)


def kind_marks(kinds: Iterable[str]) -> dict[str, str]:
    """Return the capital letter of each of these kinds."""
    return _marks(kinds, string.ascii_uppercase)


def agent_marks(scene: Scene) -> dict[str, str]:
    """Return the small letter of each agent."""
    return _marks((agent.id for agent in scene.agents), string.ascii_lowercase)


def _marks(names: Iterable[str], letters: str) -> dict[str, str]:
    """Give each name a letter of its own, its first free one if possible; `?` when letters run out."""
    marks: dict[str, str] = {}
    for name in dict.fromkeys(names):
        wanted = name.upper() if letters.isupper() else name.lower()
        free = [c for c in wanted + letters + string.digits if c in letters + string.digits]
        marks[name] = next((c for c in free if c not in marks.values()), "?")
    return marks
