"""What a chart shows: curves or stacked areas over one axis, with reference lines."""

from __future__ import annotations

from typing import NamedTuple

from townlet_core.report.curve import Curve

COLOURS = 8  # of series; a chart with more begins again
NEUTRAL = -1  # the colour of text, for a line that belongs to all series


class Series(NamedTuple):
    """One curve of a chart."""

    label: str
    curve: Curve
    colour: int = 0  # index of a colour
    is_dashed: bool = False
    is_faint: bool = False  # one run of several: thin, without a range, a label or a value on hover


class Level(NamedTuple):
    """A horizontal reference line, such as the scripted baseline, with its interval."""

    label: str
    mean: float
    low: float
    high: float
    colour: int = NEUTRAL


class Mark(NamedTuple):
    """A vertical line, such as that of the best checkpoint; without a label, one more of the same kind."""

    label: str
    x: float
    colour: int = NEUTRAL


class Chart(NamedTuple):
    """One chart. Stacked: the areas of the series on top of each other, negative values below zero."""

    name: str  # of its file, without ending
    title: str
    about: str  # one sentence: what is measured, over what
    x_label: str
    y_label: str  # the unit
    series: tuple[Series, ...]
    levels: tuple[Level, ...] = ()
    marks: tuple[Mark, ...] = ()
    alerts: tuple[float, ...] = ()  # where a rule tripped, on the x axis
    is_stacked: bool = False


def colour_name(index: int) -> str:
    """Return the name of a colour, as style sheets and painters know it: c0, c1, … or ink."""
    return "ink" if index == NEUTRAL else f"c{index % COLOURS}"
