"""Statistics that run along are those of all data at once, and change nothing that was learned."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from townlet_core.ppo.checkpoint import load_checkpoint, restore_network, save_checkpoint
from townlet_core.ppo.config import NetworkConfig, PPOConfig
from townlet_core.ppo.device import threads
from townlet_core.ppo.moments import moments_of
from townlet_core.ppo.network import ActorCritic, score_actions
from townlet_core.ppo.normalisers import CLIP, RunningStatistics, finite_rows
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import make_optimizer, update_policy

SMALL = NetworkConfig(map_shape=(1, 1, 1), feature_count=4, action_count=3, hidden_size=16)


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


def both(seed=0):
    return ActorCritic(SMALL, seed, normalise_observations=True, normalise_returns=True)


def features_of(count, seed=0):
    return np.random.default_rng(seed).normal([5, -100, 0, 3], [1, 30, 0.1, 0], (count, 4)).astype(np.float32)


def outputs(network, features):
    with torch.no_grad():
        return network(torch.zeros(len(features), 1, 1, 1), torch.from_numpy(features))


@given(
    arrays(np.float64, (30, 2), elements=st.floats(-1e6, 1e6)),
    st.lists(st.integers(0, 30), min_size=1, max_size=4),
)
def test_pieces_give_the_mean_and_variance_of_the_whole(rows, cuts):
    statistics = RunningStatistics(2)
    for piece in np.split(rows, sorted(cuts)):
        statistics.update(moments_of(piece))
    variance = (statistics.squares / statistics.count).numpy()
    assert statistics.count == 30
    assert statistics.mean.numpy() == pytest.approx(rows.mean(0), rel=1e-9, abs=1e-6)
    assert variance == pytest.approx(rows.var(0), rel=1e-6, abs=1e-4)


def test_rows_that_are_not_finite_are_left_out():
    statistics = RunningStatistics(1)
    statistics.update(moments_of(finite_rows(np.array([[1.0], [np.nan], [3.0], [np.inf]]))))
    statistics.update(moments_of(finite_rows(np.array([[np.nan]]))))
    assert (statistics.count, statistics.mean, statistics.std) == (2, 2, 1)


def test_normalised_features_have_mean_0_and_deviation_1_and_a_constant_becomes_0():
    statistics, features = RunningStatistics(4), features_of(500)
    statistics.update(moments_of(features))
    found = statistics.normalise(torch.from_numpy(features)).numpy()
    assert found.mean(0) == pytest.approx([0, 0, 0, 0], abs=1e-4)
    assert found.std(0) == pytest.approx([1, 1, 1, 0], abs=1e-4)
    assert statistics.normalise(torch.full((1, 4), 1e6)).tolist() == [[CLIP] * 4]


def test_new_statistics_leave_the_policy_and_every_value_as_they_were():
    network, seen = both(), features_of(50)
    network.update_observation_stats(moments_of(features_of(200)))
    network.update_return_stats(moments_of(np.linspace(-3, 1, 200, dtype=np.float32)[:, None]))
    logits, values = outputs(network, seen)
    network.update_observation_stats(moments_of(2 * features_of(300, seed=1)))
    network.update_return_stats(moments_of(np.linspace(50, 90, 300, dtype=np.float32)[:, None]))
    new_logits, new_values = outputs(network, seen)
    assert torch.allclose(new_logits, logits, atol=1e-5)
    assert torch.allclose(new_values, values, atol=1e-3)


def test_a_critic_learns_returns_of_any_size_as_fast_as_small_ones():
    def taught(size):
        network, features = both(), features_of(256)
        network.update_observation_stats(moments_of(features))
        returns = (size * (features[:, 0] - 5)).astype(np.float32)
        network.update_return_stats(moments_of(returns[:, None]))
        nothing = np.zeros(256, np.float32)
        mask, maps = np.ones((256, 3), bool), np.zeros((256, 1, 1, 1), np.float32)
        optimizer = make_optimizer(network, 1e-3)
        for cycle in range(5):
            actions = np.zeros(256, np.int64)
            log_probs, values = score_actions(network, maps, features, mask, actions)
            batch = TrainBatch(maps, features, mask, actions, log_probs, values, nothing, returns, nothing)
            update_policy(network, optimizer, [batch], PPOConfig(value_clip=None), (cycle,), 1e-2)
        return np.corrcoef(score_actions(network, maps, features, mask, actions)[1], returns)[0, 1]

    assert taught(0.01) > 0.8
    assert taught(10_000) > 0.8


def test_statistics_are_part_of_the_checkpoint_and_of_the_digest(tmp_path):
    network = both()
    before = weights_sha256(network)
    network.update_observation_stats(moments_of(features_of(20)))
    assert weights_sha256(network) != before
    save_checkpoint(tmp_path, network, make_optimizer(network, 1e-3), {})
    restored = restore_network(load_checkpoint(tmp_path))
    assert weights_sha256(restored) == weights_sha256(network)
    assert torch.equal(outputs(restored, features_of(5))[0], outputs(network, features_of(5))[0])


def test_a_checkpoint_without_statistics_still_loads(tmp_path):
    network = ActorCritic(SMALL, seed=0)
    assert not any("mean" in name for name in network.state_dict())
    save_checkpoint(tmp_path, network, make_optimizer(network, 1e-3), {})
    restored = restore_network(load_checkpoint(tmp_path))
    assert restored.observations is None
    assert restored.returns is None
    restored.update_observation_stats(moments_of(features_of(5)))  # nothing to keep them in
    restored.update_return_stats(moments_of(np.ones(5, np.float32)[:, None]))
    assert weights_sha256(restored) == weights_sha256(network)
