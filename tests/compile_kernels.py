"""Compile every kernel of the town once, side by side, so that no two tests compile the same one.

What `make setup` and `make test` run first. Kernels that are on the disk already are only looked at: then it
takes a second or two.
"""

from __future__ import annotations

from multiprocessing import get_context

import numpy as np

from townlet_core.kernels import tell_compiled
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import MANY_TOWNS, Towns, is_compiled_for

SCENARIO = load_scenario("observation_baseline")
FEW = 1


def play() -> None:
    for num_towns in (FEW, MANY_TOWNS):  # in one process, which prepares their common rules once
        towns = Towns(SCENARIO, num_towns)
        towns.step(np.zeros(towns.state.agents.shape, np.int64))


def decide_and_observe() -> None:
    towns = Towns(SCENARIO, FEW)
    ScriptedPolicy(SCENARIO).act(towns, towns.empty_observations())
    for num_towns, map_type in ((FEW, np.float32), (FEW, np.uint8), (MANY_TOWNS, np.float32)):
        towns = Towns(SCENARIO, num_towns)
        towns.observe(towns.empty_observations(map_type))


def show(kernel: str, seconds: float) -> None:
    print(f"compiled {kernel}: {seconds:.1f} s", flush=True)


def main() -> None:
    """Compile what both jobs need, then the jobs side by side."""
    if not is_compiled_for(FEW):
        print("compiling the rules of the town, once per version: about half a minute", flush=True)
    tell_compiled(show)
    Towns(SCENARIO)
    jobs = (play, decide_and_observe)
    with get_context("spawn").Pool(
        len(jobs), tell_compiled, (show,)
    ) as pool:  # a forked process has no threads
        for job in [pool.apply_async(job) for job in jobs]:
            job.get()


if __name__ == "__main__":
    main()
