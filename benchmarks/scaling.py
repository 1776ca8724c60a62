"""One training run in one process and in two: rollouts, whole cycles, memory, and what an update receives."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from statistics import median
from typing import Any

from benchmarks.figures import Effort, Figure
from benchmarks.ranks import SHARDS, Workload
from townlet_core.errors import RunFailed

AGENT_STEPS = 1e11
STEPS, LIMIT = "environment steps/s", "the same in one process, times the processes"
SIZES = (1, 2)  # processes
WORKLOADS = {True: Workload(towns=32, ticks=128, cycles=6), False: Workload(towns=2, ticks=4, cycles=2)}


def measure(effort: Effort) -> list[Figure]:
    """Measure runs of every number of processes in turn, each process on one thread."""
    work = WORKLOADS[effort.full]
    found: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    for _ in range(min(effort.rounds, 3)):
        for size in SIZES:
            found[size].append(run_in(size, work))
    medians = {
        size: {name: median(run[name] for run in runs) for name in runs[0]} for size, runs in found.items()
    }
    alone = medians[SIZES[0]]
    figures = []
    for size, rates in medians.items():
        for name, key in (("rollout", "rollout"), ("whole cycle", "cycle")):
            figures.append(
                Figure(
                    name=f"{name}, {_processes(size)} of one thread, {SHARDS} shards",
                    value=rates[key],
                    unit=STEPS,
                    threads=size,
                    limit=LIMIT,
                    limit_value=alone[key] * size,
                )
            )
        figures.append(Figure(f"memory per process, {_processes(size)}", rates["memory"], "MB", size))
        if size > 1:
            figures += [
                Figure(
                    f"received per process and minibatch, {_processes(size)}", rates["received"], "MB", size
                ),
                Figure("sent to every process per transition", rates["columns"], "bytes", size),
            ]
    return [*figures, *modelled(alone)]


def modelled(alone: dict[str, float]) -> list[Figure]:
    """Return what a run of many machines would reach, from the rates of one process and what has to be sent.

    Each machine has one process, as many towns as were measured, and a shard; a cycle waits for its network.
    """
    figures = []
    for gigabits in (10, 1):
        for machines in (8, 64):
            steps = alone["transitions"] * machines  # of a cycle
            vectors = 2 * (machines - 1) / machines * alone["gradient"] * alone["minibatches"]
            others = (machines - 1) / machines * steps * alone["columns"]
            computing = alone["transitions"] / alone["cycle"]
            sending = (vectors + others) * 8 / (gigabits * 1e9)
            rate = steps / (computing + sending)
            name = f"modelled: {machines} machines, {gigabits} Gbit/s"
            ideal = alone["cycle"] * machines
            figures.append(Figure(f"{name}, whole cycle", rate, STEPS, machines, None, None, LIMIT, ideal))
            figures.append(
                Figure(f"{name}, to {AGENT_STEPS:.0e} steps", AGENT_STEPS / rate / 3600, "h", machines)
            )
    return figures


def _processes(size: int) -> str:
    return "1 process" if size == 1 else f"{size} processes"


def run_in(size: int, work: Workload) -> dict[str, float]:
    """Train for a few cycles in so many processes; return what the first one measured."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    place = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    words = [sys.executable, "-m", "benchmarks.ranks", *map(str, work)]
    ranks = [
        subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **place, "RANK": str(rank), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
        )
        for rank in range(size)
    ]
    printed = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        raise RunFailed(f"a process of the benchmark failed: {[rank.returncode for rank in ranks]}")
    told: dict[str, Any] = json.loads(printed[0])
    return told
