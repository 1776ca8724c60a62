"""Moments of an animation as an image with captions: a poster of one, a sheet of several."""

from __future__ import annotations

import io
import math
import unicodedata

from PIL import Image, ImageDraw

from townlet_core.render import theme
from townlet_core.render.activity import activities
from townlet_core.render.animation import Animation
from townlet_core.render.paint import SMOOTH, fitting_tile, font, paint_image
from townlet_core.render.scene import DrawnAgent, Scene
from townlet_core.render.text import agent_marks, event_text

PAPER, INK, SOFT = "#fbfaf7", "#23262e", "#6c7280"
MARGIN, LINE = 16, 22  # pixels
_SIDE = 300  # width of the list of agents
_ROW = 46  # height of an agent in it
_COLOURS = 160  # of a palette: flat colours and their edges, in half the bytes


def poster(animation: Animation, moment: int) -> Image.Image:
    """Paint one moment, with its time, its events and the state of every agent."""
    scene = animation.scenes[moment]
    town = paint_image(scene, fitting_tile(scene, 720))
    side = _agent_list(animation, moment, max(town.height // _ROW, 8))
    height = max(town.height, side.height)
    image = Image.new("RGB", (town.width + _SIDE + 3 * MARGIN, height + 2 * LINE + 3 * MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    image.paste(town, (MARGIN, 2 * MARGIN + LINE))
    image.paste(side, (town.width + 2 * MARGIN, 2 * MARGIN + LINE))
    _head(draw, animation, scene)
    said = [event_text(event) for event in animation.events if event["moment"] == moment]
    caption = "; ".join(said) or animation.note
    fit_text(draw, (MARGIN, height + 2 * MARGIN + LINE + 8), caption, image.width - 2 * MARGIN, INK)
    return image


def contact_sheet(animation: Animation, moments: list[int]) -> Image.Image:
    """Paint several moments side by side, each with its time and events."""
    columns = min(len(moments), 3)
    rows = math.ceil(len(moments) / columns)
    first = animation.scenes[moments[0]]
    tile = fitting_tile(first, 420 if columns == 3 else 560)
    wide, high = first.width * tile + MARGIN, first.height * tile + 2 * LINE + MARGIN
    image = Image.new("RGB", (columns * wide + MARGIN, rows * high + LINE + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    fit_text(
        draw,
        (MARGIN, MARGIN),
        f"{animation.title}  {animation.description or animation.note}",
        image.width - 2 * MARGIN,
        INK,
    )
    for n, moment in enumerate(moments):
        scene = animation.scenes[moment]
        left, top = MARGIN + n % columns * wide, 2 * MARGIN + LINE + n // columns * high
        image.paste(paint_image(scene, tile), (left, top))
        said = "; ".join(event_text(event) for event in animation.events if event["moment"] == moment)
        below = top + scene.height * tile + 4
        fit_text(draw, (left, below), time_of(scene), wide - MARGIN, SOFT)
        fit_text(draw, (left, below + LINE - 3), said, wide - MARGIN, INK)
    return image


def png(image: Image.Image) -> bytes:
    """Return the image as a PNG file. The same image gives the same bytes."""
    buffer = io.BytesIO()
    few_colours(image).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def few_colours(image: Image.Image) -> Image.Image:
    """Return the image with a palette of its own."""
    return image.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def time_of(scene: Scene) -> str:
    """Say when a scene is: the time of day, if it is known, and the tick."""
    return f"{scene.clock}, tick {scene.tick}" if scene.clock else f"tick {scene.tick}"


def _head(draw: ImageDraw.ImageDraw, animation: Animation, scene: Scene) -> None:
    title = _writable(animation.title)
    _text(draw, (MARGIN, MARGIN), title, INK, 20)
    left = MARGIN + draw.textlength(title, font(20)) + 14
    facts = _writable(", ".join(f"{name} {value}" for name, value in animation.facts.items()))
    _text(draw, (left, MARGIN + 4), f"{time_of(scene)} · {facts}", SOFT, 15)


def _agent_list(animation: Animation, moment: int, most: int) -> Image.Image:
    """Paint the list of agents: name, current activity, needs as bars.

    Of more than `most` it paints so many, and says how many are left out.
    """
    scene = animation.scenes[moment]
    [doing] = activities(animation, [moment])
    listed = scene.agents[:most]
    more = len(scene.agents) - len(listed)
    image = Image.new("RGB", (_SIDE * SMOOTH, (len(listed) * _ROW + LINE) * SMOOTH), PAPER)
    draw = ImageDraw.Draw(image)
    marks = agent_marks(scene)
    for i, agent in enumerate(listed):
        _agent(draw, agent, marks[agent.id].upper(), theme.agent_colour(i), doing[i], i * _ROW)
    if more:
        _text(draw, (0, (len(listed) * _ROW + 2) * SMOOTH), f"and {more} more", SOFT, 13 * SMOOTH)
    left = _SIDE * SMOOTH - draw.textlength("  ".join(theme.NEEDS), font(11 * SMOOTH))
    for name, colour in theme.NEEDS.items():
        _text(draw, (left, (len(listed) * _ROW + 2) * SMOOTH), name, colour, 11 * SMOOTH)
        left += draw.textlength(name + "  ", font(11 * SMOOTH))
    return image.reduce(SMOOTH)


def _agent(
    draw: ImageDraw.ImageDraw, agent: DrawnAgent, mark: str, colour: str, about: str, top: float
) -> None:
    """Paint one line of the list, SMOOTH times as large as the numbers here say."""

    def large(*numbers: float) -> tuple[float, ...]:
        return tuple(number * SMOOTH for number in numbers)

    draw.ellipse(large(0, top + 4, 28, top + 32), colour if agent.alive else SOFT)
    draw.text((14 * SMOOTH, (top + 18) * SMOOTH), mark, "#ffffff", font(16 * SMOOTH), anchor="mm")
    fit_text(draw, large(38, top + 1), agent.id, 150 * SMOOTH, INK if agent.alive else SOFT, 15 * SMOOTH)
    fit_text(draw, large(38, top + 19), about, 150 * SMOOTH, SOFT, 13 * SMOOTH)
    pitch = 30 / max(len(theme.NEEDS), 3)
    for n, need in enumerate(agent.needs or ()):
        y = top + 5 + n * pitch
        bottom = y + 0.6 * pitch
        draw.rounded_rectangle(large(196, y, 286, bottom), 3 * SMOOTH, "#e5e3dc")
        if agent.alive and need > 0.03:
            colour = tuple(theme.NEEDS.values())[n]
            draw.rounded_rectangle(large(196, y, 196 + 90 * need, bottom), 3 * SMOOTH, colour)


def fit_text(
    draw: ImageDraw.ImageDraw, place: tuple[float, ...], text: str, width: float, ink: str, size: int = 15
) -> None:
    """Write one line, cut to a width with an ellipsis."""
    text = _writable(text)[:400]
    if draw.textlength(text, font(size)) > width:
        while text and draw.textlength(text + "…", font(size)) > width:
            text = text[:-1]
        text += "…"
    _text(draw, place, text, ink, size)


def _text(draw: ImageDraw.ImageDraw, place: tuple[float, ...], text: str, ink: str, size: int) -> None:
    draw.text((place[0], place[1]), text, ink, font(size))


def _writable(text: str) -> str:
    """Transliterate a text to the glyphs of Pillow's typeface: no accents, nothing beyond Latin."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if c in _TYPEFACE else "?" for c in " ".join(plain.split()))


_TYPEFACE = {*map(chr, range(32, 127)), "…", "·"}
