"""Build the network of a run: its shape, its first weights and statistics, the memory that training takes."""

from __future__ import annotations

from townlet_core.errors import count
from townlet_core.memory import require_memory
from townlet_core.policy.learned import bias_against_release, network_for
from townlet_core.ppo.config import NetworkConfig, network_config
from townlet_core.ppo.network import ActorCritic
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.scenario.model import Scenario
from townlet_core.training.advantage_targets import first_statistics
from townlet_core.training.recordings import ReplayStream, feature_statistics
from townlet_core.training.rollout import STATE_FILE, Rollout
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest


def build_network(
    settings: TrainingSettings, live: Scenario | None, dataset: ReplayDataset | None
) -> ActorCritic:
    """Build the network with its first weights, on the CPU.

    live: the scenario of the live towns. Raises MemoryError if there is too little to train it.
    """
    config = network_shape(settings, live, dataset)
    require_training_memory(config)
    network = ActorCritic(config, settings.seed, settings.normalise_observations, settings.normalise_returns)
    return bias_against_release(network) if live else network


def require_training_memory(config: NetworkConfig) -> int:
    """Return the bytes of weights, gradients, Adam's two moments, and the buffer of a checkpoint.

    Raises MemoryError if they are not free.
    """
    wanted = 44 * config.parameter_count
    require_memory(wanted, f"training {count(config.parameter_count, 'parameter')}")
    return wanted


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


def begin_statistics(
    network: ActorCritic,
    settings: TrainingSettings,
    rollout: Rollout | None,
    dataset: ReplayDataset | None,
    stop_request: StopRequest,
) -> bool:
    """Initialise the running statistics from recordings, or from a rollout that is undone afterwards.

    Those of the features begin with all recordings, those of the returns with the first that are due.
    Returns False if there are none, or a resumed run has them already.
    """
    own = [kept for kept in (network.observations, network.returns) if kept is not None]
    if not own or any(kept.count for kept in own):
        return False
    if dataset:
        if network.observations is not None:
            with stop_request.at_once():
                features = feature_statistics(dataset)
            network.observations.begin(features["count"], features["mean"], features["std"])
        recorded = ReplayStream(dataset, settings.replay_transitions).take()
        first_statistics(network, recorded, settings.gamma)  # which every process has
    elif rollout:
        before = rollout.dump()
        rollout.play(rollout.policy(network, settings.precision), stop_request)
        first_statistics(network, rollout.parts(), settings.gamma, rollout.shards)
        rollout.restore(before, STATE_FILE)
    return True
