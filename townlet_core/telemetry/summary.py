"""Sum a log up: latest values, extremes, trends, events and drift of each data mode, as data."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import InputError, count
from townlet_core.telemetry.drift import Drift, load_baseline, measure_drift
from townlet_core.telemetry.fields import BY_NAME
from townlet_core.telemetry.gather import read_statistics
from townlet_core.telemetry.groups import group_of
from townlet_core.telemetry.reader import Line
from townlet_core.telemetry.statistics import Statistics

NOUNS = {"env_steps": "environment step", "steps": "sample pass"}


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

    statistics = read_statistics(path, count_damage, on_gap, last)
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
        "fields": {
            name: {**extremes._asdict(), **_about(statistics, name, mode)}
            for name, extremes in statistics.extremes(mode).items()
        },
        "by_cycle": [cycles._asdict() for cycles in statistics.by_cycle(mode)],
    }


def _about(statistics: Statistics, name: str, mode: str) -> dict[str, Any]:
    trend = statistics.trend(name, mode) if BY_NAME[name].unit != "index" else None
    return {"unit": BY_NAME[name].unit, "group": group_of(name), "trend": trend._asdict() if trend else None}
