"""Evaluate alert rules on a log record by record, and format a record on one line."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import InputError, did_you_mean, shown
from townlet_core.telemetry.alerts import Alert, AlertMonitor, AlertRule
from townlet_core.telemetry.bundled import bundled_rules
from townlet_core.telemetry.fields import CURVES, NUMBERS
from townlet_core.telemetry.follow import Damaged, Found, Gap, News
from townlet_core.telemetry.reader import Line
from townlet_core.telemetry.records import Record, whole_number
from townlet_core.telemetry.summary import format_number, one_line

# Shown of every record, whatever metrics are asked for.
PLACE = (
    "epoch",
    "cycle_id",
    "data_mode",
    "env_steps",
    "steps",
    "scenario",
    "seed",
    "run_id",
    "timestamp",
    "log_stream_offset",
)
START, END = "start", "end"


class Seen(NamedTuple):
    """A record with the alerts it tripped."""

    line: Line
    record: Record
    alerts: list[Alert]


class Watch:
    """One pass over a log: pass its news to `take`, from read_once or a LogFeed, then read the counts.

    bundled: also try the rules that come with Townlet for the scenario that the first record names.
    start: the epoch from which on records are shown and rules tried.
    records, alerts, damaged, gaps: counts. monitor: of the rules; None before the first record.
    """

    def __init__(
        self, path: Path, rules: list[AlertRule], bundled: bool = False, start: int | None = None
    ) -> None:
        self.path = path
        self.records = self.alerts = self.damaged = self.gaps = 0
        self.start = start
        self.rules = rules
        self.bundled = bundled
        self.monitor: AlertMonitor | None = None

    def take(self, news: News) -> Seen | None:
        """Count what was read; return a record that is to be shown, with the alerts it trips."""
        if isinstance(news, Found):
            return self._see(news.line, news.record)
        self.damaged += isinstance(news, Damaged)
        self.gaps += isinstance(news, Gap)
        return None

    def _see(self, line: Line, record: Record) -> Seen | None:
        """Count a record and try the rules on it; None if it lies before the start."""
        epoch = whole_number(record.get("epoch"))
        if self.start is not None and (epoch is None or epoch < self.start):
            return None
        if self.monitor is None:
            more = bundled_rules(record.get("scenario")) if self.bundled else []
            self.monitor = AlertMonitor([*self.rules, *more])
        alerts = self.monitor.check(record)
        self.records += 1
        self.alerts += len(alerts)
        return Seen(line, record, alerts)

    def not_seen(self) -> list[str]:
        """Explain why the log has not passed although no rule tripped: something was not checked."""
        if not self.records or self.monitor is None:
            return ["no record in this log, so no rule was tried"]
        # The bundled rules are for every mode and any length, and a run need not have them all.
        untried = self.monitor.untried()
        reasons = [reason for rule, reason in untried if rule in self.rules]
        if self.bundled and not self.rules and len(untried) == len(self.monitor.rules):
            reasons = ["no bundled rule saw a value"]
        if self.damaged:
            lines = "1 line holds" if self.damaged == 1 else f"{self.damaged} lines hold"
            reasons.append(f"{lines} no record")
        if self.gaps:
            reasons.append("it is not one whole log of one run")
        return reasons


def parse_start(text: str) -> int | str:
    """Parse where to start: start, end, or the number of an epoch. Raises InputError."""
    if text in (START, END):
        return text
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    raise InputError(f"--from {shown(text)}: expected {START}, {END} or an epoch", "such as --from 40")


def choose_metrics(globs: list[str]) -> tuple[str, ...]:
    """Return the numeric fields that match, in the order of FIELDS; without globs the usual curves.

    Raises InputError for one that matches no field.
    """
    if not globs:
        return CURVES
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in NUMBERS):
            raise InputError(
                f"--metric {shown(glob)}: no field has such a name{did_you_mean(glob, NUMBERS)}",
                "townlet docs telemetry#fields lists the fields; quote * and ?",
            )
    return tuple(name for name in NUMBERS if any(fnmatchcase(name, glob) for glob in globs))


def record_line(seen: Seen, metrics: tuple[str, ...] = CURVES) -> str:
    """Format a record on one line: its position, the values of its metrics, its alerts with their line."""
    record = seen.record
    parts = [f"epoch {_value(record.get('epoch'))}", one_line(record.get("data_mode", "-"))]
    parts += [f"{name} {_value(record[name])}" for name in ("env_steps", *metrics) if name in record]
    parts += [alert_line(seen.line, alert) for alert in seen.alerts]
    return "  ".join(parts)


def alert_line(line: Line, alert: Alert) -> str:
    """Say on one line which rule a record tripped, with which value, and where it stands."""
    why = f": {one_line(alert.why)}" if alert.why else ""
    return f"ALERT {alert.rule} ({format_number(alert.value)}) at {one_line(line.place)}{why}"


def seen_json(seen: Seen, path: Path | None = None, metrics: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Return what --json prints of a record; NaN becomes null there.

    metrics: keep only these fields and the record's place in the run.
    """
    record = seen.record
    if metrics is not None:
        record = {name: value for name, value in record.items() if name in PLACE or name in metrics}
    return {
        **({} if path is None else {"path": str(path)}),
        "line": seen.line.number,
        "record": record,
        "alerts": [_alert_json(alert) for alert in seen.alerts],
    }


def _alert_json(alert: Alert) -> dict[str, Any]:
    return {name: value for name, value in alert._asdict().items() if name != "why" or value}


def _value(value: Any) -> str:
    return format_number(value) if type(value) in (int, float) else one_line(value)
