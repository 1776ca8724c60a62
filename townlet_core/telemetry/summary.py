"""Sum a log up: latest values, extremes, per-mode totals and drift, as data, text or Markdown."""

from __future__ import annotations

import math
import re
import shlex
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import InputError, printable
from townlet_core.telemetry.drift import Drift, load_baseline, measure_drift
from townlet_core.telemetry.fields import BY_NAME
from townlet_core.telemetry.reader import Line, read_records
from townlet_core.telemetry.statistics import Statistics


class Summary(NamedTuple):
    """What a log amounts to."""

    path: str
    statistics: Statistics
    damaged: int  # lines that held no record
    drifts: list[Drift]  # empty without a baseline


def summarise(path: Path, baseline: Path | None = None, last: int | None = None) -> Summary:
    """Sum up a log, or its last `last` records. Raises MissingError, or InputError if it holds no record."""
    statistics = Statistics()
    damaged = 0

    def count_damage(line: Line, problem: str) -> None:
        nonlocal damaged
        damaged += 1

    records = (record for _, record in read_records(path, count_damage))
    for record in records if last is None else deque(records, maxlen=last):
        statistics.add(record)
    if statistics.records == 0:
        check = f"townlet telemetry validate {shlex.quote(str(path))}"
        raise InputError(f"{path}: no record in this log", check)
    drifts = measure_drift(statistics, load_baseline(baseline)) if baseline else []
    return Summary(str(path), statistics, damaged, drifts)


def latest_texts(summary: Summary) -> dict[str, str]:
    """Return the text fields of the latest record, such as scenario and run_id: outside text, on one line."""
    latest = summary.statistics.latest
    return {name: one_line(value) for name, value in latest.items() if name in BY_NAME and type(value) is str}


def one_line(text: object) -> str:
    """Put text on one line, so that it cannot pass for another."""
    return " ".join(str(text).split())


def format_number(value: float) -> str:
    """Write a number for people: whole ones in full, others with four digits, a missing one as a dash."""
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
        "fields": {name: extremes._asdict() for name, extremes in statistics.extremes().items()},
        "modes": {
            mode: {"records": records, **statistics.event_totals(mode)}
            for mode, records in statistics.modes().items()
        },
        "drift": [drift._asdict() for drift in summary.drifts],
    }


def summary_text(summary: Summary) -> str:
    """Return the summary as aligned text. What came from outside stays on its line."""
    facts = "".join(f", {name} {text}" for name, text in latest_texts(summary).items())
    parts = [f"{printable(summary.path)}: {summary.statistics.records} records{facts}"]
    parts += [f"{title}\n{align(columns, rows)}" for title, columns, rows in summary_tables(summary)]
    return "\n\n".join(parts) + "\n"


def align(columns: list[str], rows: list[list[str]]) -> str:
    """Lay a table out in columns, text to the left and figures to the right; lines may be long."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in [columns, *rows]
    )


def summary_markdown(summary: Summary) -> str:
    """Return the summary as Markdown, outside text made harmless."""
    facts = [f"{name} {_plain(text)}" for name, text in latest_texts(summary).items()]
    parts = [
        f"# {_plain(summary.path)}",
        ", ".join([f"{summary.statistics.records} records", f"{summary.damaged} damaged lines", *facts]),
    ]
    for title, columns, rows in summary_tables(summary):
        head = [" | ".join(columns), " | ".join(["---"] + ["---:"] * (len(columns) - 1))]
        parts += [
            f"## {title}",
            "\n".join(f"| {line} |" for line in head + [" | ".join(row) for row in rows]),
        ]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return re.sub(r"[^\w .:/+-]", lambda match: f"&#{ord(match[0])};", text)


def summary_tables(summary: Summary) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return the tables of a summary as (title, columns, rows of ready text)."""
    statistics = summary.statistics
    fields = [[name, *map(format_number, extremes)] for name, extremes in statistics.extremes().items()]
    tables = [
        ("Fields", ["field", "latest", "minimum", "at epoch", "maximum", "at epoch", "mean"], fields),
        ("Events by data mode", *_mode_table(statistics)),
    ]
    if summary.drifts:
        tables.append(("Drift from the baseline", *drift_table(summary.drifts)))
    return tables


def drift_table(drifts: list[Drift]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of ready text."""
    rows = [[f"{drift.mode} {drift.field}", *map(format_number, drift[2:])] for drift in drifts]
    return ["field", "baseline", "mean", "drift", "relative"], rows


def _mode_table(statistics: Statistics) -> tuple[list[str], list[list[str]]]:
    modes = statistics.modes()
    totals = {mode: statistics.event_totals(mode) for mode in modes}
    names = list(dict.fromkeys(name for mode in modes for name in totals[mode]))
    rows = [["records", *map(str, modes.values())]]
    rows += [[name, *(format_number(totals[mode].get(name, math.nan)) for mode in modes)] for name in names]
    return ["total", *modes], rows
