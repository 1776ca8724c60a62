"""A chart as SVG, to stand in a page: in the page's colours, its values on hover without a script."""

from __future__ import annotations

from html import escape

from townlet_core.errors import printable
from townlet_core.report.chart import Chart
from townlet_core.report.layout import Layout, Path, Reading, Words, lay_out
from townlet_core.report.scale import format_value


def chart_svg(chart: Chart, width: int = 420, height: int = 250) -> str:
    """Draw a chart. Words are untrusted and escaped. No style attributes, which the page's policy forbids."""
    layout = lay_out(chart, width, height)
    parts = [
        f'<svg viewBox="0 0 {layout.width} {layout.height}" role="img" tabindex="0" '
        f'aria-label="{text(described(chart))}">',
        *map(_path, layout.paths),
        *map(_words, layout.words),
        '<line class="cursor"/>',
        *(_hit(reading, layout, chart) for reading in layout.readings),
        "</svg>",
    ]
    return "\n".join(parts)


def text(value: object) -> str:
    """Escape untrusted text for a page."""
    return escape(printable(str(value)))


def described(chart: Chart) -> str:
    """Say in a sentence what the chart shows, for people who cannot see it."""
    said = []
    for one in chart.series:
        if len(one.curve.x) and not one.is_faint:
            first, last = one.curve.mean[0], one.curve.mean[-1]
            said.append(f"{one.label} from {format_value(first)} to {format_value(last)}")
    said += [f"{level.label} {format_value(level.mean)}" for level in chart.levels]
    return f"{chart.title}, {chart.y_label or 'no unit'}, over {chart.x_label}: {'; '.join(said)}"


def _path(path: Path) -> str:
    if len(path.points) == 2 and not path.is_area:
        (x1, y1), (x2, y2) = path.points
        return f'<path class="{path.look}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in path.points)
    return f'<{"polygon" if path.is_area else "polyline"} class="{path.look}" points="{points}"/>'


def _words(words: Words) -> str:
    anchor = "" if words.anchor == "start" else f' text-anchor="{words.anchor}"'
    x, y = words.place
    return f'<text class="{words.look}"{anchor} x="{x:.1f}" y="{y:.1f}">{text(words.text)}</text>'


def _hit(reading: Reading, layout: Layout, chart: Chart) -> str:
    """Draw an invisible column whose title tells its values."""
    return (
        f'<rect class="hit" x="{reading.left:.1f}" y="{layout.top:.0f}" '
        f'width="{reading.right - reading.left:.1f}" height="{layout.bottom - layout.top:.0f}">'
        f"<title>{text(said(reading, chart))}</title></rect>"
    )


def said(reading: Reading, chart: Chart) -> str:
    """Tell the values at one place, one series after the other."""
    values = [
        f"{label} {format_value(mean)}"
        + (f" ({format_value(low)} to {format_value(high)})" if low != high else "")
        for label, mean, low, high in reading.values
    ]
    return f"{format_value(reading.x)} {chart.x_label}: {'; '.join(values)}"
