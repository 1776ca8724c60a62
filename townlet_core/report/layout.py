"""The layout of a chart: every line, area and word with its place, for SVG and for pictures alike.

Places are in pixels from the upper left corner.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from townlet_core.report.chart import Chart, Series, colour_name
from townlet_core.report.scale import Scale, nice_scale
from townlet_core.report.stack import Area, stack, total

LETTER = 6.1  # mean width of a letter in pixels, of text 11 pixels high
_LEFT, _RIGHT, _BOTTOM, _LEGEND, _TOP = 54, 14, 40, 17, 24  # pixels; _LEGEND: of a line of it
_SWATCH = 18  # width of a legend's sample and its gap
_EDGE = 8  # pixels beside the legend
_COLUMN = 3  # pixels; values in one column are shown together

Place = tuple[float, float]


class Path(NamedTuple):
    """A line, or the area inside it. look: names that say its colour and its kind."""

    points: tuple[Place, ...]
    look: str
    is_area: bool = False


class Words(NamedTuple):
    """One line of text; anchor: start, middle or end."""

    place: Place
    text: str
    look: str
    anchor: str = "start"


class Reading(NamedTuple):
    """The values at one place of the x axis, and the columns of pixels that show them on hover."""

    left: float
    right: float
    x: float  # in units of the axis
    values: tuple[tuple[str, float, float, float], ...]  # label, mean, low, high


class Layout(NamedTuple):
    """A chart, ready to be drawn from the first to the last."""

    width: int
    height: int
    paths: tuple[Path, ...]
    words: tuple[Words, ...]
    readings: tuple[Reading, ...]
    top: float  # of the area that the curves have
    bottom: float


class _Frame(NamedTuple):
    x: Scale
    y: Scale


def lay_out(chart: Chart, width: int = 420, height: int = 250) -> Layout:
    """Lay a chart out in so many pixels; a legend of several lines makes it higher.

    The legend is drawn where there is more than one thing to name.
    """
    shown = chart._replace(series=tuple(one for one in chart.series if len(one.curve.x)))
    swatches, names, rows = _legend(shown, width)
    height += max(0, rows - 1) * _LEGEND
    areas = stack(shown.series) if chart.is_stacked else []
    top, bottom = _TOP + rows * _LEGEND, height - _BOTTOM
    low, high = _limits_of_areas(areas) if chart.is_stacked else _limits(shown)
    ends = [mark.x for mark in chart.marks]
    ends += [float(x) for one in shown.series for x in (one.curve.x[0], one.curve.x[-1])]
    frame = _Frame(
        nice_scale(min(ends), max(ends), _LEFT, width - _RIGHT, max(3, width // 90), to_ticks=False),
        nice_scale(low, high, bottom, top, 5, to_ticks=True),
    )
    paths, words = _axes(shown, frame, width, height)
    paths += _references(shown, frame)
    paths += _stacked(shown, areas, frame) if chart.is_stacked else _curves(shown.series, frame)
    paths += _alerts(shown, frame)
    return Layout(width, height, (*paths, *swatches), (*words, *names), _readings(shown, frame), top, bottom)


def _limits(chart: Chart) -> tuple[float, float]:
    """Return the range of the y axis: curves, levels, and intervals as far as they leave the curves readable.

    An interval over few seeds may be many times as wide as all curves; it is cut. It is cut at 0 as well
    where nothing measured is below, unless that is a reward.
    """
    means = np.concatenate([one.curve.mean for one in chart.series])
    means = np.append(means, [level.mean for level in chart.levels])
    low, high = float(means.min()), float(means.max())
    room = high - low if high > low else np.inf
    lows = [float(one.curve.low.min()) for one in chart.series] + [level.low for level in chart.levels]
    highs = [float(one.curve.high.max()) for one in chart.series] + [level.high for level in chart.levels]
    floor = 0.0 if low >= 0 and chart.y_label != "reward" else -np.inf
    return max(min(lows), low - room, floor), min(max(highs), high + room)


def _limits_of_areas(areas: list[Area]) -> tuple[float, float]:
    edges = [0.0, *(float(end) for area in areas for end in (area.far.min(), area.far.max()))]
    return min(edges), max(edges)


def _legend(chart: Chart, width: int) -> tuple[list[Path], list[Words], int]:
    """Name every series and reference line; return samples, names, and the number of lines they take."""
    items = [(one.label, colour_name(one.colour), one.is_dashed) for one in chart.series if not one.is_faint]
    kind = "swatch" if chart.is_stacked else "line"
    entries = [(label, f"{kind} {look}{' dashed' * dashed}") for label, look, dashed in items]
    entries += [("sum", "line sum")] if chart.is_stacked else []
    entries += [(level.label, f"level {colour_name(level.colour)}") for level in chart.levels]
    entries += [(mark.label, f"mark {colour_name(mark.colour)}") for mark in chart.marks if mark.label]
    entries += [("alert", "alert")] if chart.alerts else []
    if len(entries) < 2:
        return [], [], 0
    samples, names, left, row = [], [], float(_EDGE), 0
    most = int((width - 2 * _EDGE - _SWATCH) / LETTER)
    for label, look in entries:
        text = label if len(label) <= most else label[: most - 3] + "..."
        if left > _EDGE and left + _SWATCH + len(text) * LETTER > width - _EDGE:
            left, row = float(_EDGE), row + 1
        y = _TOP + row * _LEGEND + 4
        samples.append(Path(((left, y), (left + 14, y)), look))
        names.append(Words((left + _SWATCH, y + 4), text, "name"))
        left += _SWATCH + len(text) * LETTER + 12
    return samples, names, row + 1


def _axes(chart: Chart, frame: _Frame, width: int, height: int) -> tuple[list[Path], list[Words]]:
    """Draw the grid, its numbers and the names of both axes."""
    bottom = frame.y.start
    paths, words = [], []
    for tick in frame.y.ticks:
        y = frame.y.place(tick)
        paths.append(Path(((frame.x.start, y), (frame.x.end, y)), "zero" if tick == 0 else "grid"))
        words.append(Words((frame.x.start - 6, y + 4), frame.y.label(tick), "number", "end"))
    for tick in frame.x.ticks:
        x = frame.x.place(tick)
        paths.append(Path(((x, bottom), (x, bottom + 4)), "axis"))
        words.append(Words((x, bottom + 16), frame.x.label(tick), "number", "middle"))
    paths.append(Path(((frame.x.start, bottom), (frame.x.end, bottom)), "axis"))
    words.append(Words(((frame.x.start + frame.x.end) / 2, height - 6.0), chart.x_label, "label", "middle"))
    words.append(Words((4.0, 13.0), chart.y_label, "label"))
    return paths, words


def _references(chart: Chart, frame: _Frame) -> list[Path]:
    """Draw levels from side to side, with their intervals, and marks from top to bottom."""
    paths = []
    left, right = frame.x.start, frame.x.end
    for level in chart.levels:
        colour = colour_name(level.colour)
        low, high, mean = (frame.y.place(value) for value in (level.low, level.high, level.mean))
        if low != high:
            corners = ((left, high), (right, high), (right, low), (left, low))
            paths.append(Path(corners, f"band {colour}", is_area=True))
        paths.append(Path(((left, mean), (right, mean)), f"level {colour}"))
    for mark in chart.marks:
        x = frame.x.place(mark.x)
        paths.append(Path(((x, frame.y.start), (x, frame.y.end)), f"mark {colour_name(mark.colour)}"))
    return paths


def _curves(series: tuple[Series, ...], frame: _Frame) -> list[Path]:
    """Draw ranges first, then single runs, then the curves, so that no curve is hidden."""
    order = sorted(series, key=lambda one: not one.is_faint)
    bands = [path for one in order if not one.is_faint for path in _band(one, frame)]
    return bands + [path for one in order for path in _line(one, frame)]


def _band(series: Series, frame: _Frame) -> list[Path]:
    curve = series.curve
    if len(curve.x) < 2 or (curve.low == curve.high).all():
        return []
    return [_between(frame, curve.x, curve.low, curve.high, f"band {colour_name(series.colour)}")]


def _between(frame: _Frame, x: np.ndarray, near: np.ndarray, far: np.ndarray, look: str) -> Path:
    there = [(frame.x.place(a), frame.y.place(b)) for a, b in zip(x, far, strict=True)]
    back = [(frame.x.place(a), frame.y.place(b)) for a, b in zip(x, near, strict=True)]
    return Path((*there, *reversed(back)), look, is_area=True)


def _line(series: Series, frame: _Frame) -> list[Path]:
    """Draw a curve; one of a single point is a short stroke, and a cross where it has a range."""
    curve = series.curve
    kind = " faint" if series.is_faint else " dashed" if series.is_dashed else ""
    look = f"line {colour_name(series.colour)}{kind}"
    x = [frame.x.place(value) for value in curve.x]
    y = [frame.y.place(value) for value in curve.mean]
    if len(x) > 1:
        return [Path(tuple(zip(x, y, strict=True)), look)]
    low, high = frame.y.place(curve.low[0]), frame.y.place(curve.high[0])
    upright = [Path(((x[0], low), (x[0], high)), look)] if low != high else []
    return [Path(((x[0] - 5, y[0]), (x[0] + 5, y[0])), look), *upright]


def _stacked(chart: Chart, areas: list[Area], frame: _Frame) -> list[Path]:
    """Draw the stacked areas, and their sum as a line."""
    paths = [
        _between(frame, area.x, area.near, area.far, f"area {colour_name(area.colour)}") for area in areas
    ]
    summed = total(chart.series)
    places = tuple((frame.x.place(x), frame.y.place(y)) for x, y in zip(summed.x, summed.mean, strict=True))
    return [*paths, Path(places, "line sum")]


def _alerts(chart: Chart, frame: _Frame) -> list[Path]:
    """Draw a stroke on the x axis wherever a rule tripped."""
    places = sorted({round(frame.x.place(x)) for x in chart.alerts})
    return [Path(((x, frame.y.start - 7.0), (x, frame.y.start)), "alert") for x in places]


def _readings(chart: Chart, frame: _Frame) -> tuple[Reading, ...]:
    """Collect the values to show on hover: those of all series that have a point in the same column."""
    series = [one for one in chart.series if not one.is_faint]
    if chart.is_stacked:
        series.append(Series("sum", total(chart.series)))
    columns: dict[int, tuple[float, dict[str, tuple[float, float, float]]]] = {}
    for one in series:
        for x, mean, low, high in np.stack(one.curve, axis=1).tolist():
            place = round(frame.x.place(x) / _COLUMN)
            columns.setdefault(place, (x, {}))[1][one.label] = (mean, low, high)
    order = sorted(columns)
    centres = [column * _COLUMN for column in order]
    edges = [frame.x.start, *((a + b) / 2 for a, b in pairwise(centres)), frame.x.end]
    return tuple(
        Reading(
            edges[i],
            edges[i + 1],
            columns[column][0],
            tuple((label, *values) for label, values in columns[column][1].items()),
        )
        for i, column in enumerate(order)
    )
