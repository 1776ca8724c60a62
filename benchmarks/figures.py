"""Figures: interleaved measurements, their medians, a table and the rows of results.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from townlet_cli.console import out, safe, table
from townlet_core.cpus import available_cpus

LESS_IS_BETTER = ("s", "ms", "µs", "ns", "kB", "MB")  # units of durations and sizes; all others are rates

Measure = Callable[[], float]  # returns one measurement, above 0


class Effort(NamedTuple):
    """The effort of a benchmark."""

    rounds: int = 5  # each round measures every contestant once, in turn
    seconds: float = 0.3  # minimum time of a measurement
    threads: tuple[int, ...] = (1, 2) if available_cpus() > 1 else (1,)
    full: bool = True  # the workloads and peers of docs/benchmarks.md; False: tiny workloads, no peers

    @classmethod
    def quick(cls) -> Effort:
        """Return the least effort, for a test that everything runs."""
        return cls(rounds=1, seconds=0.01, threads=(1,), full=False)


class Figure(NamedTuple):
    """A measurement of Townlet, beside a peer and a limit; None where there is none."""

    name: str
    value: float
    unit: str
    threads: int
    peer: str | None = None
    peer_value: float | None = None
    limit: str | None = None
    limit_value: float | None = None

    def row(self) -> dict[str, Any]:
        """Return the row of results.json."""
        return {
            **self._asdict(),
            "ratio_to_peer": self.times_as_fast_as(self.peer_value),
            "ratio_to_limit": self.times_as_fast_as(self.limit_value),
        }

    def times_as_fast_as(self, other: float | None) -> float | None:
        """Return by which factor Townlet is faster, for rates and durations, or smaller, for sizes."""
        if other is None:
            return None
        return other / self.value if self.unit in LESS_IS_BETTER else self.value / other


def in_turn(rounds: int, measures: Mapping[str, Measure]) -> dict[str, float]:
    """Warm up every contestant once, then measure them in turn (A B A B); return their medians.

    In turn, so that a machine that slows down or speeds up does so for all of them.
    """
    for measure in measures.values():
        measure()
    values: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            values[name].append(measure())
    return {name: median(measured) for name, measured in values.items()}


def rate(work: Callable[[], Any], units: int, seconds: float) -> float:
    """Repeat `work`, which does `units` of something, for at least `seconds`; return units per second."""
    calls = 0
    start = perf_counter()
    while True:
        work()
        calls += 1
        elapsed = perf_counter() - start
        if elapsed >= seconds:
            return units * calls / elapsed


def print_figures(title: str, figures: list[Figure]) -> None:
    """Print one benchmark's table, and under it what stands in the columns of peer and limit."""
    units = ", ".join(dict.fromkeys(figure.unit for figure in figures))
    columns = ("value", "peer_value", "ratio_to_peer", "limit_value", "ratio_to_limit")
    shown = table(
        f"{title} ({units})", "what", "threads", "ours", "peer", "times peer", "limit", "times limit"
    )
    for figure in figures:
        row = figure.row()
        shown.add_row(safe(figure.name), str(figure.threads), *(_short(row[column]) for column in columns))
    out.print(shown)
    for column in ("peer", "limit"):
        named = dict.fromkeys(name for figure in figures if (name := getattr(figure, column)))
        out.print(f"[dim]{column}: {safe('; '.join(named) or 'none')}[/dim]")
    out.print()


def _short(value: float | None) -> str:
    """Write three significant digits: 1.23 M, 45.6 k, 7.89; a dash for nothing."""
    if value is None:
        return "–"
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
