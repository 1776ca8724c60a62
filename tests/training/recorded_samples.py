"""Recordings that are made up, with ends wherever a test wants them."""

import numpy as np

from townlet_core.ppo.config import NetworkConfig
from townlet_core.ppo.network import ActorCritic
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig
from townlet_core.replay.metadata import sample_metadata
from townlet_core.replay.metrics import with_metrics
from townlet_core.replay.sample import ReplaySample
from townlet_core.vocab import ACTION_COUNT, MAP_SHAPE, feature_names

NAMES = feature_names()


def sample_of(ticks, terminated=(), truncated=(), agent="anna", seed=0, rewards=None) -> ReplaySample:
    """Return a sample of random numbers that ends at the given ticks."""
    rng = np.random.default_rng([seed, ticks])
    terminations, truncations = np.zeros(ticks, bool), np.zeros(ticks, bool)
    terminations[list(terminated)] = truncations[list(truncated)] = True
    given = rng.normal(size=ticks) if rewards is None else np.full(ticks, rewards)
    return with_metrics(
        ReplaySample(
            map=rng.integers(0, 2, (ticks, *MAP_SHAPE)).astype(np.float32),
            features=rng.random((ticks, len(NAMES)), np.float32),
            actions=rng.integers(0, ACTION_COUNT, ticks),
            old_log_probs=np.full(ticks, -2, np.float32),
            value_preds=np.zeros(ticks + 1, np.float32),
            rewards=given.astype(np.float32),
            dones=terminations | truncations,
            optional={"terminations": terminations, "truncations": truncations},
            metadata=sample_metadata(
                timesteps=ticks,
                feature_names=NAMES,
                agent_id=agent,
                behaviour="scripted",
                capture={"scenario": "made_up", "seed": seed},
                optional_arrays=("terminations", "truncations"),
            ),
        )
    )


def dataset_of(*samples: ReplaySample, **config) -> ReplayDataset:
    return ReplayDataset.from_samples(samples, ReplayDatasetConfig(for_training=True, **config))


def network_that_says(
    value: float | None = None, normalise_observations: bool = False, normalise_returns: bool = False
) -> ActorCritic:
    """Return a small network whose critic always says the same, if a value is given."""
    network = ActorCritic(
        NetworkConfig(
            map_shape=MAP_SHAPE,
            feature_count=len(NAMES),
            action_count=ACTION_COUNT,
            hidden_size=8,
            feature_names=NAMES,
        ),
        seed=0,
        normalise_observations=normalise_observations,
        normalise_returns=normalise_returns,
    )
    if value is not None:
        network.value_head.weight.data.zero_()
        network.value_head.bias.data.fill_(value)
    return network
