"""One small town: a tick called from Python, its memory, and the start-up time of a second process."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from time import perf_counter
from typing import Any

import numba
import numpy as np

from benchmarks.figures import Effort, Figure, Measure, in_turn, rate
from benchmarks.town import make_town, player
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation import numba_support
from townlet_core.simulation.towns import Towns

SMALL, DAY = "queue_conflict", "town_day"
TOWNS = 256  # shared memory of a batch must not count, so one town of many is measured
FIRST_TICK = f"""
import numpy as np
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import Towns
towns = Towns(load_scenario({DAY!r}))
towns.step(np.zeros(towns.state.agents.shape, np.int64))
print(towns.state.towns["tick"][0], flush=True)
"""
ONLY_NUMBA = "import numba; print(numba.__version__, flush=True)"


def measure(effort: Effort) -> list[Figure]:
    """Measure the tick, with and without observations, then the memory and the process."""
    return [_tick(True, effort), _tick(False, effort), _memory(), _process(effort)]


def _tick(observed: bool, effort: Effort) -> Figure:
    towns = Towns(load_scenario(SMALL))
    play = player(towns, threads=1, observed=observed, seconds=effort.seconds)
    agents = towns.state.agents.size
    measures: dict[str, Measure] = {
        "ours": lambda: 1e6 * agents / play(),
        "limit": empty_calls(towns, observed, effort.seconds),
    }
    medians = in_turn(effort.rounds, measures)
    return Figure(
        name=f"one tick of {SMALL}, {'with' if observed else 'without'} observations",
        value=medians["ours"],
        unit="µs",
        threads=1,
        limit="compiled calls of the same arguments that do nothing",
        limit_value=medians["limit"],
    )


def empty_calls(towns: Towns, observed: bool, seconds: float) -> Measure:
    """Return what hands compiled code the arguments of a tick, and says how many µs that took."""
    actions = np.zeros(towns.state.agents.shape, np.int64)
    seen = towns.empty_observations(np.uint8)

    def call() -> None:
        numba_support.call(_do_nothing, towns.state, towns.params, towns._boards, actions, 1)
        if observed:
            numba_support.call(_see_nothing, towns.state, towns.params, towns._workspace, *seen)

    return lambda: 1e6 / rate(call, 1, seconds)


@numba.njit
def _do_nothing(state: Any, rules: Any, boards: np.ndarray, actions: np.ndarray, shares: int) -> int:
    return 0


@numba.njit
def _see_nothing(
    state: Any, rules: Any, sight: Any, maps: np.ndarray, features: np.ndarray, masks: np.ndarray
) -> None:
    pass


def _memory() -> Figure:
    """Sum the sizes of the state arrays, which are the same on every machine."""
    towns = Towns(make_town(), TOWNS)
    weight = sum(part.nbytes for part in towns.state) / TOWNS / 1000
    return Figure("memory per town of 8, without observations", weight, "kB", 1)


def _process(effort: Effort) -> Figure:
    """Measure from the start of a process to its first line; the kernels are on disk since the warm-up."""
    measures: dict[str, Measure] = {
        "ours": partial(seconds_to_first_line, FIRST_TICK),
        "limit": partial(seconds_to_first_line, ONLY_NUMBA),
    }
    medians = in_turn(effort.rounds, measures)
    return Figure(
        name=f"a second process until its first tick of {DAY}",
        value=medians["ours"],
        unit="s",
        threads=1,
        limit="Python that imports numba",
        limit_value=medians["limit"],
    )


def seconds_to_first_line(program: str) -> float:
    """Run a program and return the seconds until it has printed a line.

    Raises RuntimeError if it ends without one.
    """
    start = perf_counter()
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        elapsed = perf_counter() - start
    if not line:
        raise RuntimeError("the process ended before its first line")
    return elapsed
