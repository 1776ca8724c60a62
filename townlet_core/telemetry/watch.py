"""Evaluate alert rules on a log record by record, and format a record on one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.telemetry.alerts import Alert, AlertMonitor, AlertRule
from townlet_core.telemetry.fields import CURVES
from townlet_core.telemetry.reader import Line, read_records
from townlet_core.telemetry.records import Record
from townlet_core.telemetry.summary import format_number, one_line


class Seen(NamedTuple):
    """A record with the alerts it tripped."""

    line: Line
    record: Record
    alerts: list[Alert]


class Watch:
    """One pass over a log: iterate over `follow()`, then read the counts.

    records, alerts, damaged, gaps: counts.
    """

    def __init__(self, path: Path, rules: list[AlertRule]) -> None:
        self.path = path
        self.records = self.alerts = self.damaged = self.gaps = 0
        self._monitor = AlertMonitor(rules)

    def follow(
        self,
        on_damage: Callable[[Line, str], Any],
        on_gap: Callable[[str], Any],
        wait: Callable[[], bool] | None = None,
    ) -> Iterator[Seen]:
        """Yield every record with the alerts it trips; arguments and errors as in read_records."""

        def count_damage(line: Line, problem: str) -> None:
            self.damaged += 1
            on_damage(line, problem)

        def count_gap(sentence: str) -> None:
            self.gaps += 1
            on_gap(sentence)

        for line, record in read_records(self.path, count_damage, wait, count_gap):
            alerts = self._monitor.check(record)
            self.records += 1
            self.alerts += len(alerts)
            yield Seen(line, record, alerts)

    def not_seen(self) -> list[str]:
        """Explain why the log has not passed although no rule tripped: something was not checked."""
        if not self.records:
            return ["no record in this log, so no rule was tried"]
        reasons = self._monitor.untried()
        if self.damaged:
            lines = "1 line holds" if self.damaged == 1 else f"{self.damaged} lines hold"
            reasons.append(f"{lines} no record")
        if self.gaps:
            reasons.append("it is not one whole log of one run")
        return reasons


def record_line(seen: Seen) -> str:
    """Format a record on one line: its position, the values of its curves, its alerts."""
    record = seen.record
    parts = [f"epoch {_value(record.get('epoch'))}", one_line(record.get("data_mode", "-"))]
    parts += [f"{name} {_value(record[name])}" for name in ("env_steps", *CURVES) if name in record]
    parts += [f"ALERT {alert.rule} ({format_number(alert.value)})" for alert in seen.alerts]
    return "  ".join(parts)


def seen_json(seen: Seen) -> dict[str, Any]:
    """Return what --json prints of a record; NaN becomes null there."""
    return {
        "line": seen.line.number,
        "record": seen.record,
        "alerts": [alert._asdict() for alert in seen.alerts],
    }


def _value(value: Any) -> str:
    return format_number(value) if type(value) in (int, float) else one_line(value)
