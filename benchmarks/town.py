"""The town that is measured, and how towns are played: at random, from one episode to the next."""

from __future__ import annotations

import itertools

import numba
import numpy as np

from benchmarks.figures import Measure, rate
from townlet_core.scenario.model import AgentSpec, Grid, Job, ObjectSpec, Scenario
from townlet_core.scenario.rules import NeedRules, Rules
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import ACTION_COUNT, NEEDS

AGENTS = 8
SIDE = 48  # tiles
DRAWN_TICKS = 32  # random actions are drawn beforehand, and used again and again
# How many of each kind; they stand on a lattice, seven tiles apart.
KINDS = {"bed": 8, "fridge": 2, "stove": 2, "shower": 3, "checkout": 4, "bench": 6}


def make_town() -> Scenario:
    """Return a town of 25 objects and seven jobs, like town_day; with slow needs nobody faints all day."""
    kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
    objects = [
        ObjectSpec(id=f"{kind}_{n}", kind=kind, position=(6 + n % 6 * 7, 6 + n // 6 * 9))
        for n, kind in enumerate(kinds)
    ]
    tills = [thing.id for thing in objects if thing.kind == "checkout"]
    jobs = {
        f"job_{n}": Job(workplace=tills[n // 2], start_tick=480 + 300 * (n % 2), end_tick=780 + 300 * (n % 2))
        for n in range(AGENTS - 1)
    }
    agents = [
        AgentSpec(
            id=f"agent_{n}",
            position=(4 + n * 5, 22),
            wallet=10.0,
            job=f"job_{n}" if n < len(jobs) else None,
        )
        for n in range(AGENTS)
    ]
    walls = [(x, y) for y in (2, 45) for x in range(4, 44) if x % 8]
    needs = NeedRules.model_validate({f"{need}_decay": 0.0004 for need in NEEDS})
    return Scenario(
        name="benchmark",
        ticks=1440,
        grid=Grid(size=(SIDE, SIDE), walls=walls),
        objects=objects,
        agents=agents,
        jobs=jobs,
        rules=Rules(day_start_tick=360, needs=needs),
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
