"""A log's summary as one HTML page: curves, extremes, totals; it needs no network and runs no script."""

from __future__ import annotations

from html import escape

from townlet_core.errors import printable
from townlet_core.telemetry.curves import Point
from townlet_core.telemetry.fields import BY_NAME, CURVES
from townlet_core.telemetry.statistics import Extremes
from townlet_core.telemetry.summary import (
    Summary,
    axis_span,
    facts_of,
    format_number,
    summary_tables,
    titled,
)

WIDTH, HEIGHT = 360, 120  # of a curve, in pixels

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }}
.curves {{ display: flex; flex-wrap: wrap; gap: 1rem }}
figure {{ margin: 0 }}
svg {{ background: #8881; overflow: visible }}
polyline {{ fill: none; stroke: #2563eb; stroke-width: 1.5; vector-effect: non-scaling-stroke }}
polygon {{ fill: #2563eb; fill-opacity: .2 }}
circle {{ fill: #2563eb }}
.axis {{ display: flex; justify-content: space-between; font-size: .8rem; opacity: .7 }}
table {{ border-collapse: collapse }}
th, td {{ text-align: right; padding: .1rem .7rem }}
th:first-child, td:first-child {{ text-align: left }}
tbody tr:nth-child(odd) {{ background: #8881 }}
:root {{ color-scheme: light dark }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{facts}</p>
{curves}
{tables}
</body>
</html>
"""


def summary_page(summary: Summary) -> str:
    """Return the whole page, with untrusted text escaped."""
    return _PAGE.format(
        title=escape(printable(summary.path)),
        facts=escape(printable(", ".join(facts_of(summary)))),
        curves="\n".join(_curves(summary, mode) for mode in summary.statistics.modes()),
        tables="\n".join(_table(*table) for table in summary_tables(summary)),
    )


def _curves(summary: Summary, mode: str) -> str:
    """Draw the curves of one data mode."""
    statistics = summary.statistics
    extremes = statistics.extremes(mode)
    found = {name: points for name in CURVES if (points := statistics.curve(name, mode))}
    if not found:
        return ""
    title = escape(f"{titled(summary, 'Curves', mode)} over {axis_span(statistics, mode)}")
    figures = "\n".join(_figure(name, points, extremes[name]) for name, points in found.items())
    return f'<h2>{title}</h2>\n<div class="curves">\n{figures}\n</div>'


def _figure(name: str, points: list[Point], extremes: Extremes) -> str:
    """Draw one curve and the range of its records; a point that stands for several is drawn at their mean."""
    low, high = extremes.minimum, extremes.maximum
    caption = (
        f"{name}: {format_number(low)} to {format_number(high)}, latest {format_number(extremes.latest)}"
    )
    return (
        f'<figure title="{escape(BY_NAME[name].meaning)}">'
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(caption)}">'
        f"{_line(points, low, high)}</svg>"
        f'<div class="axis" style="width: {WIDTH}px">'
        f"<span>{points[0].x:,.0f}</span><span>{points[-1].x:,.0f}</span></div>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _line(points: list[Point], low: float, high: float) -> str:
    """Draw from left to right, low at the bottom; one point is a dot, a constant lies in the middle.

    Behind the line, what the records of each point range over.
    """
    xs = [point.x for point in points]
    first, last = min(xs), max(xs)
    # Halved, so that the difference of two huge numbers does not overflow.
    across = [(x / 2 - first / 2) / (last / 2 - first / 2) if last / 2 > first / 2 else 0.5 for x in xs]

    def up(values: list[float]) -> list[float]:
        return [(v / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5 for v in values]

    def places(values: list[float]) -> list[str]:
        pairs = zip(across, up(values), strict=True)
        return [f"{x * WIDTH:.1f},{(1 - y) * HEIGHT:.1f}" for x, y in pairs]

    line = places([point.mean for point in points])
    if len(line) == 1:
        x, y = line[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="3"/>'
    lows, highs = places([point.low for point in points]), places([point.high for point in points])
    band = f'<polygon points="{" ".join(highs + lows[::-1])}"/>' if lows != highs else ""
    return f'{band}<polyline points="{" ".join(line)}"/>'


def _table(title: str, columns: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<h2>{escape(title)}</h2>\n<table>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table>"
    )
