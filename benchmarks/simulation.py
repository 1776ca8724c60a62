"""Simulation: agent-steps per second of whole towns under random actions, with and without observations."""

from __future__ import annotations

import itertools
from functools import partial

import numba
import numpy as np

from benchmarks.figures import Effort, Figure, Measure, in_turn, rate
from benchmarks.peers import Ask, peer
from benchmarks.town import make_town
from townlet_core.simulation.state import AGENT
from townlet_core.simulation.towns import MANY_TOWNS, Towns
from townlet_core.vocab import ACTION_COUNT

BATCHES = (1, 16, 256, 4096)  # towns
PEERS = ("pursuit", "knights-archers-zombies")
SMALLEST_COPY = 1 << 18  # bytes; less measures the call
DRAWN_TICKS = 32  # random actions are drawn beforehand, and used again and again


def measure(effort: Effort) -> list[Figure]:
    """Measure every batch size on every thread count that makes a difference to it."""
    figures = []
    with peer("pettingzoo", effort.full) as ask:
        for count in BATCHES if effort.full else BATCHES[:2]:
            for threads in effort.threads if count >= MANY_TOWNS else (1,):
                figures += [_figure(count, threads, observed, ask, effort) for observed in (True, False)]
    return figures


def _figure(count: int, threads: int, observed: bool, ask: Ask | None, effort: Effort) -> Figure:
    towns = Towns(make_town(), count)
    measures = {"ours": player(towns, threads, observed, effort.seconds)}
    written = bytes_written(towns, observed)
    measures["limit"] = copier(written * towns.state.agents.size, written, threads, effort.seconds)
    if ask and observed:
        for name in PEERS:
            measures[name] = partial(ask, environment=name, seconds=effort.seconds)
    medians = in_turn(effort.rounds, measures)
    faster = max((name for name in PEERS if name in medians), key=medians.__getitem__, default=None)
    return Figure(
        name=f"{count} town{'s' if count > 1 else ''}, {'with' if observed else 'without'} observations",
        value=medians["ours"],
        unit="agent-steps/s",
        threads=threads,
        peer=f"PettingZoo {faster}, one process" if faster else None,
        peer_value=medians[faster] if faster else None,
        limit=f"memcpy of {written} bytes per agent-step",
        limit_value=medians["limit"],
    )


def player(towns: Towns, threads: int, observed: bool, seconds: float) -> Measure:
    """Return what plays the towns for a while and says how many agent-steps per second that was."""
    shape = (DRAWN_TICKS, *towns.state.agents.shape)
    turns = itertools.cycle(np.random.default_rng(0).integers(0, ACTION_COUNT, shape))
    seen = towns.empty_observations(np.uint8)

    def tick() -> None:
        towns.step(next(turns))
        if towns.over_count:
            towns.restart(towns.state.towns["over"].copy())
        if observed:
            towns.observe(seen)

    def play() -> float:
        numba.set_num_threads(threads)
        return rate(tick, towns.state.agents.size, seconds)

    return play


def bytes_written(towns: Towns, observed: bool) -> int:
    """Return what an agent-step cannot but write: its observation, or its record."""
    if not observed:
        return AGENT.itemsize
    return sum(part[0, 0].nbytes for part in towns.empty_observations(np.uint8))


def copier(total: int, unit: int, threads: int, seconds: float) -> Measure:
    """Return what copies `total` bytes, as we write them, and says how many `unit`s per second that was."""
    rows = np.ones((64, max(total, SMALLEST_COPY) // 64), np.uint8)
    target = np.empty_like(rows)

    def copy() -> float:
        if threads == 1:
            return rate(lambda: np.copyto(target, rows), rows.size, seconds) / unit
        numba.set_num_threads(threads)
        return rate(lambda: _copy_rows(rows, target), rows.size, seconds) / unit

    return copy


@numba.njit(parallel=True)
def _copy_rows(source: np.ndarray, target: np.ndarray) -> None:
    for row in numba.prange(source.shape[0]):
        target[row] = source[row]
