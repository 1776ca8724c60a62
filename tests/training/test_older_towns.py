"""Towns that version 0.1.0 saved, a field per need of an agent, are restored as they were."""

import io as memory

import numpy as np
import pytest
from small_runs import settings_of

from townlet_core.errors import InputError
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.restoring import AGENT_0_1
from townlet_core.training.rollout import Rollout, plain
from townlet_core.vocab import NEEDS


@pytest.fixture
def rollout():
    """Towns some ticks on, in which everybody's needs differ."""
    rollout = Rollout(load_scenario("queue_conflict"), settings_of())
    for _ in range(5):
        rollout.towns.step(np.full(rollout.towns.state.agents.shape, 3))
    needs = rollout.towns.state.agents["needs"]
    needs[...] = np.linspace(0.1, 0.9, needs.size).reshape(needs.shape)
    return rollout


def dump_as_0_1(rollout, layout=AGENT_0_1):
    agents = np.zeros(rollout.towns.state.agents.shape, layout)
    for name in set(layout.names) - set(NEEDS):
        agents[name] = rollout.towns.state.agents[name]
    for n, need in enumerate(NEEDS):
        agents[need] = rollout.towns.state.agents["needs"][..., n]
    arrays = rollout.towns.state._asdict() | {"agents": agents, "returns": rollout.returns}
    buffer = memory.BytesIO()
    np.savez(buffer, **{name: plain(array) for name, array in arrays.items()})
    return buffer.getvalue()


def test_every_field_is_restored(rollout):
    fresh = Rollout(load_scenario("queue_conflict"), settings_of())
    fresh.restore(dump_as_0_1(rollout), "towns.npz")
    assert fresh.dump() == rollout.dump()


def test_what_no_version_saved_is_refused_in_the_words_of_this_one(rollout):
    other = np.dtype([*((need, np.float64) for need in NEEDS), ("x", np.int16)])
    with pytest.raises(InputError, match="agents is not"):
        rollout.restore(dump_as_0_1(rollout, other), "towns.npz")
