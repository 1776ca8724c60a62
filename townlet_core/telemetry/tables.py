"""Tables of a report on a log: laid out in 80 columns as text, or as Markdown."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from typing import NamedTuple

from townlet_core.telemetry.summary import format_number

WIDTH = 80  # columns of every terminal
FIGURE = 8  # characters of a figure in a table
GAP = "  "


class Table(NamedTuple):
    """Ready text. A row of one cell is the heading of the rows below it."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def figure(value: float) -> str:
    """Format a number in at most FIGURE characters, with four digits or more if they fit."""
    return _fitted(value, "")


def signed(value: float) -> str:
    """Format a difference, with its sign, in at most FIGURE characters."""
    return _fitted(value, "+" if value > 0 else "")


def _fitted(value: float, sign: str) -> str:
    is_large = 10_000 <= abs(value) < 1e15
    text = sign + format_number(float(round(value)) if is_large else value)
    for digits in (4, 3, 2, 1):
        if len(text) <= FIGURE:
            break
        text = f"{sign}{value:.{digits}g}"
    return text


def percent(share: float) -> str:
    """Format a relative difference: `+12.5 %`."""
    return f"{share:+.1%}".replace("%", " %") if abs(share) < 10 else f"{signed(share * 100)} %"


def text_of(table: Table) -> str:
    """Lay a table out, text to the left and figures to the right.

    What is wider than WIDTH is continued below, with the first column again.
    """
    widths = [
        max(len(row[n]) for row in [table.columns, *table.rows] if n == 0 or len(row) > 1)
        for n in range(len(table.columns))
    ]
    parts, room = [[0]], WIDTH - widths[0]
    for n, width in enumerate(widths[1:], start=1):
        if room < len(GAP) + width and len(parts[-1]) > 1:
            parts.append([0])
            room = WIDTH - widths[0]
        parts[-1].append(n)
        room -= len(GAP) + width
    return "\n\n".join("\n".join(_lines(table, chosen, widths)) for chosen in parts)


def _lines(table: Table, chosen: list[int], widths: list[int]) -> Iterable[str]:
    for row in [table.columns, *table.rows]:
        if len(row) == 1:
            yield row[0]
        else:
            cells = [row[n].rjust(widths[n]) if n else row[0].ljust(widths[0]) for n in chosen]
            yield GAP.join(cells).rstrip()


def markdown_of(table: Table) -> str:
    """Return a table in Markdown, headings in bold."""
    rules = ["---", *["---:"] * (len(table.columns) - 1)]
    rows = [
        row if len(row) > 1 else [f"**{row[0]}**", *[""] * (len(table.columns) - 1)] for row in table.rows
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [table.columns, rules, *rows])


def wrapped(items: Iterable[str]) -> str:
    """Join items with commas on lines of at most WIDTH characters; only a longer item is broken."""
    lines = [""]
    for item in items:
        text = f"{lines[-1]}, {item}" if lines[-1] else item
        if len(text) < WIDTH:  # and a comma
            lines[-1] = text
        else:
            lines[-1] += "," if lines[-1] else ""
            lines += textwrap.wrap(item, WIDTH - 1)
    return "\n".join(filter(None, lines))


def deviations(value: float) -> str:
    """Format a size in standard deviations, with an arrow: a dash if unknown, → if steady."""
    if math.isnan(value):
        return "–"
    arrow = "→" if abs(value) < 1 else "↑" if value > 0 else "↓"
    size = "∞" if math.isinf(value) else f"{abs(value):.1f}" if abs(value) < 100 else f"{abs(value):.0e}"
    return f"{arrow} {size}"
