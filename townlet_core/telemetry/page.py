"""A log's summary as one HTML page: curves, extremes, totals; it needs no network and runs no script."""

from __future__ import annotations

from html import escape

from townlet_core.errors import printable
from townlet_core.telemetry.fields import BY_NAME, CURVES
from townlet_core.telemetry.summary import Summary, format_number, latest_texts, summary_tables

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
circle {{ fill: #2563eb }}
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
<div class="curves">
{curves}
</div>
{tables}
</body>
</html>
"""


def summary_page(summary: Summary) -> str:
    """Return the whole page. Everything that came from outside is escaped."""
    statistics = summary.statistics
    facts = [f"{statistics.records} records", f"{summary.damaged} damaged lines"]
    facts += [f"{name} {text}" for name, text in latest_texts(summary).items()]
    curves = [_figure(name, points) for name in CURVES if (points := statistics.curve(name))]
    return _PAGE.format(
        title=escape(printable(summary.path)),
        facts=escape(printable(", ".join(facts))),
        curves="\n".join(curves),
        tables="\n".join(_table(*table) for table in summary_tables(summary)),
    )


def _figure(name: str, points: list[tuple[int, float]]) -> str:
    values = [value for _, value in points]
    low, high = min(values), max(values)
    caption = f"{name}: {format_number(low)} to {format_number(high)}, latest {format_number(values[-1])}"
    return (
        f'<figure title="{escape(BY_NAME[name].meaning)}">'
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(caption)}">'
        f"{_line(points, low, high)}</svg><figcaption>{escape(caption)}</figcaption></figure>"
    )


def _line(points: list[tuple[int, float]], low: float, high: float) -> str:
    """Draw from left to right, low at the bottom; one point is a dot, a constant lies in the middle."""
    first, last = points[0][0], points[-1][0]
    across = [(i - first) / (last - first) if last > first else 0.5 for i, _ in points]
    # Halved, so that the range of two absurd numbers still is a number.
    up = [(v / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5 for _, v in points]
    places = [f"{x * WIDTH:.1f},{(1 - y) * HEIGHT:.1f}" for x, y in zip(across, up, strict=True)]
    if len(places) == 1:
        x, y = places[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="3"/>'
    return f'<polyline points="{" ".join(places)}"/>'


def _table(title: str, columns: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<h2>{escape(title)}</h2>\n<table>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n</table>"
    )
