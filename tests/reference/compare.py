"""Play the compiled town and the slow one side by side, and name every difference between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import numpy as np
from reference.entities import FREE, HOLDING, NEEDS, USING, WAITING, Agent, Thing
from reference.invariants import Watch
from reference.play import check_invariants, random_actions
from reference.scenarios import random_scenario
from reference.town import ReferenceTown
from reference.view import view_features, view_map

from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Observations, Towns
from townlet_core.vocab import REWARD_TERMS, SHIFT_STATES

ROLES = (FREE, WAITING, HOLDING, USING)
EPISODES = 2
TOWNS = 2
TOWN_EPISODES = EPISODES * TOWNS  # of one seed

AGENT_FIELDS = (
    *("alive", "x", "y", "needs", "wallet", "role", "object", "ticks_waited", "progress", "price", "legal"),
    *("success", "newcomer", "shift_state", "late_ticks", "wages_withheld"),
    *("reward", "terms", "terminated", "truncated"),
)
OBJECT_FIELDS = ("user", "holder", "line_length", "idle_ticks", "stock", "price", "out_of_order")


def compare_over_episodes(seed: int) -> None:
    """Play both through some episodes of the random scenario of this seed."""
    play_both(random_scenario(seed), seed, TOWNS, range(TOWNS), first_town=seed % 5)


def play_both(
    scenario: Scenario, seed: int, num_towns: int, compared: Sequence[int], first_town: int = 0
) -> None:
    """Play a batch, and the compared ones of its towns slowly, with the same random actions.

    Raises AssertionError with the seed, the tick and what differs, or what breaks an invariant.
    """
    chance, others = Random(seed), np.random.default_rng(seed)
    fast = Towns(scenario, num_towns, seed, first_town)
    slow = {b: ReferenceTown(scenario, seed, first_town + b) for b in compared}
    watch = Watch(fast)
    assert all(town.feature_names == fast.feature_names for town in slow.values())
    compare(fast, slow, f"seed {seed} before the first tick")
    while min(town.episode for town in slow.values()) < EPISODES:
        actions = some_actions(fast, others)
        for b, town in slow.items():
            actions[b] = random_actions(town, chance)
            town.step(actions[b].tolist())
            check_invariants(town)
        fast.step(actions)
        episode, tick = next((town.episode, town.tick - 1) for town in slow.values())
        where = f"seed {seed} episode {episode} after tick {tick}"
        watch.check(where)
        compare(fast, slow, where)
        ended = fast.state.towns["over"].copy()
        if ended.any():
            fast.restart(ended)
            watch.remember()
            for b, town in slow.items():
                if ended[b]:
                    town.restart()
            compare(fast, slow, f"{where}, restarted")


def some_actions(fast: Towns, chance: np.random.Generator) -> np.ndarray:
    """Choose for everybody: mostly something possible, now and then any number."""
    legal = (fast.state.agents["legal"][..., None] >> np.arange(9)) & 1
    possible = (legal * chance.random(legal.shape)).argmax(axis=-1)
    anything = chance.integers(-3, 13, possible.shape)
    return np.where(chance.random(possible.shape) < 0.05, anything, possible)


def compare(fast: Towns, slow: dict[int, ReferenceTown], where: str) -> None:
    """Fail with every difference between the two, named."""
    seen = fast.observe()
    shown = seen.map.astype(bool)
    assert (shown == seen.map).all(), f"{where}: a map holds something between 0 and 1"
    events = fast.new_events()
    found = []
    for b, town in slow.items():
        own = [event for event in events if event["town"] == town.town]
        pairs = [
            ("events", own, described_events(town)),
            *town_pairs(fast, b, town),
            *agent_pairs(fast, b, town),
            *object_pairs(fast, b, town),
            *seen_pairs(fast, seen, shown, b, town),
        ]
        found += [
            f"town {b} {name}: compiled {ours}, reference {theirs}"
            for name, ours, theirs in pairs
            if ours != theirs
        ]
    assert not found, "\n".join([where, *found])


def town_pairs(fast: Towns, b: int, town: ReferenceTown) -> Iterator[tuple]:
    record, state, size = fast.state.towns[b], fast.state, len(town.agents)
    yield "episode", record["episode"], town.episode
    yield "tick", record["tick"], town.tick
    yield "over", record["over"], town.over
    yield "invalid actions", record["invalid_actions"], town.invalid_actions
    for name in ("rivalry", "trust", "familiarity"):
        matrix = [[0.0] * size for _ in town.agents]
        for (one, other), value in getattr(town, name).items():
            matrix[one][other] = matrix[other][one] = value
        yield name, getattr(state, name)[b].tolist(), matrix
    cooldown = [[0] * size for _ in town.objects]
    for agent in town.here():
        for index, until in agent.cooldown_until.items():
            cooldown[index][agent.index] = max(until - town.tick, 0)
    left = np.maximum(state.cooldown[b] - town.tick, 0) * state.agents["alive"][b]
    yield "cooldown", left.tolist(), cooldown


def agent_pairs(fast: Towns, b: int, town: ReferenceTown) -> Iterator[tuple]:
    records = fast.state.agents[b]
    ours = {field: records[field].tolist() for field in AGENT_FIELDS}
    for agent in town.agents:
        for field, value in facts_of_agent(agent).items():
            yield f"agent {agent.index} {field}", ours[field][agent.index], value


def facts_of_agent(agent: Agent) -> dict[str, object]:
    """Return what an agent's record must hold; a field that means nothing to it now is left out."""
    facts: dict[str, object] = {
        "alive": agent.in_town,
        "reward": agent.reward,
        "terms": [agent.terms[term] for term in REWARD_TERMS],
        "terminated": agent.terminated,
        "truncated": agent.truncated,
        "legal": sum(can << action for action, can in enumerate(agent.legal)),
    }
    if not agent.in_town:
        return facts
    facts |= {
        "x": agent.x,
        "y": agent.y,
        "role": ROLES.index(agent.role),
        "object": agent.thing.index if agent.thing else -1,
        "wallet": agent.wallet,
        "success": agent.last_success,
        "newcomer": agent.is_new,
        "needs": [agent.needs[need] for need in NEEDS],
    }
    if agent.role in (WAITING, HOLDING):
        facts["ticks_waited"] = agent.ticks_waited
    if agent.role == USING:
        facts |= {"progress": agent.progress, "price": agent.agreed_price}
    if agent.job:
        facts["shift_state"] = SHIFT_STATES.index(agent.shift_state)
        facts |= {"late_ticks": agent.late_ticks, "wages_withheld": agent.withheld}
    return facts


def object_pairs(fast: Towns, b: int, town: ReferenceTown) -> Iterator[tuple]:
    records = fast.state.objects[b]
    ours = {field: records[field].tolist() for field in OBJECT_FIELDS}
    for thing in town.objects:
        for field, value in facts_of_object(town, thing).items():
            yield f"object {thing.index} {field}", ours[field][thing.index], value
        line = fast.state.line[b, thing.index, : len(thing.line)].tolist()
        yield f"object {thing.index} line", line, [agent.index for agent in thing.line]


def facts_of_object(town: ReferenceTown, thing: Thing) -> dict[str, object]:
    facts: dict[str, object] = {
        "user": thing.user.index if thing.user else -1,
        "holder": thing.holder.index if thing.holder else -1,
        "line_length": len(thing.line),
        "stock": -1 if thing.stock is None else thing.stock,
        "price": town.price(thing),
        "out_of_order": town.is_out_of_order(thing),
    }
    return facts | ({"idle_ticks": thing.idle_ticks} if thing.holder else {})


def seen_pairs(
    fast: Towns, seen: Observations, shown: np.ndarray, b: int, town: ReferenceTown
) -> Iterator[tuple]:
    expected = [[*view_features(town, agent).values()] for agent in town.agents]
    numbers = np.array(expected, np.float32).reshape(seen.features[b].shape)
    for i, f in np.argwhere(seen.features[b] != numbers):
        yield f"agent {i} sees {fast.feature_names[f]}", seen.features[b, i, f], numbers[i, f]
    yield "maps", shown[b].tolist(), [view_map(town, agent) for agent in town.agents]
    yield "masks", seen.action_mask[b].tolist(), [agent.legal for agent in town.agents]


def described_events(town: ReferenceTown) -> list[dict]:
    """Return the slow town's events with names for numbers."""
    rows = []
    for event in town.events:
        row = {key: value for key, value in event.items() if key not in ("object", "actor", "rival")}
        if event["object"] >= 0:
            row["object_id"] = town.scenario.objects[event["object"]].id
        for party in ("actor", "rival"):
            if event[party] >= 0:
                row[party] = town.scenario.agents[event[party]].id
        rows.append(row)
    return rows
