"""Learning curves as an SVG picture: a line per mode with its interval, and a level for each fixed policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 16, 44  # margins around the plot; names stand on the right
COLOURS = ("#1f6f8b", "#d1495b", "#6a994e", "#8d6a9f")
TICK_COUNT = 5  # numbers along each axis, about


class Curve(NamedTuple):
    """One mode over its seeds; all (N,)."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def draw_curves(curves: Mapping[str, Curve], levels: Mapping[str, float], x_name: str, y_name: str) -> str:
    """Return an SVG document. Curves have colours, levels are dashed and grey."""
    xs = np.concatenate([curve.x for curve in curves.values()])
    ys = np.concatenate([[*curve.low, *curve.high] for curve in curves.values()] + [[*levels.values()]])
    room = 0.05 * max(float(np.ptp(ys)), 1e-9)
    plot = Plot(0.0, float(xs.max()), float(ys.min()) - room, float(ys.max()) + room)
    parts = [*plot.axes(x_name, y_name)]
    names: list[tuple[float, str, str]] = []
    for name, level in levels.items():
        y = plot.y(level)
        parts.append(line(LEFT, y, WIDTH - RIGHT, y, "#777", ' stroke-dasharray="5 4"'))
        names.append((y, name, "#555"))
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        band = [*zip(curve.x, curve.low, strict=True), *zip(curve.x[::-1], curve.high[::-1], strict=True)]
        parts.append(f'<polygon points="{plot.points(band)}" fill="{colour}" opacity=".18"/>')
        middle = plot.points(zip(curve.x, curve.mean, strict=True))
        parts.append(f'<polyline points="{middle}" fill="none" stroke="{colour}" stroke-width="2"/>')
        names.append((plot.y(float(curve.mean[-1])), name, colour))
    parts += [text(WIDTH - RIGHT + 8, y + 4, name, "start", colour) for y, name, colour in spread_out(names)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    return "\n".join([f'{head} font-size="12">', background, *parts, "</svg>", ""])


class Plot(NamedTuple):
    """The ranges of the axes, and where their values stand in the picture."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - TOP - BOTTOM)

    def points(self, pairs: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in pairs)

    def axes(self, x_name: str, y_name: str) -> list[str]:
        """Draw both axes with round numbers along them, and their names."""
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        parts = [line(LEFT, bottom, right, bottom, "#333"), line(LEFT, TOP, LEFT, bottom, "#333")]
        for value in round_numbers(self.x_low, self.x_high):
            parts.append(text(self.x(value), bottom + 16, thousands(value), "middle", "#333"))
        for value in round_numbers(self.y_low, self.y_high):
            y = self.y(value)
            parts.append(line(LEFT, y, right, y, "#e6e6e6"))
            parts.append(text(LEFT - 6, y + 4, f"{value:.4g}", "end", "#333"))
        parts.append(text((LEFT + right) / 2, HEIGHT - 8, x_name, "middle", "#333"))
        turned = f' transform="rotate(-90 12 {(TOP + bottom) / 2:.0f})"'
        parts.append(text(12, (TOP + bottom) / 2, y_name, "middle", "#333", turned))
        return parts


def round_numbers(low: float, high: float) -> list[float]:
    """Return about TICK_COUNT multiples of 1, 2 or 5 times a power of ten between two numbers."""
    rough = (high - low) / TICK_COUNT
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [float(n * step) for n in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def thousands(value: float) -> str:
    if not value:
        return "0"
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k"


def spread_out(names: list[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Move names that would cover each other down by a line."""
    placed: list[tuple[float, str, str]] = []
    for y, name, colour in sorted(names):
        placed.append((max(y, placed[-1][0] + 14) if placed else y, name, colour))
    return placed


def line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'


def text(x: float, y: float, words: str, anchor: str, colour: str, more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{more}>{escape(words)}</text>'
    )
