"""How watched logs look: a dashboard on a terminal, lines or NDJSON in a pipe."""

from __future__ import annotations

import math
import sys
import textwrap
import time
from pathlib import Path

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from townlet_cli.console import count, note, out, plain, safe, table, to_json, warn, with_schema
from townlet_cli.telemetry_columns import draw_side_by_side
from townlet_core.telemetry.board import Board, Metric
from townlet_core.telemetry.curves import sparkline
from townlet_core.telemetry.fields import AXES
from townlet_core.telemetry.pace import format_duration
from townlet_core.telemetry.reader import Line
from townlet_core.telemetry.records import number
from townlet_core.telemetry.summary import format_number, one_line
from townlet_core.telemetry.watch import Seen, record_line, seen_json

WIDE = 100  # columns from which on names are given in full
BESIDE_CURVE = 50  # columns that a row has besides name and sparkline
BESIDE_ROWS = 6  # lines of a board besides those of its tables
SHOWN_ALERTS = 3  # latest ones
REDRAW_SECONDS = 1.0  # while nothing happens, for what depends on the clock
STATE_STYLES = {"ok": "green", "ALERT": "bold red"}


class Lines:
    """One line, or JSON object, per record; what is wrong with a log goes to stderr."""

    def __init__(self, boards: list[Board], as_json: bool, keep: tuple[str, ...] | None = None) -> None:
        """keep: the fields of JSON objects, if not all."""
        self.as_json = as_json
        self.keep = keep
        self.is_one = len(boards) == 1

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def seen(self, board: Board, seen: Seen) -> None:
        """Print a record."""
        if self.as_json:
            text = to_json(with_schema(seen_json(seen, board.watch.path, self.keep)))
        else:
            name = "" if self.is_one else f"{one_line(board.name)}  "
            text = plain(name + record_line(seen, board.metrics))
        sys.stdout.write(text + "\n")

    def damaged(self, board: Board, line: Line, problem: str) -> None:
        """Warn of a line that holds no record."""
        warn(f"{line.place}: {problem}")

    def gap(self, board: Board, sentence: str) -> None:
        """Warn of records that are missing."""
        warn(sentence)

    def missing(self, board: Board, path: Path) -> None:
        """Say which log is being waited for."""
        note(f"waiting for {safe(path)}")

    def redraw(self, is_news: bool) -> None:
        """Nothing is drawn."""


class Dashboard:
    """A board for each log, redrawn in place."""

    def __init__(self, boards: list[Board]) -> None:
        self.boards = boards
        self._live = Live(console=out, auto_refresh=False)
        self._drawn = -math.inf  # on the clock of time.monotonic

    def __enter__(self) -> Dashboard:
        self._live.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        if not any(raised):
            self._live.update(self.render(), refresh=True)
        self._live.__exit__(None, None, None)

    def seen(self, board: Board, seen: Seen) -> None:
        """Nothing to do; the board has the record."""

    def damaged(self, board: Board, line: Line, problem: str) -> None:
        """Nothing to do; the board's watch counts the line."""

    def gap(self, board: Board, sentence: str) -> None:
        """Keep what was said of records that are missing, or of another run."""
        board.gaps.append(sentence)

    def missing(self, board: Board, path: Path) -> None:
        """Show which log is being waited for."""
        board.note = f"waiting for {path}"

    def redraw(self, is_news: bool) -> None:
        """Draw the boards where there is news, and now and then."""
        if is_news or time.monotonic() - self._drawn >= REDRAW_SECONDS:
            self._live.update(self.render(), refresh=True)
            self._drawn = time.monotonic()

    def render(self) -> RenderableType:
        """Draw one board in full, or several side by side."""
        return draw_board(self.boards[0]) if len(self.boards) == 1 else draw_side_by_side(self.boards)


def draw_board(board: Board) -> Group:
    """Draw one log. Outside text goes through `plain` into Text, which interprets no markup."""
    parts: list[RenderableType] = [Text(plain(board.name), style="bold")]
    if not board.latest:
        return Group(*parts, Text(plain(board.note or "no record yet")))
    parts += [Text(line) for facts in (_position(board), _progress(board)) for line in wrapped(facts)]
    parts += [Text(plain(gap), style="yellow") for gap in board.gaps]
    parts.append(alerts := _alerts(board))
    tables = {mode: board.table(mode) for mode in board.modes()}
    above = len(board.gaps) + alerts.plain.count("\n")
    room = max(4, out.height - BESIDE_ROWS - above - 3 * len(tables))
    for mode, metrics in tables.items():
        shown = _most_urgent(metrics, room // len(tables))
        parts.append(_metric_table(board, mode, shown))
        if len(shown) < len(metrics):
            hidden = count(len(metrics) - len(shown), "more metric")
            parts.append(Text(f"{hidden}; a higher terminal or --metric shows others", style="dim"))
    return Group(*parts)


def wrapped(facts: list[str]) -> list[str]:
    """Put facts on as few lines of the terminal as they take, each whole."""
    lines: list[str] = []
    for fact in map(plain, facts):
        if lines and len(lines[-1]) + len(fact) + 3 <= out.width:
            lines[-1] += f", {fact}"
        else:
            lines.append(fact)
    return lines


def _position(board: Board) -> list[str]:
    """Return what was read and where the run stands."""
    record, watch = board.latest, board.watch
    cycle, cycles = board.pace.cycle, board.status.cycles if board.status else None
    facts = [f"epoch {one_line(record.get('epoch', '-'))}", count(watch.records, "record")]
    facts += [count(watch.damaged, "damaged line")] if watch.damaged else []
    facts += [f"{name} {one_line(record[name])}" for name in ("scenario", "seed", "run_id") if name in record]
    facts += [" and ".join(map(one_line, board.modes()))] if "data_mode" in record else []
    if cycle is not None:
        facts.append(f"cycle {cycle + 1}" + (f" of {cycles}" if cycles else ""))
    env_steps = number(record.get("env_steps"))
    return facts + ([count(int(env_steps), "environment step")] if math.isfinite(env_steps) else [])


def _progress(board: Board) -> list[str]:
    """Return how fast the run goes on, and when it was last heard of."""
    pace, status = board.pace, board.status
    facts = [status.status + (f": {status.reason}" if status.reason else "")] if status else []
    rate = number(board.latest.get("env_steps_per_second", board.latest.get("steps_per_second")))
    noun = "environment steps/s" if "env_steps_per_second" in board.latest else "sample passes/s"
    facts += [f"{rate:,.0f} {noun}"] if math.isfinite(rate) else []
    if math.isfinite(pace.seconds_per_cycle):
        facts.append(f"{format_number(pace.seconds_per_cycle)} s per cycle")
    if status and not status.has_ended and math.isfinite(left := pace.seconds_left(status.cycles)):
        facts.append(f"{format_duration(left)} left")
    return [*facts, f"last record {format_duration(time.time() - pace.last)} ago"]


def _alerts(board: Board) -> Text:
    watch = board.watch
    raised = board.raised(SHOWN_ALERTS)
    if not raised:
        rules = len(watch.monitor.rules) if watch.monitor else 0
        said = f"no alerts of {count(rules, 'rule')}" if rules else "no rules"
        return Text(said, style="green" if rules else "")
    text = Text(count(watch.alerts, "alert"), style="red")
    for one in raised:
        for line in textwrap.wrap(plain(one.text), out.width, subsequent_indent="  "):
            text.append(f"\n{line}")
        for line in textwrap.wrap(plain(one.why), out.width, initial_indent="  ", subsequent_indent="  "):
            text.append(f"\n{line}", style="dim")
    return text


def _most_urgent(metrics: list[Metric], room: int) -> list[Metric]:
    """Return as many metrics as there is room for, in order; those with an alert stay."""
    ranks = {"ALERT": 0, "ok": 2, "": 2}
    kept = sorted(range(len(metrics)), key=lambda i: (ranks.get(metrics[i].state, 1), i))[: max(2, room)]
    return [metrics[i] for i in sorted(kept)]


def _metric_table(board: Board, mode: str, metrics: list[Metric]) -> Table:
    names = [_name(metric) for metric in metrics]
    width = max(10, out.width - BESIDE_CURVE - max(map(len, names), default=0))
    result = table(_title(board, mode), "field", "last values", "latest", "over 10", "limit", "state")
    for name, metric in zip(names, metrics, strict=True):
        result.add_row(
            safe(name),
            sparkline(metric.values[-width:]),
            format_number(metric.latest),
            signed(metric.change),
            metric.limit or "–",
            Text(metric.state or "–", style=STATE_STYLES.get(metric.state, "yellow" if metric.state else "")),
        )
    return result


def _title(board: Board, mode: str) -> str:
    title = f"Records of {safe(mode)}" if mode else "Records"
    if span := board.env_steps(mode):
        title += f", {AXES['env_steps']} {span[0]:,.0f} to {span[1]:,.0f}"
    return title


def _name(metric: Metric) -> str:
    return metric.name if out.width >= WIDE else metric.name.removeprefix("conflict.")


def signed(change: float) -> str:
    """Format a change with its sign."""
    text = format_number(change)
    return f"+{text}" if change > 0 else text
