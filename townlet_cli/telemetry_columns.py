"""Several watched logs side by side: a column for each."""

from __future__ import annotations

import math
import time

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from townlet_cli.console import out, plain, safe, table
from townlet_core.telemetry.board import Board, Metric
from townlet_core.telemetry.curves import sparkline
from townlet_core.telemetry.pace import format_duration
from townlet_core.telemetry.records import number
from townlet_core.telemetry.summary import format_number, one_line

NAME_COLUMNS = 30  # of the first column
BESIDE_CURVE = 19  # columns that a cell has besides its sparkline
ALERTS = 2  # of each log
FACTS = ("scenario", "run", "cycle", "rate", "left", "last record", "alerts")


def draw_side_by_side(boards: list[Board]) -> Group:
    """Draw the facts of several logs, each metric of each mode, and the latest alerts of each."""
    facts = _side_table("", boards)
    for label, *cells in zip(FACTS, *map(_facts, boards), strict=True):
        facts.add_row(label, *(Text(plain(cell)) for cell in cells))
    parts: list[RenderableType] = [facts]
    for mode in dict.fromkeys(mode for board in boards for mode in board.modes()):
        parts.append(_mode_table(boards, mode))
    for board in boards:
        name = plain(board.name)
        parts += [Text(f"{name}: {plain(raised.text)}", style="red") for raised in board.raised(ALERTS)]
        parts += [Text(f"{name}: {plain(gap)}", style="yellow") for gap in list(board.gaps)[-1:]]
    return Group(*parts)


def _side_table(title: str, boards: list[Board]) -> Table:
    return table(title, "log" if not title else "field", *(safe(board.name) for board in boards))


def _facts(board: Board) -> list[str]:
    """Return the cells of a log's column, in the order of FACTS."""
    record, pace, status = board.latest, board.pace, board.status
    state = status.status if status else "–"
    if not record:
        return ["–", board.note or state, "–", "–", "–", "–", "–"]
    cycles = status.cycles if status else None
    cycle = "–" if pace.cycle is None else f"{pace.cycle + 1}" + (f" of {cycles}" if cycles else "")
    rate = number(record.get("env_steps_per_second", record.get("steps_per_second")))
    left = pace.seconds_left(cycles) if status and not status.has_ended else math.nan
    return [
        one_line(record.get("scenario", "–")),
        state,
        cycle,
        f"{rate:,.0f}/s" if math.isfinite(rate) else "–",
        format_duration(left),
        f"{format_duration(time.time() - pace.last)} ago",
        str(board.watch.alerts),
    ]


def _mode_table(boards: list[Board], mode: str) -> Table:
    """Draw each metric of a mode in the columns of the logs that have it: curve, latest value, state."""
    width = (out.width - NAME_COLUMNS) // len(boards) - BESIDE_CURVE
    result = _side_table(f"Records of {safe(mode)}" if mode else "Records", boards)
    columns = [
        {metric.name: metric for metric in (board.table(mode) if mode in board.modes() else [])}
        for board in boards
    ]
    for name in dict.fromkeys(name for column in columns for name in column):
        result.add_row(safe(name), *(_cell(column.get(name), max(0, width)) for column in columns))
    return result


def _cell(metric: Metric | None, width: int) -> Text:
    if metric is None:
        return Text("–")
    style = {"ALERT": "bold red", "ok": "", "": ""}.get(metric.state, "yellow")
    curve = sparkline(metric.values[-width:]) if width else ""
    state = "" if metric.state == "ok" else f" {metric.state}"
    return Text(f"{curve} {format_number(metric.latest)}{state}", style=style)
