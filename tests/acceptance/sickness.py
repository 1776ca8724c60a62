"""Ways for training to be sick: settings that nobody should use, and faults put into the learner and its data."""

# Tables and prose, one row per line.
# ruff: noqa: E501
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch

from townlet_core.capture.rollout import Frames
from townlet_core.ppo.network import ActorCritic
from townlet_core.training import loop, rollout
from townlet_core.training.recordings import ReplayStream

SCENARIO = "queue_conflict"
CYCLES = 5


class Sickness(NamedTuple):
    """A way to be sick: settings, and a fault that lasts as long as the run."""

    name: str
    what: str
    settings: dict[str, Any] = {}  # noqa: RUF012 - never changed
    fault: Callable[[], Any] | None = None  # a context manager


@contextmanager
def rewards_of_towns(change: Callable[[Frames], None]) -> Iterator[None]:
    """Change what live towns pay, before anything reads it."""
    collect = rollout.collect

    def collect_and_change(towns: Any, policy: Any, frames: Frames, *rest: Any) -> None:
        collect(towns, policy, frames, *rest)
        change(frames)

    with patch.object(rollout, "collect", collect_and_change):
        yield


class Unmasked:
    """A policy that may take every action, possible or not."""

    def __init__(self, policy: Any) -> None:
        self.policy = policy
        self.values = policy.values

    def act(self, towns: Any, seen: Any) -> Any:
        seen.action_mask[...] = True
        return self.policy.act(towns, seen)


@contextmanager
def no_mask() -> Iterator[None]:
    """Let the learner act without a mask."""
    collect = rollout.collect

    def collect_unmasked(towns: Any, policy: Any, *rest: Any) -> None:
        collect(towns, Unmasked(policy), *rest)

    with patch.object(rollout, "collect", collect_unmasked):
        yield


@contextmanager
def recordings(change: Callable[[Any], Any]) -> Iterator[None]:
    """Change recorded batches before they are learned from."""
    take = ReplayStream.take

    def take_and_change(stream: ReplayStream) -> list[Any]:
        return [change(batch) for batch in take(stream)]

    with patch.object(ReplayStream, "take", take_and_change):
        yield


@contextmanager
def network(change: Callable[[ActorCritic], None]) -> Iterator[None]:
    """Change the weights that a run begins with."""
    initialise = ActorCritic.initialise

    def initialise_and_change(self: ActorCritic, seed: int) -> None:
        initialise(self, seed)
        with torch.no_grad():
            change(self)

    with patch.object(ActorCritic, "initialise", initialise_and_change):
        yield


@contextmanager
def optimiser_steps(step: Callable[[Any], None]) -> Iterator[None]:
    """Do something else where the optimiser would step."""
    make = loop.make_optimizer

    def make_and_change(*arguments: Any) -> Any:
        optimizer = make(*arguments)
        original = optimizer.step
        optimizer.step = lambda *rest: step(original)
        return optimizer

    with patch.object(loop, "make_optimizer", make_and_change):
        yield


def set_rewards(value: float) -> Callable[[Frames], None]:
    def change(frames: Frames) -> None:
        frames.rewards[...] = value

    return change


def scale_rewards(factor: float) -> Callable[[Frames], None]:
    def change(frames: Frames) -> None:
        frames.rewards[...] *= factor

    return change


def noisy_rewards(frames: Frames) -> None:
    """Add noise that is much larger than what the town pays."""
    frames.rewards[...] += np.random.default_rng(0).normal(0, 1, frames.rewards.shape)


def nan_rewards(frames: Frames) -> None:
    frames.rewards[-1] = math.nan


def one_action(net: ActorCritic) -> None:
    net.policy_head.weight *= 3000


def dead_trunk(net: ActorCritic) -> None:
    net.trunk.weight.zero_()
    net.trunk.bias.fill_(-1)


def wild_critic(net: ActorCritic) -> None:
    net.value_head.weight *= 300


SICKNESSES = (
    Sickness("learning_rate_x100", "learning rate × 100", {"learning_rate": 0.03}),
    Sickness("learning_rate_x1000", "learning rate × 1000", {"learning_rate": 0.3}),
    Sickness("learning_rate_tiny", "learning rate / 100,000", {"learning_rate": 3e-9}),
    Sickness(
        "no_clip",
        "nothing bounds the ratio: a clip range of 10, 20 epochs, learning rate × 10",
        {"clip_param": 10.0, "num_epochs": 20, "learning_rate": 3e-3, "cycles": 2},
    ),
    Sickness("tiny_clip", "a clip range of 0.001", {"clip_param": 0.001}),
    Sickness("entropy_forced", "entropy coefficient of 3", {"entropy_coef": 3.0}),
    Sickness("no_discount", "γ of 0: only the present counts", {"gamma": 0.0}),
    Sickness("wild_critic", "a critic whose values are far off", fault=lambda: network(wild_critic)),
    Sickness(
        "entropy_collapse",
        "a policy that is certain of one action from the start",
        fault=lambda: network(one_action),
    ),
    Sickness("dead_network", "no unit of the trunk is ever active", fault=lambda: network(dead_trunk)),
    Sickness(
        "frozen_network", "the optimiser does not step", fault=lambda: optimiser_steps(lambda step: None)
    ),
    Sickness("dead_reward", "every reward is 0", fault=lambda: rewards_of_towns(set_rewards(0.0))),
    Sickness("saturated_reward", "every reward is 1", fault=lambda: rewards_of_towns(set_rewards(1.0))),
    Sickness("reward_x100", "rewards × 100", fault=lambda: rewards_of_towns(scale_rewards(100.0))),
    Sickness(
        "reward_sign", "rewards with the wrong sign", fault=lambda: rewards_of_towns(scale_rewards(-1.0))
    ),
    Sickness("reward_noise", "rewards drown in noise", fault=lambda: rewards_of_towns(noisy_rewards)),
    Sickness("nan_reward", "a reward is NaN", fault=lambda: rewards_of_towns(nan_rewards)),
    Sickness("mask_ignored", "impossible actions are taken", fault=no_mask),
    Sickness(
        "stale_log_probs",
        "recorded log-probabilities are of a policy long gone",
        fault=lambda: recordings(lambda b: b._replace(old_log_probs=b.old_log_probs - 3)),
    ),
    Sickness(
        "stale_rewards",
        "recordings from before the rewards were halved",
        fault=lambda: recordings(lambda b: b._replace(rewards=b.rewards * 2)),
    ),
    Sickness(
        "dead_recordings",
        "recordings without rewards",
        fault=lambda: recordings(lambda b: b._replace(rewards=b.rewards * 0)),
    ),
)
