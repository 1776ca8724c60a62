"""How a watched log looks: a dashboard on a terminal, lines or NDJSON in a pipe."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from townlet_cli.console import count, out, plain, plain_lines, safe, table, to_json, warn
from townlet_core.telemetry.curves import sparkline
from townlet_core.telemetry.fields import AXES, CURVES
from townlet_core.telemetry.reader import Line
from townlet_core.telemetry.summary import format_number, one_line
from townlet_core.telemetry.watch import Seen, Watch, record_line, seen_json

WINDOW = 60  # records a sparkline shows
ALERTS = 5  # latest ones shown
BESIDE_CURVE = 72  # columns that a row has besides its sparkline


def print_records(watch: Watch, wait: Callable[[], bool] | None, stop: bool, as_json: bool) -> None:
    """Print one line per record, or one JSON object with `as_json`.

    wait: follow the log, as in read_lines. stop: end at the first record that trips a rule.
    """
    for seen in watch.follow(_warn_of_damage, warn, wait):
        text = to_json(seen_json(seen)) if as_json else plain(record_line(seen))
        sys.stdout.write(text + "\n")
        if stop and seen.alerts:
            break


def show_dashboard(watch: Watch, wait: Callable[[], bool] | None, stop: bool) -> None:
    """Draw a dashboard, redrawn as records come where `wait` follows them; `stop` as in print_records."""
    dashboard = Dashboard(str(watch.path))
    with Live(console=out, auto_refresh=False) as live:

        def redraw_and_wait() -> bool:
            live.update(dashboard.render(), refresh=True)
            return wait is not None and wait()

        for seen in watch.follow(
            dashboard.count_damage, dashboard.add_gap, redraw_and_wait if wait else None
        ):
            dashboard.add(seen)
            if stop and seen.alerts:
                break
        live.update(dashboard.render(), refresh=True)


def _warn_of_damage(line: Line, problem: str) -> None:
    warn(f"{line.place}: {problem}")


class Dashboard:
    """Dashboard of the records seen so far, redrawn on request."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.records = 0
        self.alert_count = 0
        self.damaged = 0
        self._latest: Seen | None = None
        # By data mode: drawn through each other, replay and rollout are a sawtooth that tells nothing.
        self._curves: dict[str, dict[str, deque[float]]] = {}
        self._places: dict[str, deque[float]] = {}  # environment steps of the records behind the curves
        self._alerts: deque[str] = deque(maxlen=ALERTS)
        self._gaps: deque[str] = deque(maxlen=ALERTS)

    def add(self, seen: Seen) -> None:
        """Count one record in."""
        self.records += 1
        self._latest = seen
        mode = str(seen.record.get("data_mode", ""))
        curves = self._curves.setdefault(mode, {name: deque[float](maxlen=WINDOW) for name in CURVES})
        for name, values in curves.items():
            if name in seen.record:
                values.append(_number(seen.record[name]))
        places = self._places.setdefault(mode, deque(maxlen=WINDOW))
        places.append(_number(seen.record.get("env_steps")))
        self.alert_count += len(seen.alerts)
        epoch = one_line(seen.record.get("epoch", "-"))
        self._alerts += [
            f"epoch {epoch}: {alert.rule} ({format_number(alert.value)})" for alert in seen.alerts
        ]

    def count_damage(self, line: Line, problem: str) -> None:
        """Count a line that held no record."""
        self.damaged += 1

    def add_gap(self, sentence: str) -> None:
        """Keep what was said of records that are missing, or of another run."""
        self._gaps.append(sentence)

    def render(self) -> Group:
        """Draw it. Outside text goes through `plain` into Text, which interprets no markup."""
        if self._latest is None:
            return Group(Text(plain(f"{self.name}: no record yet")))
        record = self._latest.record
        facts = [
            f"{name} {one_line(record[name])}"
            for name in ("env_steps", "scenario", "run_id", "cycle_id", "data_mode")
            if name in record
        ]
        damage = [count(self.damaged, "damaged line")] if self.damaged else []
        head = ", ".join(
            [f"epoch {one_line(record.get('epoch', '-'))}", count(self.records, "record"), *damage, *facts]
        )
        return Group(
            Text(plain(self.name), style="bold"),
            Text(plain(head)),
            *(Text(plain(gap), style="yellow") for gap in self._gaps),
            self._alert_text(),
            self._curve_table(),
        )

    def _curve_table(self) -> Table:
        mode = "rollout" if "rollout" in self._curves else next(iter(self._curves))
        width = max(10, out.width - BESIDE_CURVE)
        title = f"Records of {safe(mode)}" if mode else "Records"
        places = [place for place in list(self._places[mode])[-width:] if math.isfinite(place)]
        if places and max(places) > 0:
            title += f", {AXES['env_steps']} {min(places):,.0f} to {max(places):,.0f}"
        result = table(title, "field", "last records", "latest", "minimum", "maximum")
        for name, values in self._curves[mode].items():
            if values:
                shown = list(values)[-width:]  # and the range beside it is that of what is shown
                finite = [value for value in shown if math.isfinite(value)] or [math.nan]
                figures = (shown[-1], min(finite), max(finite))
                result.add_row(name, sparkline(shown), *map(format_number, figures))
        return result

    def _alert_text(self) -> Text:
        if not self._alerts:
            return Text("no alerts", style="green")
        return Text(
            plain_lines("\n".join([count(self.alert_count, "alert"), *map(plain, self._alerts)])), style="red"
        )


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
