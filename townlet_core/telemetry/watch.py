"""Follow a log record by record: which alerts each one trips, and how it reads on one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.telemetry.fields import CURVES
from townlet_core.telemetry.reader import Line, read_records
from townlet_core.telemetry.records import Record
from townlet_core.telemetry.rules import Alarm, Alert, Rule
from townlet_core.telemetry.summary import format_number, one_line


class Seen(NamedTuple):
    """A record as it went by."""

    line: Line
    record: Record
    alerts: list[Alert]


def watch_log(
    path: Path,
    rules: list[Rule],
    on_damage: Callable[[Line, str], None],
    wait: Callable[[], bool] | None = None,
) -> Iterator[Seen]:
    """Yield every record with the alerts it trips; `on_damage`, `wait` and errors as in read_records."""
    alarm = Alarm(rules)
    for line, record in read_records(path, on_damage, wait):
        yield Seen(line, record, alarm.check(record))


def record_line(seen: Seen) -> str:
    """Write a record on one line: where it stands, its curves, its alerts."""
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
