"""The gradient written out by hand is autograd's, whatever the batch, the network and the configuration."""

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from townlet_core.ppo import cloning
from townlet_core.ppo.config import NetworkConfig, PPOConfig
from townlet_core.ppo.cpu.backward import PIECE, ManualBackward
from townlet_core.ppo.cpu.sparse_maps import add_rows, find_one_positions, select_maps
from townlet_core.ppo.device import threads
from townlet_core.ppo.moments import moments_of
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import assign, backpropagate, make_optimizer, on_device, update_policy

SHAPE = NetworkConfig(map_shape=(2, 4, 5), feature_count=6, action_count=5, hidden_size=24)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


def random_batch(count, seed=0, binary=True, drift=0.5):
    """Transitions with masks; the old log-probabilities are off by `drift`, so that ratios are clipped."""
    chance = np.random.default_rng(seed)
    actions = chance.integers(0, SHAPE.action_count, count)
    mask = chance.random((count, SHAPE.action_count)) < 0.6
    mask[np.arange(count), actions] = True
    noise, old_values, advantages, returns, rewards = chance.normal(size=(5, count)).astype(np.float32)
    maps = chance.random((count, *SHAPE.map_shape), np.float32)
    return TrainBatch(
        map=(maps < 0.3).astype(np.uint8) if binary else maps,
        features=chance.normal(3, 2, (count, SHAPE.feature_count)).astype(np.float32),
        action_mask=mask,
        actions=actions,
        old_log_probs=(-np.log(mask.sum(1)) + drift * noise).astype(np.float32),
        old_values=old_values,
        advantages=advantages,
        returns=returns,
        rewards=rewards,
    )


def random_network(seed=0, normalised=False, batch=None):
    """A network whose policy is far from even."""
    network = ActorCritic(SHAPE, seed, normalised, normalised)
    with torch.no_grad():
        network.policy_head.weight.mul_(100)
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))
    if normalised:
        network.update_observation_stats(moments_of(batch.features))
        network.update_return_stats(moments_of(3 * batch.returns[:, None] + 5))
    return network


def manual_backward(network, data, config, imitate):
    return ManualBackward(network, data, config, imitate).backpropagate


def both_gradients(network, batch, config, rows=None, imitate=False):
    """Losses and gradients of a minibatch: those by autograd, then those by hand."""
    data = on_device(batch, CPU)
    rows = torch.randperm(len(batch.actions)) if rows is None else rows
    advantages = data[6].index_select(0, rows)
    results = []
    for make in (partial(partial, backpropagate), manual_backward):
        gradient, losses = make(network, data, config, imitate=imitate)(rows, advantages, len(rows))
        assign(network, gradient.clone())
        results.append((losses / len(rows), [parameter.grad for parameter in network.parameters()]))
    return results


def assert_equal(results, tolerance):
    (losses, gradients), (own_losses, own_gradients) = results
    assert own_losses.tolist() == pytest.approx(losses.tolist(), rel=tolerance, abs=tolerance)
    for gradient, own in zip(gradients, own_gradients, strict=True):
        assert (own - gradient).norm() <= tolerance * gradient.norm() + 1e-7


@pytest.mark.parametrize(("normalised", "binary"), list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize(
    "config",
    [
        PPOConfig(),
        PPOConfig(value_clip=None, entropy_coef=0.1),
        PPOConfig(clip_param=0.01, value_clip=0.01, value_loss_coef=2),
        PPOConfig(micro_batch=7),
    ],
)
def test_losses_and_gradients_are_those_of_autograd(config, normalised, binary):
    batch = random_batch(100, binary=binary)
    network = random_network(1, normalised, batch)
    assert_equal(both_gradients(network, batch, config), 2e-5)


@given(st.integers(0, 10_000), st.integers(1, 40), st.booleans())
def test_random_minibatches_have_the_gradient_of_autograd(seed, count, binary):
    batch, network = random_batch(count, seed, binary), random_network(seed)
    rows = torch.from_numpy(np.random.default_rng(seed).permutation(count)[: 1 + count // 2])
    assert_equal(both_gradients(network, batch, PPOConfig(), rows), 1e-4)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("config", [PPOConfig(), PPOConfig(**cloning.PLAIN)])
def test_imitation_has_the_gradient_of_autograd(config, normalised):
    batch = random_batch(100)
    network = random_network(1, normalised, batch)
    assert_equal(both_gradients(network, batch, config, imitate=True), 2e-5)


@pytest.mark.parametrize(("normalised", "binary"), list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("imitate", [False, True])
def test_bf16_by_hand_is_bf16_by_autograd_but_for_rounding(normalised, binary, imitate):
    batch = random_batch(300, binary=binary)
    network = random_network(1, normalised, batch)
    # Nothing is clipped: a ratio that rounding moves across the edge would change a gradient by far more.
    config = PPOConfig(precision="bf16", clip_param=10, value_clip=None)
    by_autograd, manual_backward = both_gradients(network, batch, config, imitate=imitate)
    exact, _ = both_gradients(network, batch, replace(config, precision="fp32"), imitate=imitate)
    assert_equal((by_autograd, manual_backward), 0.02)
    assert_equal((exact, manual_backward), 0.05)
    differ = [not torch.equal(own, other) for own, other in zip(manual_backward[1], exact[1], strict=True)]
    assert all(differ)


def test_imitation_is_cross_entropy_over_the_legal_actions():
    batch, network = random_batch(30), random_network()
    data, ones = on_device(batch, CPU), torch.ones(30)
    gradient, _ = backpropagate(
        network, data, PPOConfig(**cloning.PLAIN), torch.arange(30), ones, 30, imitate=True
    )
    assign(network, gradient)
    own = network.policy_head.weight.grad.clone()
    network.zero_grad()
    logits, _ = network(data[0], data[1])
    torch.nn.functional.cross_entropy(logits.masked_fill(~data[2], -torch.inf), data[3]).backward()
    assert torch.allclose(own, network.policy_head.weight.grad, atol=1e-6)


def test_a_minibatch_of_several_pieces_is_one_minibatch():
    batch = random_batch(2 * PIECE + 3)
    assert_equal(both_gradients(random_network(), batch, PPOConfig()), 2e-5)


def test_masked_actions_pull_at_nothing():
    batch = random_batch(50)
    batch.action_mask[:, 2] = False
    batch.actions[:] = np.where(batch.actions == 2, 1, batch.actions)
    batch.action_mask[np.arange(50), batch.actions] = True
    network = random_network()
    both_gradients(network, batch, PPOConfig())
    assert (network.policy_head.weight.grad[2] == 0).all()
    assert network.policy_head.bias.grad[2] == 0
    assert (network.policy_head.weight.grad[1] != 0).any()


def test_updates_by_hand_and_by_autograd_end_with_the_same_weights_but_for_rounding(monkeypatch):
    class Autograd:
        def __init__(self, *given, imitate):
            self.backpropagate = partial(backpropagate, *given, imitate=imitate)

    batch, ends = random_batch(200), []
    for way in (ManualBackward, Autograd):
        monkeypatch.setattr("townlet_core.ppo.update.ManualBackward", way)
        network = random_network()
        optimizer = make_optimizer(network, 1e-3)
        history = update_policy(network, optimizer, [batch], PPOConfig(), (1,), 1e-3)
        ends.append((torch.nn.utils.parameters_to_vector(network.parameters()).detach(), history))
    (own, own_history), (weights, history) = ends
    assert torch.allclose(own, weights, atol=1e-5)
    for one, other in zip(own_history, history, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_equal_updates_give_equal_bits(precision):
    config = PPOConfig(precision=precision)

    def trained():
        network = random_network()
        update_policy(network, make_optimizer(network, 1e-3), [random_batch(150)], config, (1,), 1e-3)
        return weights_sha256(network)

    assert trained() == trained()
    with threads(2):
        assert trained() == trained()


@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_ones_are_listed_by_map_and_by_tile(seed, count, density):
    chance = np.random.default_rng(seed)
    maps = (chance.random((count, 2, 3, 3)) < density).astype(np.uint8)
    flat = torch.from_numpy(maps.reshape(count, -1)).float()
    rows = chance.integers(0, count, 7)
    table, pull = torch.randn(18, 4), torch.randn(7, 4)
    for kind in (np.uint8, np.float32):
        picked = select_maps(find_one_positions(maps.astype(kind)), rows, 18)
        assert torch.allclose(add_rows(table, picked.tiles, picked.map_starts), flat[rows] @ table, atol=1e-5)
        assert torch.allclose(
            add_rows(pull, picked.maps, picked.tile_starts), flat[rows].t() @ pull, atol=1e-5
        )


@pytest.mark.parametrize("odd", [2, 255, 0.5, -1.0, np.nan, np.inf])
def test_maps_with_anything_but_zeros_and_ones_have_no_list_of_ones(odd):
    maps = np.zeros((3, 1, 2, 2), np.uint8 if odd in (2, 255) else np.float32)
    assert find_one_positions(maps) is not None
    maps[1, 0, 1, 0] = odd
    assert find_one_positions(maps) is None
