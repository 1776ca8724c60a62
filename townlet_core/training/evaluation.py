"""Evaluation while training: whole episodes of the current policy, on a seed apart from training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from townlet_core.chance import generator
from townlet_core.evaluate import evaluate
from townlet_core.policy.learned import LearnedPolicy
from townlet_core.ppo.network import ActorCritic
from townlet_core.scenario.model import Scenario

EVALUATION = 0xE7A1  # random coordinate: the seed of the episodes


class Evaluation(NamedTuple):
    """Results of an evaluation, under their names in telemetry records. Ranges are 95 % intervals."""

    eval_episodes: int
    eval_seed: int
    eval_return_mean: float
    eval_return_low: float
    eval_return_high: float
    eval_conflicts_mean: float
    eval_deterministic_return_mean: float
    eval_deterministic_return_low: float
    eval_deterministic_return_high: float
    eval_deterministic_conflicts_mean: float
    eval_duration_sec: float


def evaluation_seed(seed: int) -> int:
    """Return the seed of the evaluation episodes of a training run: the same at every evaluation."""
    return int(generator(seed, EVALUATION).integers(2**53))  # exact in every reader of JSON


def evaluate_network(
    network: ActorCritic,
    scenario: Scenario,
    episodes: int,
    seed: int,
    after_episode: Callable[[], Any] = lambda: None,
) -> Evaluation:
    """Play the same `episodes` episodes twice: with sampled actions, and with the most probable ones.

    seed: of the training run. The numbers are those of `townlet evaluate --seed EVAL_SEED`. The network is
    not changed.
    """
    began, own = time.perf_counter(), evaluation_seed(seed)
    sampled, greedy = (
        evaluate(scenario, LearnedPolicy(network, deterministic=greedy), episodes, own, after_episode)
        for greedy in (False, True)
    )
    return Evaluation(
        episodes,
        own,
        *sampled["return"],
        sampled["conflicts"].mean,
        *greedy["return"],
        greedy["conflicts"].mean,
        time.perf_counter() - began,
    )
