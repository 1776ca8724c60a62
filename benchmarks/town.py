"""The town that is measured: eight agents, shaped like town_day, and nobody faints while it is played."""

from __future__ import annotations

from townlet_core.scenario.model import AgentSpec, Grid, Job, ObjectSpec, Scenario
from townlet_core.scenario.rules import NeedRules, Rules

AGENTS = 8
SIDE = 48  # tiles
# How many of each kind; they stand on a lattice, seven tiles apart.
KINDS = {"bed": 8, "fridge": 2, "stove": 2, "shower": 3, "checkout": 4, "bench": 6}


def make_town() -> Scenario:
    """Return a town of 25 objects and seven jobs; slow needs keep everybody acting all day."""
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
    needs = NeedRules(hunger_decay=0.0004, hygiene_decay=0.0004, energy_decay=0.0004)
    return Scenario(
        name="benchmark",
        ticks=1440,
        grid=Grid(size=(SIDE, SIDE), walls=walls),
        objects=objects,
        agents=agents,
        jobs=jobs,
        rules=Rules(day_start_tick=360, needs=needs),
    )
