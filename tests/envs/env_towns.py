"""A small hungry town: bo faints in his fourth tick, and somebody takes his place two ticks later."""

import numpy as np

from townlet_core.scenario.check import check_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.vocab import WAIT


def hungry_town(ada=0.9, bo=0.2, delay=2, **words):
    """Two people and nothing to eat; each tick takes 0.05 of hunger, at 0.03 one faints."""
    needs = {"hunger_decay": 0.05, "respawn_delay_ticks": delay}
    base = {"name": "hungry", "ticks": 12, "grid": {"size": [5, 5]}, "rules": {"needs": needs}}
    people = [
        {"id": "ada", "position": [0, 0], "needs": {"hunger": ada}},
        {"id": "bo", "position": [4, 4], "needs": {"hunger": bo}},
    ]
    scenario = Scenario(**{**base, "agents": people, **words})
    assert check_scenario(scenario) == []
    return scenario


def everybody_waits(env):
    """Play one tick of a parallel environment in which nobody does anything."""
    return env.step(dict.fromkeys(env.agents, WAIT))


def rows_wait(env):
    """Play one tick of a vector environment in which nobody does anything."""
    return env.step(np.full(env.num_envs, WAIT))
