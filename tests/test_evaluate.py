"""What `evaluate` measures, worked out by hand."""

import numpy as np
import pytest

from townlet_core.evaluate import MEASURES, evaluate, gini, measure_episodes
from townlet_core.policy.learned import LearnedPolicy, network_for
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.ppo.network import ActorCritic
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import NEEDS

QUEUE = load_scenario("queue_conflict")


def measured(**sums):
    """The measures of one episode of three agents who lived 10 ticks each; sums that are not given are 0."""
    names = ("reward", "earned", "terminated", "conflict_events", "conflict_intensity", *NEEDS, "late")
    all_sums = {name: np.zeros((1, 3)) for name in names} | {"lived": np.full((1, 3), 10.0)}
    all_sums |= {name: np.array([values], float) for name, values in sums.items()}
    return dict(zip(MEASURES, measure_episodes(all_sums)[0], strict=True))


def test_unequal_returns_differ_in_range_and_in_the_worst_off_agent():
    alike, apart = measured(reward=[0.43, 0.44, 0.45]), measured(reward=[0, 50, 100])
    assert (alike["return"], alike["return_min"]) == pytest.approx((0.44, 0.43))
    assert (alike["return_range"], apart["return_range"]) == pytest.approx((0.02, 100))
    assert apart["return_min"] == 0


def test_no_measure_is_a_gini_of_returns():
    returns = [measured(reward=rewards) for rewards in ([-1, 0, 1], [1, 1, 1])]
    assert all(found[name] == 0 for found in returns for name in MEASURES if name.startswith("gini"))


def test_wages_and_needs_have_a_gini_coefficient():
    found = measured(earned=[0, 0, 6], hunger=[10, 10, 10], hygiene=[10, 10, 0], energy=[10, 10, 5])
    assert found["gini_wages"] == pytest.approx(2 / 3)  # one of three has all: 1 − 1/3
    # Mean satisfactions 1, 1, .5: the six ordered pairs differ by 4 × .5 in all; 2 / (2 · 3 · 2.5)
    assert found["gini_needs"] == pytest.approx(2 / 15)


def test_gini_depends_on_the_amounts_and_not_only_on_their_order():
    assert gini(np.array([43.0, 44.0, 45.0])) == pytest.approx(8 / (6 * 132))
    assert gini(np.array([0.0, 50.0, 100.0])) == pytest.approx(400 / (6 * 150))


def test_equal_calls_give_equal_estimates_with_an_interval_around_the_mean():
    policy = ScriptedPolicy(QUEUE)
    first, second = (evaluate(QUEUE, policy, 4, seed=3) for _ in range(2))
    assert first == second
    assert all(found.low <= found.mean <= found.high for found in first.values())


def test_the_deterministic_policy_takes_the_most_probable_action_with_certainty():
    network = ActorCritic(network_for(QUEUE), 0)
    towns = Towns(QUEUE, 2, seed=0)
    seen = towns.observe()
    greedy = LearnedPolicy(network, deterministic=True)
    choice = greedy.act(towns, seen)
    assert (choice.log_probs == 0).all()
    with_draws = LearnedPolicy(network).act(towns, seen)
    assert (choice.values == with_draws.values).all()
    assert (choice.actions == greedy.act(Towns(QUEUE, 2, seed=9), seen).actions).all()  # the seed is not used
    assert not (choice.actions == with_draws.actions).all()
