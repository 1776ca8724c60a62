"""Simulation: agent steps per second of whole towns under random actions, and the cost of one small town."""

from __future__ import annotations

import contextlib
from functools import partial

import numba
import numpy as np

from benchmarks import one_town
from benchmarks.figures import Effort, Figure, Measure, in_turn, rate
from benchmarks.peers import Ask, peer
from benchmarks.town import make_town, player
from townlet_cli.console import warn
from townlet_core.simulation.state import AGENT
from townlet_core.simulation.towns import MANY_TOWNS, Towns

BATCHES = (1, 16, 256, 4096)  # towns
PEERS = {  # the name of each, its worker, and its environment there
    "PufferLib warehouse": ("pufferlib", "warehouse"),
    "PufferLib snake": ("pufferlib", "snake"),
    "MAgent2 battle": ("magent2", "battle"),
    "PettingZoo pursuit": ("pettingzoo", "pursuit"),
    "PettingZoo knights-archers-zombies": ("pettingzoo", "knights-archers-zombies"),
}
SMALLEST_COPY = 1 << 18  # bytes; a smaller copy measures the call


def measure(effort: Effort) -> list[Figure]:
    """Measure every batch size on every relevant thread count, then one town."""
    figures = []
    with contextlib.ExitStack() as open_workers:
        workers = {worker for worker, _ in PEERS.values()}
        asks = {worker: open_workers.enter_context(peer(worker, effort.full)) for worker in sorted(workers)}
        peers = _peers_that_work(asks)
        for count in BATCHES if effort.full else BATCHES[:2]:
            for threads in effort.threads if count >= MANY_TOWNS else (1,):
                figures += [_figure(count, threads, observed, peers, effort) for observed in (True, False)]
    return [*figures, *one_town.measure(effort)]


def _peers_that_work(asks: dict[str, Ask | None]) -> dict[str, Ask]:
    """Start every peer once; one that fails is reported and left out."""
    working: dict[str, Ask] = {}
    for name, (worker, environment) in PEERS.items():
        ask = asks[worker]
        if ask is None:
            continue
        try:
            ask(environment=environment, towns=1, seconds=0)
        except RuntimeError as error:
            warn(f"{name} does not run, so its figures are missing: {error}")
        else:
            working[name] = partial(ask, environment=environment)
    return working


def _figure(count: int, threads: int, observed: bool, peers: dict[str, Ask], effort: Effort) -> Figure:
    towns = Towns(make_town(), count)
    measures = {"ours": player(towns, threads, observed, effort.seconds)}
    written = bytes_written(towns, observed)
    measures["limit"] = copier(written * towns.state.agents.size, written, threads, effort.seconds)
    if observed:
        for name, ask in peers.items():
            measures[name] = partial(ask, towns=count, seconds=effort.seconds)
    medians = in_turn(effort.rounds, measures)
    fastest = max((name for name in PEERS if name in medians), key=medians.__getitem__, default=None)
    return Figure(
        name=f"{count} town{'s' if count > 1 else ''}, {'with' if observed else 'without'} observations",
        value=medians["ours"],
        unit="agent-steps/s",
        threads=threads,
        peer=f"{fastest}, one process" if fastest else None,
        peer_value=medians[fastest] if fastest else None,
        limit=f"memcpy of {written} bytes per agent-step",
        limit_value=medians["limit"],
    )


def bytes_written(towns: Towns, observed: bool) -> int:
    """Return the bytes that an agent step must write: its observation, or its record."""
    if not observed:
        return AGENT.itemsize
    return sum(part[0, 0].nbytes for part in towns.empty_observations(np.uint8))


def copier(total: int, unit: int, threads: int, seconds: float) -> Measure:
    """Return what copies `total` bytes, as we write them, and says how many `unit`s per second that was."""
    rows = np.ones((64, max(total, SMALLEST_COPY) // 512), np.uint64)
    target = np.empty_like(rows)

    def copy() -> float:
        if threads == 1:
            return rate(lambda: np.copyto(target, rows), rows.nbytes, seconds) / unit
        numba.set_num_threads(threads)
        return rate(lambda: _copy_rows(rows, target), rows.nbytes, seconds) / unit

    return copy


@numba.njit(parallel=True)
def _copy_rows(source: np.ndarray, target: np.ndarray) -> None:
    for row in numba.prange(source.shape[0]):
        for word in range(source.shape[1]):  # numba copies slices byte by byte
            target[row, word] = source[row, word]
