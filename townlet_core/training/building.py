"""Build the network of a run: its shape, its first weights, and the memory that training it takes."""

from __future__ import annotations

from townlet_core.errors import count
from townlet_core.memory import require_memory
from townlet_core.policy.learned import bias_against_release, network_for
from townlet_core.ppo.config import NetworkConfig, network_config
from townlet_core.ppo.network import ActorCritic
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.scenario.model import Scenario
from townlet_core.training.settings import TrainingSettings


def build_network(
    settings: TrainingSettings, live: Scenario | None, dataset: ReplayDataset | None
) -> ActorCritic:
    """Build the network with its first weights, on the CPU.

    live: the scenario of the live towns. Raises MemoryError if there is too little to train it.
    """
    config = network_shape(settings, live, dataset)
    # Weights, gradients, Adam's two moments, and the buffer of a checkpoint.
    require_memory(44 * config.parameter_count, f"training {count(config.parameter_count, 'parameter')}")
    network = ActorCritic(config, settings.seed, settings.normalise_observations, settings.normalise_returns)
    return bias_against_release(network) if live else network


def network_shape(
    settings: TrainingSettings, live: Scenario | None, dataset: ReplayDataset | None
) -> NetworkConfig:
    """Return the network's shape: the scenario's, or the recordings' if there are no live towns."""
    if live:
        return network_for(live, settings.hidden_size)
    assert dataset is not None  # a run without towns has recordings
    channels, height, width = dataset.map_shape
    return network_config(
        map_shape=(channels, height, width),
        feature_count=len(dataset.feature_names),
        action_count=dataset.action_dim,
        hidden_size=settings.hidden_size,
        feature_names=dataset.feature_names,
    )
