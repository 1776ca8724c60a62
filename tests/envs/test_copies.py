"""A copy of an environment, a pickled one, and one in another process play on exactly as the original."""

import copy
import pickle
from multiprocessing import get_context

import pytest
from env_towns import ENVIRONMENTS, wander

from townlet_core.simulation.towns import MANY_TOWNS


def pickled(env):
    return pickle.loads(pickle.dumps(env))


def shared(env):
    """Pickle as object stores do, which hand out read-only memory."""
    parts = []
    body = pickle.dumps(env, protocol=5, buffer_callback=parts.append)
    return pickle.loads(body, buffers=[bytes(part) for part in parts])


def wandering(name, towns=2, steps=5):
    env = ENVIRONMENTS[name](towns)
    if name != "Towns":
        env.reset()
    wander(env, steps, seed=1)
    return env


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled, shared])
@pytest.mark.parametrize("towns", [2, MANY_TOWNS])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_copy_plays_on_as_the_original_and_apart_from_it(name, towns, copied):
    expected = wander(wandering(name, towns), 15, seed=2)
    env = wandering(name, towns)
    other = copied(env)
    assert wander(other, 15, seed=2) == expected
    assert wander(env, 15, seed=2) == expected
    assert len(set(expected)) == 15


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_copy_from_before_the_first_reset_begins_as_the_original(name):
    env = ENVIRONMENTS[name](2)
    begun = copy.deepcopy(env), pickled(env)
    for one in (*begun, env):
        if name != "Towns":
            one.reset()
    assert wander(begun[0], 15, seed=2) == wander(begun[1], 15, seed=2) == wander(env, 15, seed=2)


def test_environments_play_on_in_a_spawned_process():
    wanderers = [wandering(name) for name in ENVIRONMENTS]
    with get_context("spawn").Pool(1) as pool:
        elsewhere = pool.starmap(wander, [(env, 15, 2) for env in wanderers])
    assert elsewhere == [wander(env, 15, seed=2) for env in wanderers]
