"""Compare the compiled town with the slow one in tests/reference, tick by tick and exactly."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference.people import FREE, HOLDING, USING, WAITING, Agent, Thing
from reference.play import check_invariants, random_actions
from reference.scenarios import random_scenario
from reference.town import ReferenceTown
from reference.view import view_features, view_map

from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Observations, Towns
from townlet_core.vocab import ACTION_COUNT, NEEDS, REWARD_TERMS, SHIFT_STATES

ROLES = (FREE, WAITING, HOLDING, USING)
EPISODES = 2
TOWNS = 2


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_the_compiled_town_tells_the_same_story_as_the_reference(seed: int) -> None:
    compare_over_episodes(seed)


def test_more_random_towns_tell_the_same_story(soak: int) -> None:
    if not soak:
        pytest.skip("no --soak N given")
    for seed in range(soak):
        compare_over_episodes(seed)


def compare_over_episodes(seed: int) -> None:
    """Play both through some episodes of the scenario of this seed, with the same random actions."""
    scenario, chance, first_town = random_scenario(seed), Random(seed), seed % 5
    fast = Towns(scenario, TOWNS, seed, first_town)
    slow = [ReferenceTown(scenario, seed, first_town + b) for b in range(TOWNS)]
    compare(fast, slow, f"seed {seed} before the first tick")
    while min(town.episode for town in slow) < EPISODES:
        actions = [random_actions(town, chance) for town in slow]
        fast.step(np.array(actions))
        for town, acts in zip(slow, actions, strict=True):
            town.step(acts)
            check_invariants(town)
        where = f"seed {seed} episode {slow[0].episode} after tick {slow[0].tick - 1}"
        compare(fast, slow, where)
        ended = np.array([town.over for town in slow])
        if ended.any():
            fast.restart(ended)
            for town in slow:
                if town.over:
                    town.restart()
            compare(fast, slow, f"{where}, restarted")


def compare(fast: Towns, slow: list[ReferenceTown], where: str) -> None:
    """Fail with every difference between the two, named."""
    seen = fast.observe()
    events = fast.new_events()
    found = []
    for b, town in enumerate(slow):
        own = [event for event in events if event["town"] == town.town]
        pairs = [*town_pairs(fast, b, town), ("events", own, described_events(town, fast.scenario))]
        for agent in town.agents:
            pairs += agent_pairs(fast, b, agent) + seen_pairs(fast, seen, b, town, agent)
        for thing in town.objects:
            pairs += object_pairs(fast, b, thing, town)
        found += [
            f"town {b} {name}: compiled {ours}, reference {theirs}"
            for name, ours, theirs in pairs
            if ours != theirs
        ]
    assert not found, "\n".join([where, *found])


def town_pairs(fast: Towns, b: int, town: ReferenceTown) -> list[tuple]:
    record, state = fast.state.towns[b], fast.state
    pairs = [
        ("episode", record.episode, town.episode),
        ("tick", record.tick, town.tick),
        ("over", record.over, town.over),
        ("invalid actions", record.invalid_actions, town.invalid_actions),
    ]
    for name in ("rivalry", "trust", "familiarity"):
        matrix = np.zeros((len(town.agents), len(town.agents)))
        for (one, other), value in getattr(town, name).items():
            matrix[one, other] = matrix[other, one] = value
        pairs.append((name, getattr(state, name)[b].tolist(), matrix.tolist()))
    cooldown = np.zeros((len(town.objects), len(town.agents)), int)
    for agent in town.agents:
        for index, until in agent.cooldown_until.items():
            cooldown[index, agent.index] = max(until - town.tick, 0) if agent.in_town else 0
    alive = state.agents["alive"][b]
    pairs.append(
        ("cooldown", (np.maximum(state.cooldown[b] - town.tick, 0) * alive).tolist(), cooldown.tolist())
    )
    return pairs


def agent_pairs(fast: Towns, b: int, agent: Agent) -> list[tuple]:
    record = fast.state.agents[b, agent.index]
    pairs = [
        ("alive", record.alive, agent.in_town),
        ("reward", record.reward, agent.reward),
        ("terms", dict(zip(REWARD_TERMS, record.terms.tolist(), strict=True)), agent.terms),
        ("terminated", record.terminated, agent.terminated),
        ("truncated", record.truncated, agent.truncated),
        ("legal", [bool(record.legal >> a & 1) for a in range(ACTION_COUNT)], agent.legal),
    ]
    if agent.in_town:
        pairs += [
            ("position", (record.x, record.y), (agent.x, agent.y)),
            ("role", record.role, ROLES.index(agent.role)),
            ("object", record.object, agent.thing.index if agent.thing else -1),
            ("wallet", record.wallet, agent.wallet),
            ("success", record.success, agent.last_success),
            ("newcomer", record.newcomer, agent.is_new),
            *((need, record[need], agent.needs[need]) for need in NEEDS),
        ]
        if agent.role == WAITING:
            pairs.append(("ticks waited", record.ticks_waited, agent.ticks_waited))
        if agent.role == USING:
            pairs.append(("progress", record.progress, agent.progress))
        if agent.job:
            pairs += [
                ("shift state", SHIFT_STATES[record.shift_state], agent.shift_state),
                ("late ticks", record.late_ticks, agent.late_ticks),
                ("wages withheld", record.wages_withheld, agent.withheld),
            ]
    return [(f"agent {agent.index} {name}", ours, theirs) for name, ours, theirs in pairs]


def object_pairs(fast: Towns, b: int, thing: Thing, town: ReferenceTown) -> list[tuple]:
    record = fast.state.objects[b, thing.index]
    pairs = [
        ("user", record.user, thing.user.index if thing.user else -1),
        ("holder", record.holder, thing.holder.index if thing.holder else -1),
        ("stock", record.stock, -1 if thing.stock is None else thing.stock),
        ("price", record.price, town.price(thing)),
        ("out of order", bool(record.out_of_order), town.is_out_of_order(thing)),
        (
            "line",
            fast.state.line[b, thing.index, : record.line_length].tolist(),
            [agent.index for agent in thing.line],
        ),
    ]
    if thing.holder:
        pairs.append(("idle ticks", record.idle_ticks, thing.idle_ticks))
    return [(f"object {thing.index} {name}", ours, theirs) for name, ours, theirs in pairs]


def seen_pairs(fast: Towns, seen: Observations, b: int, town: ReferenceTown, agent: Agent) -> list[tuple]:
    expected = view_features(town, agent)
    assert tuple(expected) == fast.feature_names
    features, numbers = seen.features[b, agent.index], np.array([*expected.values()], np.float32)
    pairs = [
        (f"sees {name}", ours, theirs)
        for name, ours, theirs in zip(expected, features, numbers, strict=True)
        if ours != theirs
    ]
    pairs.append(("sees map", seen.map[b, agent.index].tolist(), view_map(town, agent)))
    pairs.append(("sees mask", seen.action_mask[b, agent.index].tolist(), agent.legal))
    return [(f"agent {agent.index} {name}", ours, theirs) for name, ours, theirs in pairs]


def described_events(town: ReferenceTown, scenario: Scenario) -> list[dict]:
    """Return the reference's events with names for numbers."""
    rows = []
    for event in town.events:
        row = {key: value for key, value in event.items() if key not in ("object", "actor", "rival")}
        if event["object"] >= 0:
            row["object_id"] = scenario.objects[event["object"]].id
        for party in ("actor", "rival"):
            if event[party] >= 0:
                row[party] = scenario.agents[event[party]].id
        rows.append(row)
    return rows
