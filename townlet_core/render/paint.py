"""A scene as a picture: tiles, walls, objects with pictograms, agents as discs, queues."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from townlet_core.errors import InputError
from townlet_core.render import theme
from townlet_core.render.scene import DrawnAgent, DrawnConflict, DrawnObject, Scene
from townlet_core.render.text import agent_marks, object_marks
from townlet_core.simulation.state import FREE, USING, WAITING

SMOOTH = 3  # supersampling factor, for smooth edges
MIN_TILE, MAX_TILE = 8, 96  # pixels
_ROOMY = 960  # pixels that the longer side of a picture has by default

Tile = tuple[int, int]


def paint(scene: Scene, tile_pixels: int | None = None) -> np.ndarray:
    """Paint the town, (height · tile_pixels, width · tile_pixels, 3) uint8; the same scene, the same bytes.

    tile_pixels: 8 to 96; by default as many as make the longer side about 960.
    Raises InputError for another number.
    """
    tile = fitting_tile(scene) if tile_pixels is None else tile_pixels
    if not MIN_TILE <= tile <= MAX_TILE:
        raise InputError(f"tile_pixels: {tile}, expected {MIN_TILE} to {MAX_TILE}")
    return np.asarray(paint_image(scene, tile))


def fitting_tile(scene: Scene, pixels: int = _ROOMY) -> int:
    """Return how large a tile may be for the longer side to have about so many pixels."""
    return min(max(pixels // max(scene.width, scene.height), MIN_TILE), 64)


def paint_image(scene: Scene, tile: int) -> Image.Image:
    """Paint the town as an image."""
    image = _floor(scene.width, scene.height, scene.walls, scene.grass, tile).copy()
    _Painter(image, scene, tile * SMOOTH).paint()
    return image.reduce(SMOOTH)


@lru_cache(maxsize=2)
def _floor(width: int, height: int, walls: frozenset[Tile], grass: frozenset[Tile], tile: int) -> Image.Image:
    """Paint what never changes, SMOOTH times as large."""
    size = tile * SMOOTH
    image = Image.new("RGB", (width * size, height * size))
    draw = ImageDraw.Draw(image)
    for y in range(height):
        for x in range(width):
            colours = theme.GRASS if (x, y) in grass else theme.FLOOR
            corner = (x * size, y * size)
            draw.rectangle((*corner, corner[0] + size - 1, corner[1] + size - 1), colours[(x + y) % 2])
    for x, y in sorted(walls):
        _wall(draw, x * size, y * size, size, (x, y + 1) in walls)
    return image


def _wall(draw: ImageDraw.ImageDraw, left: int, top: int, size: int, goes_on: bool) -> None:
    """Paint a block of wall seen from the south: its top, and its side if the wall ends here."""
    draw.rectangle((left, top, left + size - 1, top + size - 1), theme.WALL[0])
    if not goes_on:
        draw.rectangle((left, top + size * 5 // 8, left + size - 1, top + size - 1), theme.WALL[1])


@lru_cache(maxsize=8)
def font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the typeface that comes with Pillow: the same letters on every machine."""
    return ImageFont.load_default(pixels)


class _Painter:
    """Paints one scene; positions are in tiles, `size` is a tile in pixels."""

    def __init__(self, image: Image.Image, scene: Scene, size: int) -> None:
        self.draw = ImageDraw.Draw(image)
        self.scene = scene
        self.size = size
        self.kinds = theme.kind_looks([thing.kind for thing in scene.objects])
        self.kind_letters = object_marks(scene)
        self.agent_letters = agent_marks(scene)

    def paint(self) -> None:
        """Paint from the ground up: conflicts, links between agents and objects, objects, agents."""
        for conflict in self.scene.conflicts:
            self._burst(conflict)
        present = [(i, agent) for i, agent in enumerate(self.scene.agents) if agent.alive]
        for i, agent in present:
            if agent.role != FREE:
                self._tie(i, agent)
        for thing in self.scene.objects:
            self._object(thing)
        for i, agent in present:
            self._agent(i, agent)

    def _burst(self, conflict: DrawnConflict) -> None:
        """Paint a star behind the object of a conflict, and a line to both parties."""
        thing = self.scene.objects[conflict.object]
        x, y = thing.x + 0.5, thing.y + 0.5
        for i in (conflict.actor, conflict.rival):
            if i >= 0:
                agent = self.scene.agents[i]
                self._line((x, y, agent.x + 0.5, agent.y + 0.5), theme.QUARREL[0], 0.1)
        for reach, colour in ((1.0, theme.QUARREL[0]), (0.8, theme.QUARREL[1])):
            points = []
            for n in range(24):
                angle = math.pi * n / 12
                radius = reach * (1.0 if n % 2 else 0.68)
                points += [x + radius * math.cos(angle), y + radius * math.sin(angle)]
            self.draw.polygon(self._pixels(points), colour)

    def _object(self, thing: DrawnObject) -> None:
        kind = self.kinds[thing.kind]
        fill, ink = theme.BROKEN if thing.out_of_order else (kind.fill, kind.ink)
        edge = theme.BUSY if thing.user >= 0 else ink
        corners = self._pixels((thing.x + 0.06, thing.y + 0.06, thing.x + 0.94, thing.y + 0.94))
        wide = self._width(0.09 if thing.user >= 0 else 0.05)
        self.draw.rounded_rectangle(corners, self.size * 0.18, fill, edge, wide)
        for stroke in kind.strokes:
            self._stroke(thing.x, thing.y, stroke, ink)
        if not kind.strokes:
            self._letter(thing.x + 0.5, thing.y + 0.5, self.kind_letters[thing.kind], ink, 0.6)
        if thing.out_of_order:
            self._line(
                (thing.x + 0.18, thing.y + 0.82, thing.x + 0.82, thing.y + 0.18), theme.QUARREL[0], 0.1
            )
        if thing.stock >= 0:
            self._badge(thing.x + 0.88, thing.y + 0.88, str(thing.stock), ink)

    def _stroke(self, x: int, y: int, stroke: theme.Stroke, ink: str) -> None:
        shape, numbers = stroke
        if shape in ("line", "box"):
            points = [value + (y if n % 2 else x) for n, value in enumerate(numbers)]
            if shape == "line":
                self._line(points, ink, 0.055)
            else:
                box = self._pixels(points)
                self.draw.rounded_rectangle(box, self.size * 0.06, None, ink, self._width(0.055))
            return
        middle, radius = (x + numbers[0], y + numbers[1]), numbers[2]
        self._disc(*middle, radius, ink if shape == "dot" else None, ink, 0.045)

    def _tie(self, i: int, agent: DrawnAgent) -> None:
        """Paint a line from an agent to what it uses, holds or waits for."""
        thing = self.scene.objects[agent.object]
        ends = (agent.x + 0.5, agent.y + 0.5, thing.x + 0.5, thing.y + 0.5)
        if agent.role == USING:
            self._line(ends, theme.BUSY, 0.13)
        else:
            self._dashes(ends, theme.agent_colour(i))

    def _agent(self, i: int, agent: DrawnAgent) -> None:
        x, y = agent.x + 0.5, agent.y + 0.5
        # On small tiles, agents are drawn a little larger than the tile, so that they can be found.
        radius = min(max(9 * SMOOTH / self.size, 0.4), 0.56)
        self._disc(x, y, radius, theme.agent_colour(i), "#ffffff", 0.06)
        if agent.role == USING:
            reach = radius + 0.06
            box = self._pixels((x - reach, y - reach, x + reach, y + reach))
            self.draw.arc(box, -90, -90 + 360 * max(agent.progress, 0.03), theme.BUSY, self._width(0.11))
        self._letter(x, y, self.agent_letters[agent.id].upper(), "#ffffff", radius * 1.3)
        if agent.role == WAITING:
            place = self.scene.objects[agent.object].line.index(i) + 1
            self._badge(x + 0.34, y - 0.34, str(place), theme.agent_colour(i))

    def _badge(self, x: float, y: float, text: str, ink: str) -> None:
        if self.size < 16 * SMOOTH:
            return  # too small to be read
        half = 0.17 + 0.09 * (len(text) - 1)
        box = self._pixels((x - half, y - 0.19, x + half, y + 0.19))
        self.draw.rounded_rectangle(box, self.size * 0.19, "#ffffff", ink, self._width(0.03))
        self._letter(x, y, text, ink, 0.3)

    def _dashes(self, ends: tuple[float, ...], colour: str) -> None:
        """Paint a dashed line, five dashes to two tiles."""
        x, y, to_x, to_y = ends
        count = max(round(math.hypot(to_x - x, to_y - y) * 2.5), 1)
        for n in range(count):
            start, stop = n / count, (n + 0.6) / count
            part = (
                x + (to_x - x) * start,
                y + (to_y - y) * start,
                x + (to_x - x) * stop,
                y + (to_y - y) * stop,
            )
            self._line(part, colour, 0.08)

    def _line(self, points: tuple[float, ...] | list[float], colour: str, width: float) -> None:
        self.draw.line(self._pixels(points), colour, self._width(width), joint="curve")

    def _disc(self, x: float, y: float, radius: float, fill: str | None, edge: str, width: float) -> None:
        box = self._pixels((x - radius, y - radius, x + radius, y + radius))
        self.draw.ellipse(box, fill, edge, self._width(width))

    def _letter(self, x: float, y: float, text: str, colour: str, height: float) -> None:
        place = (x * self.size, y * self.size)
        self.draw.text(place, text, colour, font(max(int(self.size * height), 6)), anchor="mm")

    def _pixels(self, tiles: tuple[float, ...] | list[float]) -> list[float]:
        return [value * self.size for value in tiles]

    def _width(self, tiles: float) -> int:
        return max(round(tiles * self.size), 1)
