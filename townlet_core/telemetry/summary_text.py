"""The summary of a log as text of 80 columns and as Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from townlet_core.errors import count, printable
from townlet_core.telemetry.curves import bars_of
from townlet_core.telemetry.drift import SMALLEST_BASE, Drift
from townlet_core.telemetry.fields import AXES, BY_NAME, CURVES
from townlet_core.telemetry.groups import grouped
from townlet_core.telemetry.statistics import Extremes, Statistics
from townlet_core.telemetry.summary import Summary, facts_of, format_number
from townlet_core.telemetry.tables import (
    Table,
    deviations,
    figure,
    markdown_of,
    percent,
    signed,
    text_of,
    wrapped,
)

CURVE_WIDTH = 18  # bars of a curve, so that the widest table has 80 columns
SPANS = 5  # columns of the table of cycles
ROUNDING = 1e-6  # relative; sums of single precision in another order differ by less


def summary_text(summary: Summary) -> str:
    """Return the summary as aligned text. Untrusted text stays in its place."""
    parts = [f"{printable(summary.path)}\n{wrapped(map(printable, facts_of(summary)))}"]
    for mode in summary.statistics.modes():
        parts += [f"{table.title}\n{text_of(table)}" for table in mode_tables(summary, mode)]
        if constants := constants_of(summary.statistics, mode):
            parts.append("\n".join([titled(summary, "Constant", mode), *map(wrapped, constants)]))
    parts += [f"{table.title}\n{text_of(table)}" for table in other_tables(summary)]
    return "\n\n".join(parts) + "\n"


def summary_markdown(summary: Summary) -> str:
    """Return the summary as Markdown, with untrusted text escaped."""
    parts = [f"# {_plain(summary.path)}", ", ".join(map(_plain, facts_of(summary)))]
    for mode in summary.statistics.modes():
        parts += [f"## {table.title}\n\n{markdown_of(table)}" for table in mode_tables(summary, mode)]
        if constants := constants_of(summary.statistics, mode):
            lines = (", ".join(items) for items in constants)
            parts.append("\n\n".join([f"## {titled(summary, 'Constant', mode)}", *lines]))
    parts += [f"## {table.title}\n\n{markdown_of(table)}" for table in other_tables(summary)]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return re.sub(r"[^\w .,:/+-]", lambda match: f"&#{ord(match[0])};", text)


def titled(summary: Summary, title: str, mode: str) -> str:
    """Name the mode in a title where the log has several."""
    return f"{title} of {mode}" if len(summary.statistics.modes()) > 1 else title


def mode_tables(summary: Summary, mode: str) -> list[Table]:
    """Return the tables of a data mode that have a row."""
    tables = [make(summary, mode) for make in (curve_table, cycle_table, trend_table, extremes_table)]
    return [table for table in tables if table.rows]


def constants_of(statistics: Statistics, mode: str) -> list[list[str]]:
    """Return the fields that never changed in a mode with their values, and the names of those always 0.

    Of a single record nothing is constant.
    """
    changing, extremes = set(_changing(statistics, mode)), statistics.extremes(mode)
    values = {name: found.latest for name, found in extremes.items() if name not in changing}
    others = [f"{name} {format_number(value)}" for name, value in values.items() if value]
    zeros = [name for name, value in values.items() if not value]
    return [items for items in (others, [f"0: {zeros[0]}", *zeros[1:]] if zeros else []) if items]


def _changing(statistics: Statistics, mode: str) -> list[str]:
    """Return the fields of a mode that are not shown as constant."""
    if statistics.modes()[mode] < 2:
        return list(statistics.extremes(mode))
    return [name for name, found in statistics.extremes(mode).items() if not _is_constant(found)]


def _is_constant(found: Extremes) -> bool:
    scale = max(abs(found.minimum), abs(found.maximum))
    return found.maximum - found.minimum <= ROUNDING * scale


def curve_table(summary: Summary, mode: str) -> Table:
    """Return the curves of a mode as bars; the range beside a curve is that of its records."""
    statistics = summary.statistics
    extremes, changing = statistics.extremes(mode), set(_changing(statistics, mode))
    rows = [
        [
            name,
            bars_of(points, CURVE_WIDTH),
            *map(figure, (extremes[name].latest, extremes[name].minimum, extremes[name].maximum)),
        ]
        for name in CURVES
        if name in changing and (points := statistics.curve(name, mode))
    ]
    title = f"{titled(summary, 'Curves', mode)} over {_axis_span(statistics, mode)}" if rows else ""
    return Table(title, ["field", "curve", "latest", "minimum", "maximum"], rows)


def _axis_span(statistics: Statistics, mode: str) -> str:
    """Return the label of the x axis of a mode's curves: `environment steps 450 to 4,500`."""
    ends = [point.x for name in CURVES for point in statistics.curve(name, mode)]
    span = f"{min(ends):,.0f}" + (f" to {max(ends):,.0f}" if max(ends) > min(ends) else "")
    return f"{AXES.get(statistics.axis() or '', 'records')} {span}"


def cycle_table(summary: Summary, mode: str) -> Table:
    """Return the means of the curves over a few spans of cycles; no rows if there is but one span."""
    statistics = summary.statistics
    spans = statistics.by_cycle(mode, SPANS)
    titles = [_span_title(span.first_cycle, span.last_cycle) for span in spans]
    changing = set(_changing(statistics, mode))
    rows = [
        [name, *(figure(span.means.get(name, math.nan)) for span in spans)]
        for name in CURVES
        if name in changing and any(name in span.means for span in spans)
    ]
    is_told = len(spans) > 1 and all(titles)
    return Table(titled(summary, "Means by cycle", mode), ["cycle", *titles], rows if is_told else [])


def _span_title(first: float, last: float) -> str:
    if math.isnan(first) or math.isnan(last):
        return ""
    return figure(first) if first == last else f"{figure(first)}–{figure(last)}"


def trend_table(summary: Summary, mode: str) -> Table:
    """Return latest value and trend of each field by group; positions in the run have none."""
    statistics = summary.statistics
    extremes = statistics.extremes(mode)
    names = [name for name in _changing(statistics, mode) if BY_NAME[name].unit != "index"]

    def row(name: str) -> list[str]:
        trend, cells = statistics.trend(name, mode), [BY_NAME[name].unit, figure(extremes[name].latest)]
        return [*cells, *((signed(trend.change), deviations(trend.deviations)) if trend else "––")]

    columns = ["field", "unit", "latest", "change", "trend"]
    title = f"{titled(summary, 'Trends', mode)}, last third of cycles against the first"
    return Table(title, columns, _grouped_rows(names, row))


def extremes_table(summary: Summary, mode: str) -> Table:
    """Return extremes with their epochs, and the mean, of each field by group."""
    extremes = summary.statistics.extremes(mode)

    def row(name: str) -> list[str]:
        found = extremes[name]
        low, high = (found.minimum, found.minimum_epoch), (found.maximum, found.maximum_epoch)
        return [figure(value) for value in (*low, *high, found.mean)]

    columns = ["field", "minimum", "at", "maximum", "at", "mean"]
    title = f"{titled(summary, 'Extremes', mode)}, at epochs"
    return Table(title, columns, _grouped_rows(_changing(summary.statistics, mode), row))


def _grouped_rows(names: list[str], row: Callable[[str], list[str]]) -> list[list[str]]:
    rows: list[list[str]] = []
    for group, members in grouped(names).items():
        rows += [[group.capitalize()], *([name, *row(name)] for name in members)]
    return rows


def other_tables(summary: Summary) -> list[Table]:
    """Return the tables on all modes: counts, and the drift."""
    tables = [_record_table(summary.statistics), _event_table(summary.statistics)]
    if summary.drifts:
        tables.append(drift_table("Drift from the baseline", summary.drifts))
    return [table for table in tables if table.rows]


def drift_table(title: str, drifts: list[Drift]) -> Table:
    """Return the drift from a baseline, mode by mode, with its direction; fields without one are counted."""
    rows: list[list[str]] = []
    for mode in dict.fromkeys(drift.mode for drift in drifts):
        of_mode = [drift for drift in drifts if drift.mode == mode]
        moved = [drift for drift in of_mode if not _is_rounding(drift)]
        rows.append([mode.capitalize()])
        rows += [
            [drift.field, figure(drift.baseline), figure(drift.mean), signed(drift.change), _relative(drift)]
            for drift in moved
        ]
        if len(moved) < len(of_mode):
            rows.append([f"no drift in {count(len(of_mode) - len(moved), 'field')}"])
    return Table(title, ["field", "baseline", "mean", "change", "relative"], rows)


def _is_rounding(drift: Drift) -> bool:
    return drift.drift <= ROUNDING * max(abs(drift.baseline), abs(drift.mean))


def _relative(drift: Drift) -> str:
    """Return the drift in percent of the baseline; a dash where that is about 0."""
    if math.isnan(drift.relative) or abs(drift.baseline) < SMALLEST_BASE:
        return "–"
    return percent(math.copysign(drift.relative, drift.change))


def _record_table(statistics: Statistics) -> Table:
    modes = statistics.modes()
    cycles = [statistics.cycles(mode) for mode in modes]
    rows = [
        ["records", *map(str, modes.values())],
        ["cycles", *(f"{n}" if n == of else f"{n} of {of}" for n, of in cycles)],
    ]
    return Table("Records", ["of", *modes], rows)


def _event_table(statistics: Statistics) -> Table:
    """Each cycle's events counted once: in all, where they happened anew, and per cycle."""
    columns: dict[str, dict[str, float]] = {}
    for mode in statistics.modes():
        if totals := statistics.event_totals(mode):
            columns[f"{mode} total"] = totals
        if means := statistics.events_per_cycle(mode):
            columns[f"{mode} per cycle"] = means
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    rows = [
        [name, *(format_number(column.get(name, math.nan)) for column in columns.values())] for name in names
    ]
    return Table("Events", ["event", *columns], rows)
