"""A scene as rows of characters: # wall, · floor, capital letters objects, small letters agents."""

from __future__ import annotations

import string
from collections.abc import Iterable

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


def object_marks(scene: Scene) -> dict[str, str]:
    """Return the capital letter of each kind in town."""
    return _marks((thing.kind for thing in scene.objects), string.ascii_uppercase)


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
