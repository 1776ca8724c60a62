"""A small hungry town: bo faints in his fourth tick, and somebody takes his place two ticks later."""

from hashlib import sha256

import numpy as np

from townlet_core.envs import TownParallelEnv, TownVectorEnv
from townlet_core.envs.stable_baselines3 import TownVecEnv
from townlet_core.scenario.model import Scenario
from townlet_core.scenario.validate import check_scenario
from townlet_core.simulation.towns import Towns
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


# Every environment, in a town in which people faint and come; each takes a number of towns.
ENVIRONMENTS = {
    "Towns": lambda towns: Towns(hungry_town(), towns),
    "TownParallelEnv": lambda towns: TownParallelEnv(hungry_town(), "ansi", events=True),
    "TownVectorEnv": lambda towns: TownVectorEnv(hungry_town(), towns, "ansi"),
    "TownVectorEnv, next step, flat, own arrays": lambda towns: TownVectorEnv(
        hungry_town(), towns, "ansi", copy=False, flat=True, autoreset_mode="NEXT_STEP"
    ),
    "TownVecEnv": lambda towns: TownVecEnv(hungry_town(), towns, render_mode="ansi"),
}


def wander(env, steps, seed):
    """Walk at random in any of them; return a digest of all that was seen and told, step by step."""
    chance = np.random.default_rng(seed)
    return [sha256(b"|".join(_parts(_walk(env, chance)))).hexdigest() for _ in range(steps)]


def _walk(env, chance):
    if isinstance(env, Towns):
        env.restart(env.state.towns["over"].copy())
        env.step(chance.integers(0, 9, env.state.agents.shape))
        return env.observe(), env.state, env.new_events()
    if isinstance(env, TownParallelEnv):
        if not env.agents:
            return env.reset()
        return env.step({name: int(chance.integers(0, 9)) for name in env.agents}), env.state()
    return env.step(chance.integers(0, 9, env.num_envs)), env.state()


def _parts(told):
    """Take everything apart into bytes."""
    if isinstance(told, dict):
        told = list(told.items())
    if isinstance(told, np.ndarray) and told.dtype.names:
        told = [told[name] for name in told.dtype.names]  # without the gaps between them
    if isinstance(told, np.ndarray) and told.dtype != object:
        yield told.tobytes()
    elif isinstance(told, list | tuple | np.ndarray):
        for part in told:
            yield from _parts(part)
    else:
        yield repr(told).encode()
