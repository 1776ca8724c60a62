"""The progress of training on stderr: a bar on a terminal, a line per cycle in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from townlet_cli.console import Display, err, note, safe, shows_progress

if TYPE_CHECKING:
    from townlet_core.training.evaluation import Evaluation
    from townlet_core.training.reports import CycleEnd


class CycleProgress:
    """What `townlet train` shows while it runs; -q and --no-progress show nothing."""

    def __init__(self) -> None:
        self._bar: Any = None  # of Rich, on a terminal
        self._task: Any = None

    @contextmanager
    def shown(self, done: int, cycles: int) -> Iterator[None]:
        """Show a bar for the length of a block, on a terminal."""
        if not shows_progress():
            yield
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[tell]}"),
        )
        with Progress(*columns, console=err, transient=True) as self._bar:
            self._task = self._bar.add_task("", total=cycles, completed=done, tell="")
            yield
        self._bar = None

    def move(self, cycles: float) -> None:
        """Move the bar within a cycle."""
        if self._bar:
            self._bar.update(self._task, completed=cycles)

    def end_cycle(self, end: CycleEnd) -> None:
        """Show a cycle that is done: on the bar, or as a line."""
        if self._bar:
            self._bar.update(self._task, completed=end.cycle, tell=_on_bar(end))
            if end.evaluation:
                note(f"cycle {end.cycle}/{end.cycles}  {escape(_evaluated(end.evaluation))}")
        elif Display.progress:
            note(escape(_on_line(end)))
        if end.kept:
            note(f"SIGUSR1: the checkpoint of cycle {end.cycle} stays: {safe(end.kept)}")


def _on_bar(end: CycleEnd) -> str:
    return f"reward {end.reward_mean:.4f}  steps/s {end.steps_per_second:,.0f}  {_left(end)}"


def _on_line(end: CycleEnd) -> str:
    parts = [
        f"cycle {end.cycle}/{end.cycles}",
        f"reward {end.reward_mean:.4f}",
        f"conflicts {end.queue_conflict_events:g}",
        f"env_steps {end.env_steps:,}",
        f"steps/s {end.steps_per_second:,.0f}",
        _left(end),
    ]
    if end.evaluation:
        parts.append(_evaluated(end.evaluation))
    return "  ".join(parts)


def _evaluated(found: Evaluation) -> str:
    interval = f"[{found.eval_return_low:.4f}, {found.eval_return_high:.4f}]"
    greedy = f"eval_deterministic_return {found.eval_deterministic_return_mean:.4f}"
    return f"eval_return {found.eval_return_mean:.4f} {interval}  {greedy}"


def _left(end: CycleEnd) -> str:
    return f"left {timedelta(seconds=round(end.seconds_left))}"
