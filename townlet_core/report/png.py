"""A chart as a picture for slides, drawn by Pillow: the same lines and words as on the page."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

from townlet_core.errors import InputError
from townlet_core.report.chart import Chart
from townlet_core.report.layout import Layout, Path, Place, lay_out
from townlet_core.report.look import LIGHT

OVERVIEW = (
    "episode_return_mean",
    "conflicts_per_1000",
    r"reward_terms(_\d+)?",  # of each group
    "explained_variance",
    "loss_entropy",
    "kl_divergence",
)
MAX_SHEET = 8  # charts on one picture
WIDTH, HEIGHT = 640, 316  # of the layout
SCALE = 2.5  # pixels of the picture per unit of the layout: 1,600 × 900 with the title
_SMOOTH = 2  # drawn so many times as large, then reduced
_HEAD = 44  # height of title and explanation, in units of the layout
_COLOURS = LIGHT.colours()
_OPACITY = {"band": 0.17, "area": 0.85, "faint": 0.4}
_WIDTHS = {
    "grid": 1.0,
    "zero": 1.0,
    "axis": 1.0,
    "line": 2.0,
    "level": 1.5,
    "mark": 1.5,
    "alert": 2.0,
    "swatch": 9.0,
}
_DASHES = {"dashed": (5.0, 3.0), "level": (7.0, 4.0), "mark": (2.0, 3.0)}
_SIZES = {"number": 11, "label": 11, "name": 11}


def chart_image(chart: Chart) -> Image.Image:
    """Paint a chart with its title, 1,600 × 900 pixels, on a light ground."""
    layout = lay_out(chart, WIDTH, HEIGHT)
    if layout.height > HEIGHT:  # by the lines of its legend
        layout = lay_out(chart, WIDTH, 2 * HEIGHT - layout.height)
    size = (round(WIDTH * SCALE * _SMOOTH), round((HEIGHT + _HEAD) * SCALE * _SMOOTH))
    painter = _Painter(Image.new("RGB", size, LIGHT.card))
    painter.write((12, 20), chart.title, 15, LIGHT.ink)
    painter.write((12, 37), chart.about, 11, LIGHT.soft)
    painter.paint(layout)
    return painter.image.reduce(_SMOOTH)


def overview(charts: list[Chart]) -> Image.Image:
    """Paint the charts that matter most on one picture; the first ones, if there are none of these.

    Raises InputError if there is no chart at all.
    """
    if not charts:
        raise InputError("nothing to draw: no record has a number that is drawn", "name another run or log")
    chosen = [chart for name in OVERVIEW for chart in charts if re.fullmatch(name, chart.name)]
    return sheet((chosen or charts)[:MAX_SHEET])


def sheet(charts: list[Chart]) -> Image.Image:
    """Paint several charts in two columns on one picture, half as large each."""
    columns = min(2, len(charts))
    images = [chart_image(chart).reduce(2) for chart in charts]
    wide, high = images[0].size
    whole = Image.new("RGB", (columns * wide, math.ceil(len(images) / columns) * high), LIGHT.card)
    for n, image in enumerate(images):
        whole.paste(image, (n % columns * wide, n // columns * high))
    return whole


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG file. The same image gives the same bytes."""
    buffer = io.BytesIO()
    image.quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "png")
    return buffer.getvalue()


class _Painter:
    """Paints a layout below the head of a picture."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.draw = ImageDraw.Draw(image, "RGBA")
        self.scale = SCALE * _SMOOTH

    def paint(self, layout: Layout) -> None:
        for path in layout.paths:
            self._path(path)
        for words in layout.words:
            size = _SIZES[words.look]
            colour = LIGHT.ink if words.look == "name" else LIGHT.soft
            self.write(_below_head(words.place), words.text, size, colour, words.anchor)

    def write(self, place: Place, said: str, size: int, colour: str, anchor: str = "start") -> None:
        """Write one line on its baseline, cut where the picture ends."""
        font = ImageFont.load_default(size * self.scale)
        shown = _writable(said)
        room = self.image.width - place[0] * self.scale if anchor == "start" else math.inf
        while shown and self.draw.textlength(shown, font) > room:
            shown = shown[:-5] + "..." if len(shown) > 5 else ""
        at = (place[0] * self.scale, place[1] * self.scale)
        self.draw.text(at, shown, colour, font, {"start": "ls", "middle": "ms", "end": "rs"}[anchor])

    def _path(self, path: Path) -> None:
        looks = path.look.split()
        colour = _colour(looks)
        points = [tuple(c * self.scale for c in _below_head(point)) for point in path.points]
        if path.is_area:
            self.draw.polygon(points, colour)
            return
        width = round((1.0 if "faint" in looks else _WIDTHS[looks[0]]) * self.scale)
        dash = next((_DASHES[look] for look in looks if look in _DASHES), None)
        for piece in _dashed(points, [length * self.scale for length in dash]) if dash else [points]:
            self.draw.line(piece, colour, width, joint="curve")


def _below_head(place: Place) -> Place:
    return place[0], place[1] + _HEAD


def _colour(looks: list[str]) -> tuple[int, ...]:
    """Return the colour of a path, with its opacity, from its names: the last that is a colour."""
    plain = {"grid": "line", "zero": "soft", "axis": "soft", "sum": "ink"}
    name = next(
        (plain.get(look, look) for look in reversed(looks) if plain.get(look, look) in _COLOURS), "ink"
    )
    opacity = next((_OPACITY[look] for look in looks if look in _OPACITY), 1.0)
    value = _COLOURS[name]
    return (*(int(value[i : i + 2], 16) for i in (1, 3, 5)), round(255 * opacity))


def _dashed(points: list[tuple[float, ...]], dash: list[float]) -> Iterator[list[tuple[float, ...]]]:
    """Cut a line into dashes of a length and gaps of another."""
    pen, left, piece = True, dash[0], [points[0]]
    for start, end in pairwise(points):
        length, done = math.dist(start, end), 0.0
        while length - done > left:
            done += left
            share = done / length
            place = tuple(a + (b - a) * share for a, b in zip(start, end, strict=True))
            if pen:
                yield [*piece, place]
            pen, left, piece = not pen, dash[pen], [place]
        left -= length - done
        piece.append(end)
    if pen and len(piece) > 1:
        yield piece


def _writable(said: str) -> str:
    """Keep what Pillow's typeface has glyphs for."""
    return "".join(c if " " <= c <= "~" else "?" for c in said.replace("–", "-").replace("−", "-"))
