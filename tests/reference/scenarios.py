"""Small random scenarios, crowded and quick to quarrel: always valid, the same for the same seed."""

from __future__ import annotations

from random import Random
from typing import Any, Literal

from townlet_core.scenario.model import (
    BUILT_IN_KINDS,
    AgentSpec,
    Effects,
    Grid,
    Job,
    Kind,
    Meeting,
    Needs,
    ObjectSpec,
    Outage,
    PriceSpike,
    Scenario,
)
from townlet_core.scenario.rules import (
    ConflictRules,
    EmploymentRules,
    NeedRules,
    QueueRules,
    RelationshipRules,
    Rewards,
    RivalryRules,
    Rules,
)
from townlet_core.vocab import UTILITIES

COMPLETIONS: tuple[Literal["affordance_complete", "shower_complete", "sleep_complete"], ...] = (
    "affordance_complete",
    "shower_complete",
    "sleep_complete",
)


def random_scenario(seed: int) -> Scenario:
    """Build the scenario of this seed: a grid of 3 to 12 tiles a side, 1 to 12 agents, up to 7 objects."""
    chance = Random(seed)
    side = chance.choice((4, 6, 12))
    size = (chance.randint(3, side), chance.randint(3, side))
    tiles = [(x, y) for x in range(size[0]) for y in range(size[1])]
    chance.shuffle(tiles)
    walls = [tiles.pop() for _ in range(chance.randint(0, len(tiles) // 5))]
    kinds = random_kinds(chance)
    objects = random_objects(chance, kinds, tiles)
    day = chance.choice((7, 20, 45, 1440))
    jobs = random_jobs(chance, {**BUILT_IN_KINDS, **kinds}, objects, day)
    seats = min(chance.choice((3, 6, 12)), len(tiles) - 1)
    agents = [random_agent(chance, n, tiles.pop(), list(jobs)) for n in range(chance.randint(1, seats))]
    outages, spikes, meetings = random_perturbations(
        chance, list({**BUILT_IN_KINDS, **kinds}), objects, agents, tiles
    )
    return Scenario(
        name=f"random-{seed}",
        ticks=chance.randint(5, 60),
        grid=Grid(size=size, walls=walls),
        kinds=kinds,
        objects=objects,
        jobs=jobs,
        agents=agents,
        outages=outages,
        price_spikes=spikes,
        meetings=meetings,
        rules=random_rules(chance, day),
        rewards=random_rewards(chance),
    )


def random_kinds(chance: Random) -> dict[str, Kind]:
    """Override some built-in kinds with quick ones, and perhaps add a table and an office."""
    names = chance.sample(("shower", "fridge", "stove", "bed", "bench"), chance.randint(2, 5))
    kinds = {name: random_kind(chance, is_meal=name == "fridge") for name in names}
    if "stove" in kinds and chance.random() < 0.8:
        kinds["stove"] = kinds["stove"].model_copy(update={"supplies": chance.choice(("fridge", "stove"))})
    if chance.random() < 0.5:
        kinds["table"] = random_kind(chance, is_meal=True)
    if chance.random() < 0.5:
        work = {"is_work": True, "duration_ticks": chance.choice((1, 4, 100)), "cost": 0.0}
        kinds["office"] = random_kind(chance, is_meal=False).model_copy(update=work)
    return kinds


def random_kind(chance: Random, is_meal: bool) -> Kind:
    return Kind(
        affordance="use",
        duration_ticks=chance.randint(1, 6),
        effects=Effects(
            **{need: chance.choice((0.0, chance.uniform(-0.3, 0.6))) for need in Needs.model_fields}
        ),
        cost=chance.choice((0.0, 0.1, chance.random())),
        stock=chance.choice((None, None, None, 1, 3)),
        is_meal=is_meal,
        utility=chance.choice((None, "water", "power")),
        completion_event=chance.choice(COMPLETIONS),
    )


def random_objects(chance: Random, kinds: dict[str, Kind], tiles: list[tuple[int, int]]) -> list[ObjectSpec]:
    """Place one to seven objects, most of them of the quick kinds, on tiles taken from `tiles`."""
    names = [
        *kinds,
        *kinds,
        "bench",
        "checkout",
        *[chance.choice(("checkout", "fridge"))] * chance.choice((0, 20)),
    ]
    count = chance.randint(1, min(7, len(tiles) // 2))
    return [
        ObjectSpec(
            id=f"object{n}",
            kind=chance.choice(names),
            position=tiles.pop(),
            stock=chance.choice((None, None, None, None, 0, 2, 9)),
        )
        for n in range(count)
    ]


def random_jobs(
    chance: Random, kinds: dict[str, Kind], objects: list[ObjectSpec], day: int
) -> dict[str, Job]:
    """Describe up to four jobs, so that colleagues share a workplace; shifts may fill the whole day."""
    workplaces = [spec.id for spec in objects if kinds[spec.kind].is_work]
    jobs = {}
    for n in range(chance.randint(1, 4) if workplaces else 0):
        start = chance.randint(0, min(day, 50) - 1)
        end = min(day, start + chance.randint(1, 30))
        if chance.random() < 0.1:
            start, end = 0, day
        jobs[f"job{n}"] = Job(
            workplace=chance.choice(workplaces),
            start_tick=start,
            end_tick=end,
            wage_rate=chance.choice((0.02, chance.random())),
            lateness_penalty=chance.choice((0.02, chance.random())),
        )
    return jobs


def random_agent(chance: Random, n: int, position: tuple[int, int], jobs: list[str]) -> AgentSpec:
    return AgentSpec(
        id=f"agent{n}",
        position=position,
        needs=Needs(hunger=chance.uniform(0.2, 1), hygiene=chance.random(), energy=chance.random()),
        wallet=chance.choice((0.0, 1.0, 3 * chance.random())),
        job=chance.choice(jobs) if jobs and chance.random() < 0.8 else None,
    )


def random_perturbations(
    chance: Random,
    kinds: list[str],
    objects: list[ObjectSpec],
    agents: list[AgentSpec],
    free_tiles: list[tuple[int, int]],
) -> tuple[list[Outage], list[PriceSpike], list[Meeting]]:
    """Describe outages, price spikes and meetings, none or several of each, some left to chance."""
    ids, places = [agent.id for agent in agents], [thing.id for thing in objects] + free_tiles
    cut_off: list[dict[str, Any]] = [{"kind": kind} for kind in kinds]
    cut_off += [{"utility": utility} for utility in UTILITIES * 3]
    outages = [Outage(**chance.choice(cut_off), **when) for when in random_times(chance)]
    spikes = [
        PriceSpike(kind=chance.choice(kinds), factor=chance.choice((0.0, 3.0, 5 * chance.random())), **when)
        for when in random_times(chance)
    ]
    meetings = [
        Meeting(
            place=chance.choice(places),
            radius=chance.randint(1, 4),
            agents=chance.choice(([], chance.sample(ids, chance.randint(1, len(ids))))),
            **when,
        )
        for when in random_times(chance)
    ]
    return outages, spikes, meetings


def random_times(chance: Random) -> list[dict]:
    first = chance.randint(0, 30)
    return [
        {
            "start_tick": chance.choice((first, (first, first + chance.randint(0, 8)))),
            "duration_ticks": chance.randint(1, 15),
            "probability": chance.choice((1.0, 1.0, 0.0, 0.5)),
        }
        for _ in range(chance.choice((0, 0, 1, 4)))
    ]


def random_rules(chance: Random, day: int) -> Rules:
    return Rules(
        ticks_per_day=day,
        day_start_tick=chance.choice((0, chance.randint(0, 60))),
        needs=NeedRules(
            hunger_decay=chance.choice((0.0, 0.005, 0.01, chance.uniform(0, 0.06))),
            hygiene_decay=chance.choice((0.005, chance.uniform(0, 0.05))),
            energy_decay=chance.choice((0.008, chance.uniform(0, 0.05))),
            faint_threshold=chance.choice((0.0, 0.03, 0.2)),
            respawn_delay_ticks=chance.choice((None, None, 0, 1, 5)),
        ),
        queues=QueueRules(
            cooldown_ticks=chance.choice((0, 1, 3, 10)),
            age_priority_weight=chance.choice((0.0, 0.0, 0.1, 0.5, 2.0, chance.random())),
            ghost_step_after=chance.choice((1, 2, 3)),
            patience_ticks=chance.choice((1, 2, 3, 8)),
        ),
        conflict=ConflictRules(
            boost_contention=chance.uniform(0, 3),
            intensity_per_waiter=chance.choice((0.25, chance.random())),
            intensity_max=chance.choice((5.0, 1.6)),
        ),
        rivalry=RivalryRules(
            increment_per_conflict=chance.choice((0.15, chance.random())),
            decay_per_tick=chance.choice((0.0, 0.005, 0.05)),
            eviction_threshold=chance.choice((0.0, 0.05)),
            max_edges=chance.choice((1, 2, 3, 6)),
            avoid_threshold=chance.choice((0.05, 0.2, 0.7)),
        ),
        relationships=RelationshipRules(
            handover_rivalry=chance.choice((0.05, 0.3)),
            chat_trust=chance.choice((0.02, 0.3)),
            chat_failure_trust=chance.choice((0.02, 0.4)),
            meal_radius=chance.randint(1, 4),
            meal_memory_ticks=chance.choice((0, 2, 15)),
            meeting_trust=chance.choice((0.05, 0.6)),
        ),
        employment=EmploymentRules(
            grace_ticks=chance.randint(0, 5), absent_cutoff=chance.choice((0, 3, 7, 30))
        ),
    )


def random_rewards(chance: Random) -> Rewards:
    """Take the defaults, nothing at all, or odd coefficients that often meet the clip."""
    names = list(Rewards.model_fields)
    coefficients = chance.choice(
        ({}, dict.fromkeys(names[:-1], 0.0), {name: chance.uniform(0.01, 2) for name in names})
    )
    return Rewards(**coefficients)
