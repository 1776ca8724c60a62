"""The parallel environment passes PettingZoo's own tests on every town that comes with Townlet."""

import numpy as np
import pytest
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test
from pettingzoo.utils import parallel_to_aec

from townlet_core.envs import parallel_env
from townlet_core.scenario.catalogue import bundled_scenarios

SCENARIOS = list(bundled_scenarios())
EXPECTED = [  # what api_test says of observations that are dicts, and of names that are names
    "ignore:Observation space for each agent probably should be",
    "ignore:Observation is not a NumPy array",
    "ignore:We recommend agents to be named",
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_parallel_api_test_passes_without_a_warning(scenario):
    parallel_api_test(parallel_env(scenario), num_cycles=1000)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_parallel_seed_test_passes_without_a_warning(scenario):
    parallel_seed_test(lambda: parallel_env(scenario))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_render_test_passes_without_a_warning(scenario):
    render_test(lambda render_mode: parallel_to_aec(parallel_env(scenario, render_mode)))


@pytest.mark.filterwarnings("error", *EXPECTED)
def test_agents_can_take_turns_as_the_other_interface_of_pettingzoo_has_it():
    api_test(parallel_to_aec(parallel_env("town_day")), num_cycles=400)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_agents_see_and_get_stays_inside_the_spaces(scenario):
    env = parallel_env(scenario)
    chance = np.random.default_rng(0)
    sights, _ = env.reset(seed=0)
    least, most = env.reward_range
    for _ in range(300):
        for name, sight in sights.items():
            assert env.observation_space(name).contains(sight), name
        actions = {n: chance.choice(np.flatnonzero(sights[n]["action_mask"])) for n in env.agents}
        sights, rewards, _, _, _ = env.step(actions)
        assert all(least <= reward <= most for reward in rewards.values())
        if not env.agents:
            sights, _ = env.reset()
