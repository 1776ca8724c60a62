"""Compile every kernel of the town once, several at a time, so that no two tests compile the same one.

What `make setup` and `make test` run first. Kernels that are on the disk already are only looked at: then it
takes a second or two.
"""

from __future__ import annotations

import os
from multiprocessing import get_context

import numpy as np

from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import MANY_TOWNS, Towns

SCENARIO = load_scenario("observation_baseline")
FEW = 1


def play(num_towns: int) -> None:
    towns = Towns(SCENARIO, num_towns)
    towns.step(np.zeros(towns.state.agents.shape, np.int64))


def observe(num_towns: int, *map_types: type) -> None:
    towns = Towns(SCENARIO, num_towns)
    for map_type in map_types:
        towns.observe(towns.empty_observations(map_type))


def decide() -> None:
    towns = Towns(SCENARIO)
    ScriptedPolicy(SCENARIO).act(towns, towns.empty_observations())


# The longest first, so that the cores end together.
JOBS = (
    (play, MANY_TOWNS),
    (play, FEW),
    (decide,),
    (observe, MANY_TOWNS, np.float32),
    (observe, FEW, np.float32, np.uint8),
)


def main() -> None:
    """Compile what all jobs need, then the jobs side by side."""
    Towns(SCENARIO)
    with get_context("spawn").Pool(os.cpu_count()) as pool:  # a forked process has no parallel kernels
        for job in [pool.apply_async(function, arguments) for function, *arguments in JOBS]:
            job.get()


if __name__ == "__main__":
    main()
