"""Sum a log up: latest values, extremes, events and drift of each data mode, as data, text or Markdown."""

from __future__ import annotations

import math
import re
import shlex
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import InputError, count, printable
from townlet_core.telemetry.curves import bars_of
from townlet_core.telemetry.drift import Drift, load_baseline, measure_drift
from townlet_core.telemetry.fields import AXES, BY_NAME, CURVES
from townlet_core.telemetry.gather import read_statistics
from townlet_core.telemetry.reader import Line, read_records
from townlet_core.telemetry.statistics import Statistics

CURVE_WIDTH = 40  # bars of a curve in text
NOUNS = {"env_steps": "environment step", "steps": "sample pass"}

Table = tuple[str, list[str], list[list[str]]]  # title, columns, rows of ready text


class Summary(NamedTuple):
    """The statistics of a log, and its drift from a baseline."""

    path: str
    statistics: Statistics
    damaged: int  # lines that held no record
    drifts: list[Drift]  # empty without a baseline


def summarise(
    path: Path,
    baseline: Path | None = None,
    last: int | None = None,
    on_gap: Callable[[str], Any] = lambda sentence: None,
) -> Summary:
    """Summarise a log, or its last `last` records; `on_gap` as in read_records.

    Raises MissingError, or InputError if it holds no record.
    """
    damaged = 0

    def count_damage(line: Line, problem: str) -> None:
        nonlocal damaged
        damaged += 1

    if last is None:
        statistics = read_statistics(path, count_damage, on_gap)
    else:
        statistics = Statistics()
        for _, record in deque(read_records(path, count_damage, on_gap=on_gap), maxlen=last):
            statistics.add(record)
    if statistics.records == 0:
        check = f"townlet telemetry validate {shlex.quote(str(path))}"
        raise InputError(f"{path}: no record in this log", check)
    drifts = measure_drift(statistics, load_baseline(baseline)) if baseline else []
    return Summary(str(path), statistics, damaged, drifts)


def facts_of(summary: Summary) -> list[str]:
    """Return counts, and the latest text fields of the run, each on one line; untrusted text."""
    statistics, latest = summary.statistics, summary.statistics.latest
    facts = [count(statistics.records, "record")]
    facts += [count(summary.damaged, "damaged line")] if summary.damaged else []
    for name, noun in NOUNS.items():
        if type(latest.get(name)) in (int, float) and math.isfinite(latest[name]):
            facts.append(count(int(latest[name]), noun))
    texts = {name: value for name, value in latest.items() if name in BY_NAME and type(value) is str}
    if "data_mode" in texts:
        texts["data_mode"] = " and ".join(statistics.modes())
    return facts + [f"{name} {one_line(text)}" for name, text in texts.items()]


def one_line(text: object) -> str:
    """Put text on one line, so that it cannot look like several."""
    return " ".join(str(text).split())


def format_number(value: float) -> str:
    """Format a number: whole ones in full, others with four digits, a missing one as a dash."""
    if math.isnan(value):
        return "–"
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.4g}"


def summary_json(summary: Summary) -> dict[str, Any]:
    """Return the summary as plain data; a number that is missing is NaN, which JSON writes as null."""
    statistics = summary.statistics
    return {
        "path": summary.path,
        "records": statistics.records,
        "damaged_lines": summary.damaged,
        "latest": statistics.latest,
        "axis": statistics.axis(),
        "modes": {mode: _mode_json(statistics, mode) for mode in statistics.modes()},
        "drift": [drift._asdict() for drift in summary.drifts],
    }


def _mode_json(statistics: Statistics, mode: str) -> dict[str, Any]:
    found, spanned = statistics.cycles(mode)
    return {
        "records": statistics.modes()[mode],
        "cycles": found,
        "cycles_of_run": spanned,
        "events": statistics.event_totals(mode),
        "events_per_cycle": statistics.events_per_cycle(mode),
        "fields": {name: extremes._asdict() for name, extremes in statistics.extremes(mode).items()},
    }


def summary_text(summary: Summary) -> str:
    """Return the summary as aligned text. Untrusted text stays on its line."""
    parts = [f"{printable(summary.path)}: {', '.join(facts_of(summary))}"]
    tables = curve_tables(summary) + summary_tables(summary)
    parts += [f"{title}\n{align(columns, rows)}" for title, columns, rows in tables]
    return "\n\n".join(parts) + "\n"


def align(columns: list[str], rows: list[list[str]]) -> str:
    """Lay a table out in columns, text to the left and figures to the right; lines may be long."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in [columns, *rows]
    )


def summary_markdown(summary: Summary) -> str:
    """Return the summary as Markdown, with untrusted text escaped."""
    parts = [f"# {_plain(summary.path)}", ", ".join(map(_plain, facts_of(summary)))]
    for title, columns, rows in curve_tables(summary) + summary_tables(summary):
        head = [" | ".join(columns), " | ".join(["---"] + ["---:"] * (len(columns) - 1))]
        parts += [
            f"## {title}",
            "\n".join(f"| {line} |" for line in head + [" | ".join(row) for row in rows]),
        ]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return re.sub(r"[^\w .,:/+-]", lambda match: f"&#{ord(match[0])};", text)


def curve_tables(summary: Summary) -> list[Table]:
    """Return the curves of each mode as bars; the range beside a curve is that of its records."""
    statistics = summary.statistics
    tables = []
    for mode in statistics.modes():
        extremes = statistics.extremes(mode)
        rows = [
            [name, bars_of(points, CURVE_WIDTH), *_figures(extremes[name], "latest", "minimum", "maximum")]
            for name in CURVES
            if (points := statistics.curve(name, mode))
        ]
        if rows:
            title = f"{titled(summary, 'Curves', mode)} over {axis_span(statistics, mode)}"
            tables.append((title, ["field", "curve", "latest", "minimum", "maximum"], rows))
    return tables


def axis_span(statistics: Statistics, mode: str) -> str:
    """Return the label of the x axis of a mode's curves: `environment steps 450 to 4,500`."""
    ends = [point.x for name in CURVES for point in statistics.curve(name, mode)]
    span = f"{min(ends):,.0f}" + (f" to {max(ends):,.0f}" if max(ends) > min(ends) else "")
    return f"{AXES.get(statistics.axis() or '', 'records')} {span}"


def titled(summary: Summary, title: str, mode: str) -> str:
    """Name the mode in a title where the log has several."""
    return f"{title} of {mode}" if len(summary.statistics.modes()) > 1 else title


def summary_tables(summary: Summary) -> list[Table]:
    """Return the other tables of a summary: fields mode by mode, counts, drift."""
    statistics = summary.statistics
    columns = ["field", "latest", "minimum", "at epoch", "maximum", "at epoch", "mean"]
    tables: list[Table] = [
        (
            titled(summary, "Fields", mode),
            columns,
            [[name, *map(format_number, extremes)] for name, extremes in statistics.extremes(mode).items()],
        )
        for mode in statistics.modes()
    ]
    tables += [("Records", *_record_table(statistics)), ("Events", *_event_table(statistics))]
    if summary.drifts:
        tables.append(("Drift from the baseline", *drift_table(summary.drifts)))
    return [table for table in tables if table[2]]


def drift_table(drifts: list[Drift]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of ready text."""
    rows = [[f"{drift.mode} {drift.field}", *map(format_number, drift[2:])] for drift in drifts]
    return ["field", "baseline", "mean", "drift", "relative"], rows


def _record_table(statistics: Statistics) -> tuple[list[str], list[list[str]]]:
    modes = statistics.modes()
    cycles = [statistics.cycles(mode) for mode in modes]
    rows = [
        ["records", *map(str, modes.values())],
        ["cycles", *(f"{n}" if n == of else f"{n} of {of}" for n, of in cycles)],
    ]
    return ["of", *modes], rows


def _event_table(statistics: Statistics) -> tuple[list[str], list[list[str]]]:
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
    return ["event", *columns], rows


def _figures(extremes: Any, *names: str) -> list[str]:
    return [format_number(getattr(extremes, name)) for name in names]
