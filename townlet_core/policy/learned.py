"""Policies that act with a network, and a critic for the scripted policy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from townlet_core.errors import InputError, count, name_difference
from townlet_core.policy.output import PolicyOutput
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.ppo.config import NetworkConfig
from townlet_core.ppo.device import torch
from townlet_core.ppo.network import ActorCritic, act, score_actions
from townlet_core.ppo.options import Precision
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.shards import Shards
from townlet_core.rng import DRAW_POLICY, draw_unit
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.numba_support import kernel, wrapping
from townlet_core.simulation.state import TownState
from townlet_core.simulation.towns import Observations, Towns
from townlet_core.vocab import ACTION_COUNT, MAP_SHAPE, RELEASE

RELEASE_ODDS = 1 / 8  # of `release` in an untrained policy, relative to any other action


class LearnedPolicy:
    """Act with a network: one forward pass for all agents of all towns.

    Draws are keyed by (seed, town, episode, tick, agent), so an agent's action does not depend on the rest of
    the batch.
    deterministic: take the most probable action instead of sampling; its log-probability is then 0.
    shards, towns: compute these blocks of towns apart, on the threads of the shards; by default all together.
    behaviour, value_source: the sha256 of the weights, which a capture writes into its samples' metadata.
    """

    epsilon = None  # of scripted policies only

    def __init__(
        self,
        network: ActorCritic,
        precision: Precision = "fp32",
        deterministic: bool = False,
        shards: Shards | None = None,
        towns: Sequence[slice] | None = None,
    ) -> None:
        self.network = network
        self.precision = precision
        self.deterministic = deterministic
        self.shards = shards
        self.towns = towns

    def act(self, towns: Towns, seen: Observations) -> PolicyOutput:
        """Choose every agent's action for the next tick from its observation."""
        batch = seen.features.shape[:2]
        uniforms = None if self.deterministic else self._draw(towns, batch)
        parts = self._rows(batch[1])
        actions, log_probs, values = act(
            self.network, *flatten(seen), uniforms, self.precision, self.shards, parts
        )
        if self.deterministic:
            log_probs = np.zeros_like(log_probs)  # this policy takes the action with probability 1
        return PolicyOutput(actions.reshape(batch), log_probs.reshape(batch), values.reshape(batch))

    @property
    def behaviour(self) -> str:
        """Return the sha256 of the weights."""
        return weights_sha256(self.network)

    @property
    def value_source(self) -> str:
        """Return the sha256 of the weights, which estimate the values as well."""
        return self.behaviour

    @staticmethod
    def _draw(towns: Towns, batch: tuple[int, ...]) -> np.ndarray:
        uniforms = np.zeros(batch)
        with wrapping():
            draw_uniforms(towns.state, uniforms)
        return uniforms.reshape(-1)

    def values(self, seen: Observations) -> np.ndarray:
        """Return the critic's value of each observation, (B, A) float32."""
        parts = self._rows(seen.features.shape[1])
        return critic_values(self.network, seen, self.precision, self.shards, parts)

    def _rows(self, agents: int) -> list[slice] | None:
        """Return the rows of each block of towns, with so many agents in a town."""
        if self.towns is None:
            return None
        return [slice(block.start * agents, block.stop * agents) for block in self.towns]


class ScoredPolicy:
    """Act by the script; take values from a network's critic.

    value_source: the sha256 of the network's weights, or `fresh` for one that is not trained.
    """

    deterministic = False

    def __init__(self, policy: ScriptedPolicy, network: ActorCritic, value_source: str) -> None:
        self.policy = policy
        self.network = network
        self.value_source = value_source
        self.behaviour, self.epsilon = policy.behaviour, policy.epsilon

    def act(self, towns: Towns, seen: Observations) -> PolicyOutput:
        """Choose the script's actions."""
        return self.policy.act(towns, seen)._replace(values=self.values(seen))

    def values(self, seen: Observations) -> np.ndarray:
        """Return the critic's value of each observation, (B, A) float32."""
        return critic_values(self.network, seen)


def critic_values(
    network: ActorCritic,
    seen: Observations,
    precision: Precision = "fp32",
    shards: Shards | None = None,
    parts: Sequence[slice] | None = None,
) -> np.ndarray:
    """Return the critic's value of every observation, (B, A) float32; see score_actions for the parts."""
    batch = seen.features.shape[:2]
    flat = flatten(seen)
    nothing = np.zeros(len(flat.features), np.int64)
    _, values = score_actions(network, *flat, nothing, precision, shards, parts)
    return values.reshape(batch)


def flatten(seen: Observations) -> Observations:
    """Join the axes B and A of all three columns into one."""
    return Observations(*(column.reshape(-1, *column.shape[2:]) for column in seen))


def network_for(scenario: Scenario, hidden_size: int = 256) -> NetworkConfig:
    """Describe the network that fits a scenario's observations."""
    return NetworkConfig(
        map_shape=MAP_SHAPE,
        feature_count=len(scenario.feature_names),
        action_count=ACTION_COUNT,
        hidden_size=hidden_size,
        feature_names=scenario.feature_names,
    )


def bias_against_release(network: ActorCritic) -> ActorCritic:
    """Lower the probability of `release` in an untrained policy by the bias of its logit.

    While an agent uses an object only `wait` and `release` are legal. A uniform policy would end nearly every
    use before it completes and never observe its reward; some learners then never learned to use an object.
    """
    with torch.no_grad():
        network.policy_head.bias[RELEASE] = math.log(RELEASE_ODDS)
    return network


def check_fits(network: NetworkConfig, scenario: Scenario, name: str) -> None:
    """Raise InputError if a checkpoint's network cannot see or act in this scenario."""
    needed = network_for(scenario, network.hidden_size)
    if network.feature_names and network.feature_names != needed.feature_names:
        difference = name_difference(
            network.feature_names, needed.feature_names, "the network", scenario.name
        )
        raise InputError(
            f"{name}: its network and {scenario.name} have different features: {difference}",
            f"train one with `townlet train {scenario.name}`",
        )
    if network.model_copy(update={"feature_names": needed.feature_names}) != needed:
        raise InputError(
            f"{name}: its network takes {count(network.feature_count, 'feature')}, map "
            f"{network.map_shape} and {count(network.action_count, 'action')}; {scenario.name} has "
            f"{needed.feature_count}, {needed.map_shape} and {needed.action_count}",
            f"train one with `townlet train {scenario.name}`",
        )


@kernel()
def draw_uniforms(state: TownState, out: np.ndarray) -> None:
    """Write each agent's uniform draw for its next action. out: (B, A)."""
    for b in range(state.agents.shape[0]):
        for i in range(state.agents.shape[1]):
            out[b, i] = draw_unit(state.towns[b].key, state.towns[b].tick, i, DRAW_POLICY)
