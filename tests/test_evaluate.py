"""Evaluating a policy: estimates of every measure, differences, and the deterministic policy."""

import json
import re

import pytest

from townlet_core.estimates import estimate_mean
from townlet_core.evaluate import evaluate, evaluate_episodes
from townlet_core.measures.table import MEASURES
from townlet_core.policy.learned import LearnedPolicy, network_for
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.ppo.network import ActorCritic
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import Towns

QUEUE = load_scenario("queue_conflict")


def test_equal_calls_give_equal_estimates_with_an_interval_around_the_mean():
    policy = ScriptedPolicy(QUEUE)
    first, second = (evaluate(QUEUE, policy, 4, seed=3) for _ in range(2))
    assert str(first) == str(second)  # NaN is the same as NaN
    assert list(first) == list(MEASURES)
    assert all(found.low <= found.mean <= found.high for found in first.values() if found.mean == found.mean)


def test_policies_are_compared_in_the_same_episodes(townlet):
    document = json.loads(townlet("evaluate", "scripted", "random", "--episodes", 3, "--json")[1])
    first, second = document["policies"]
    [less] = document["differences"]
    assert (less["first"], less["second"]) == ("scripted", "random")
    assert less["return"]["mean"] == pytest.approx(first["return"]["mean"] - second["return"]["mean"])
    both = [evaluate_episodes(QUEUE, policy, 3)[:, 0] for policy in ("scripted", "random")]
    assert list(less["return"].values()) == list(estimate_mean(both[0] - both[1]))


def test_what_is_0_for_every_policy_is_not_in_the_table(townlet):
    _, out, err = townlet("evaluate", "scripted", "--episodes", 2)
    assert re.search(r"\n0 or not defined for every policy: .*late_ticks, wages, faints, ", out)
    assert "in the same episodes" not in out  # there is no other policy
    assert "intervals cover other episodes of these policies, not other training seeds" in err


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
