"""The story of towns in a number each: all they were and all that was seen, tick by tick.

`python story_digest.py TOWNS TICKS` prints it for a process with another environment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from hashlib import sha256

import numpy as np

from townlet_core.chance import generator
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Observations, Towns

Decide = Callable[[Towns, Observations], np.ndarray]  # actions (B, A)
SCENARIOS = ("queue_conflict", "town_day")


def by_script(scenario: Scenario) -> Decide:
    """Follow the script, with whims."""
    policy = ScriptedPolicy(scenario, epsilon=0.2)
    return lambda towns, seen: policy.act(towns, seen).actions


def by_chance(scenario: Scenario) -> Decide:
    """Do anything possible, as the town's number and tick draw it, and now and then something impossible."""

    def decide(towns: Towns, seen: Observations) -> np.ndarray:
        actions = np.zeros(towns.state.agents.shape, np.int64)
        for b, mask in enumerate(seen.action_mask):
            town = towns.state.towns[b]
            chance = generator(int(town["town"]), int(town["episode"]), int(town["tick"]))
            possible = (mask * chance.random(mask.shape)).argmax(axis=1)
            actions[b] = np.where(chance.random(len(mask)) < 0.05, 7, possible)
        return actions

    return decide


DECIDERS: dict[str, Callable[[Scenario], Decide]] = {"script": by_script, "chance": by_chance}


def digests(name: str, decider: str, num_towns: int, ticks: int, first_town: int = 0) -> list[str]:
    """Play some towns and return the sha256 of state and observations of each, over all ticks."""
    scenario = short_day(name)
    decide, towns = DECIDERS[decider](scenario), Towns(scenario, num_towns, first_town=first_town)
    told = [sha256() for _ in range(num_towns)]
    for _ in range(ticks):
        seen = towns.observe()
        towns.step(decide(towns, seen))
        add(told, towns.state)
        add(told, towns.observe())
        if towns.state.towns["over"].any():
            towns.restart(towns.state.towns["over"].copy())
    return [story.hexdigest() for story in told]


def short_day(name: str) -> Scenario:
    """Return a bundled scenario whose episodes are short, so that a story has several."""
    return load_scenario(name).model_copy(update={"ticks": 20})


def add(told: list, arrays: tuple[np.ndarray, ...]) -> None:
    """Add every town's part of some arrays, whose first axis is the town, to its story."""
    for array in arrays:
        for b, story in enumerate(told):
            story.update(bytes_of(array, b))


def bytes_of(array: np.ndarray, b: int) -> bytes:
    """Return town b's part of an array, field by field: what lies between fields is nobody's."""
    if not array.dtype.names:
        return array[b].tobytes()
    return b"".join(np.ascontiguousarray(array[name][b]).tobytes() for name in array.dtype.names)


if __name__ == "__main__":
    num_towns, ticks = map(int, sys.argv[1:])
    stories = {
        f"{name} by {decider}": digests(name, decider, num_towns, ticks)
        for name in SCENARIOS
        for decider in DECIDERS
    }
    print(json.dumps(stories))
