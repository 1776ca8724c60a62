"""Renderings of a town: text or a picture."""

from __future__ import annotations

import numpy as np

from townlet_core.render.paint import paint
from townlet_core.render.scene import Scene, scene_of
from townlet_core.render.text import agent_marks, draw_text, object_marks
from townlet_core.simulation.towns import Towns

DRAWN = ["ansi", "rgb_array"]  # render modes with a return value


def draw(towns: Towns, town: int, mode: str) -> str | np.ndarray:
    """Draw one town: `ansi` as text that ends its last line, `rgb_array` as (height, width, 3) uint8."""
    scene = scene_of(towns, town)
    return np.array(paint(scene)) if mode == "rgb_array" else _describe(scene)


def _describe(scene: Scene) -> str:
    """Return clock, town and a legend of its letters as text."""
    letters = {**agent_marks(scene), **object_marks(scene)}
    legend = " · ".join(f"{letter} {name}" for name, letter in letters.items())
    return "\n".join([f"tick {scene.tick}, {scene.clock}", *draw_text(scene), legend, ""])
