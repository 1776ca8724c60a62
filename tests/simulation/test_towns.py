"""The door to the compiled town lets in only what it can write to."""

from __future__ import annotations

import numpy as np
import pytest

from townlet_core.errors import ShapeError
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import Towns


def test_buffers_that_may_not_be_written_are_refused() -> None:
    towns = Towns(load_scenario("queue_conflict"))
    seen = towns.empty_observations()
    seen.features.flags.writeable = False
    with pytest.raises(ShapeError, match=r"features.*writeable"):
        towns.observe(seen)


def test_actions_that_may_not_be_written_are_played() -> None:
    towns = Towns(load_scenario("queue_conflict"))
    actions = np.zeros(towns.state.agents.shape, np.int64)
    actions.flags.writeable = False
    towns.step(actions)
    assert towns.state.towns["tick"].tolist() == [1]
