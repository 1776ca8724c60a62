"""An update learns, is a function of its arguments, and never lets a bad number near the weights."""

import itertools

import numpy as np
import pytest
import torch

from townlet_core.errors import InputError, ShapeError
from townlet_core.ppo.config import NetworkConfig, PPOConfig
from townlet_core.ppo.device import threads
from townlet_core.ppo.network import ActorCritic, act, score_actions
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.statistics import EpochStats, TrainBatch
from townlet_core.ppo.update import make_optimizer, update_policy

SMALL = NetworkConfig(map_shape=(2, 3, 3), feature_count=4, action_count=3, hidden_size=16)
RATE = 1e-2


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


def random_batch(count, seed=0):
    chance = np.random.default_rng(seed)

    def column():
        return chance.standard_normal(count).astype(np.float32)

    return TrainBatch(
        map=chance.random((count, 2, 3, 3), np.float32),
        features=chance.standard_normal((count, 4)).astype(np.float32),
        action_mask=np.ones((count, 3), bool),
        actions=chance.integers(0, 3, count),
        old_log_probs=np.full(count, -np.log(3), np.float32),
        old_values=column(),
        advantages=column(),
        returns=column(),
        rewards=column(),
    )


def trained(batch, config=None, coordinates=(1, 2), **more):
    """A fresh network after one update, and the statistics."""
    network = ActorCritic(SMALL, seed=0)
    optimizer = make_optimizer(network, RATE)
    history = update_policy(network, optimizer, [batch], config or PPOConfig(), coordinates, RATE, **more)
    return network, history


def gradient_steps(config, batch):
    return sum(stats.updates for stats in trained(batch, config)[1])


def largest_difference(first, second):
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def test_a_bandit_learns_its_better_arm():
    network = ActorCritic(SMALL, seed=0)
    optimizer = make_optimizer(network, RATE)
    count = 120
    maps, features = np.zeros((count, 2, 3, 3), np.float32), np.ones((count, 4), np.float32)
    mask = np.ones((count, 3), bool)
    for cycle in range(8):
        uniforms = np.random.default_rng(cycle).random(count)
        actions, log_probs, values = act(network, maps, features, mask, uniforms)
        rewards = (actions == 1).astype(np.float32)
        batch = TrainBatch(
            maps, features, mask, actions, log_probs, values, rewards - values, rewards, rewards
        )
        update_policy(network, optimizer, [batch], PPOConfig(), (cycle,), RATE)
    better, worth = score_actions(network, maps[:1], features[:1], mask[:1], np.array([1]))
    assert np.exp(better[0]) > 0.9
    assert worth[0] > 0.6


def test_equal_arguments_give_equal_weights_and_other_coordinates_others():
    batch = random_batch(50)
    torch.manual_seed(1)
    first = weights_sha256(trained(batch)[0])
    torch.manual_seed(2)
    assert weights_sha256(trained(batch)[0]) == first
    assert weights_sha256(trained(batch, coordinates=(1, 3))[0]) != first


def test_every_epoch_sees_every_transition_once_in_minibatches_of_even_size():
    _, history = trained(random_batch(50), PPOConfig(num_epochs=3, num_mini_batches=7))
    assert [(stats.updates, stats.transitions) for stats in history] == [(7, 50)] * 3


def test_more_minibatches_than_transitions_are_as_many_as_there_are():
    assert gradient_steps(PPOConfig(num_epochs=1, num_mini_batches=8), random_batch(3)) == 3


@pytest.mark.parametrize("micro_batch", [1, 7, 25])
def test_small_pieces_add_up_to_the_whole_minibatch(micro_batch):
    batch = random_batch(50)
    whole, whole_history = trained(batch)
    pieces, pieces_history = trained(batch, PPOConfig(micro_batch=micro_batch))
    assert largest_difference(whole, pieces) < 1e-4
    for one, other in zip(whole_history, pieces_history, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_bf16_trains_the_same_way_with_fp32_weights():
    batch = random_batch(200)
    _, full_history = trained(batch)
    half, half_history = trained(batch, PPOConfig(precision="bf16"))
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    assert half_history[-1].loss_total == pytest.approx(full_history[-1].loss_total, abs=0.02)
    assert half_history[-1].loss_total != full_history[-1].loss_total


@pytest.mark.parametrize("column", ["features", "advantages", "returns", "old_values", "old_log_probs"])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_bad_number_skips_its_update_leaves_the_weights_and_is_counted(column, poison):
    batch = random_batch(40)
    getattr(batch, column)[3] = poison
    network, history = trained(batch, PPOConfig(num_epochs=2, num_mini_batches=1))
    assert weights_sha256(network) == weights_sha256(ActorCritic(SMALL, seed=0))
    assert [(s.updates, s.skipped_updates, s.skipped_in_a_row) for s in history] == [(0, 1, 1), (0, 1, 2)]
    assert np.isfinite(history).all()


def test_updates_without_the_bad_number_go_on_and_tell_finite_statistics():
    batch = random_batch(40)
    batch.features[3] = np.nan
    network, history = trained(batch, PPOConfig(num_mini_batches=4))
    assert len(history) == 4  # skips with good updates between them are not in a row
    assert all((stats.updates, stats.skipped_updates, stats.transitions) == (3, 1, 30) for stats in history)
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())
    assert np.isfinite(history).all()


def test_a_gradient_that_overflows_behind_a_finite_loss_is_skipped():
    batch = random_batch(8)
    config = PPOConfig(num_epochs=1, num_mini_batches=1, value_clip=None, advantage_normalization=False)
    batch.features[:] *= np.float32(1e25)  # values near 1e25: their squares overflow only in the norm
    batch.returns[:] = 0
    network = ActorCritic(SMALL, seed=0)
    with torch.no_grad():
        network.value_head.weight.mul_(1e-10)
        network.policy_head.weight.zero_()
    before = weights_sha256(network)
    optimizer = make_optimizer(network, RATE)
    stats = update_policy(network, optimizer, [batch], config, (1,), RATE)[0]
    assert (stats.updates, stats.skipped_updates) == (0, 1)
    assert weights_sha256(network) == before


def test_three_skipped_in_a_row_end_the_update_counting_those_before_it():
    batch = random_batch(40)
    batch.features[:] = np.nan
    assert [s.skipped_updates for s in trained(batch)[1]] == [3]
    _, history = trained(batch, skipped_in_a_row=1)
    assert [(s.skipped_updates, s.skipped_in_a_row) for s in history] == [(2, 3)]


def test_a_stop_is_heeded_before_the_next_minibatch():
    asked = itertools.count(1)
    _, history = trained(random_batch(40), should_stop=lambda: next(asked) > 6)
    assert [stats.updates for stats in history] == [4, 2]
    assert trained(random_batch(40), should_stop=lambda: True)[1] == []


def test_an_epoch_beyond_the_target_kl_is_the_last():
    batch = random_batch(60)
    history = trained(batch, PPOConfig(target_kl=1e-4))[1]
    assert len(history) < 4
    assert history[-1].kl_divergence > 1e-4
    assert all(stats.kl_divergence <= 1e-4 for stats in history[:-1])


def test_equal_advantages_and_a_lone_transition_have_no_spread_and_do_no_harm():
    batch = random_batch(40)
    batch.advantages[:] = 1000.1
    stats = trained(batch)[1][0]
    assert (stats.adv_zero_std_batches, stats.adv_min_std) == (4, 0.0)
    assert abs(stats.loss_policy) < 1e-3
    lone = trained(random_batch(1))[1][0]
    assert (lone.adv_zero_std_batches, lone.updates) == (1, 1)


def test_gradients_are_shortened_to_the_limit():
    batch = random_batch(40)
    batch.returns[:] = 1e4
    network = ActorCritic(SMALL, seed=0)
    plain = torch.optim.SGD(network.parameters(), lr=1.0)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    config = PPOConfig(num_epochs=1, num_mini_batches=1, max_grad_norm=0.25)
    stats = update_policy(network, plain, [batch], config, (1,), 1.0)[0]
    moved = [(new - old).norm() for new, old in zip(network.parameters(), before, strict=True)]
    assert torch.stack(moved).norm().item() == pytest.approx(0.25, rel=1e-3)
    assert stats.grad_norm_max > 100


def test_statistics_of_the_batch_are_those_worked_by_hand():
    batch = random_batch(4)
    batch.rewards[:] = [1, 2, 3, 4]
    batch.advantages[:] = [2, 4, 6, 8]
    batch.returns[:] = [0, 2, 0, 2]
    batch.old_values[:] = [0, 1, 0, 1]
    stats = trained(batch, PPOConfig(num_epochs=1, num_mini_batches=1))[1][0]
    assert stats.adv_mean == 5
    assert stats.adv_std == pytest.approx(5**0.5)
    assert stats.reward_advantage_corr == pytest.approx(1)
    assert stats.explained_variance == pytest.approx(0.75)  # 1 − ¼ / 1
    assert stats.batch_entropy_mean == pytest.approx(np.log(3), abs=1e-3)
    assert stats.lr == RATE


def test_undefined_correlation_and_explained_variance_are_zero():
    batch = random_batch(6)
    batch.rewards[:], batch.returns[:] = 0.1, 0.1
    batch.rewards[0] = batch.returns[0] = np.nextafter(np.float32(0.1), np.float32(1))  # rounding
    stats = trained(batch)[1][0]
    assert (stats.reward_advantage_corr, stats.explained_variance) == (0, 0)


def test_an_epoch_averages_minibatches_by_their_transitions_and_keeps_their_maxima():
    config = PPOConfig(num_epochs=2, num_mini_batches=3, clip_param=0.05)
    last: EpochStats = trained(random_batch(50), config)[1][-1]
    assert 0 < last.clip_fraction <= last.clip_fraction_max <= 1
    assert 0 < last.kl_divergence <= last.kl_divergence_max
    assert 0 < last.grad_norm <= last.grad_norm_max
    assert 1 <= last.clip_triggered_minibatches <= 3
    assert 0 < last.ess_fraction < 1
    assert last.ratio_mean == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize(
    ("column", "value", "error", "message"),
    [
        (
            "features",
            np.zeros((5, 3), np.float32),
            ShapeError,
            r"batch.features has shape \(5, 3\), .*\(5, 4\)",
        ),
        ("returns", np.zeros(4, np.float32), ShapeError, r"batch.returns has shape \(4,\), expected \(5,\)"),
        (
            "actions",
            np.array([0, 1, 2, 3, 0]),
            InputError,
            r"batch.actions\[3\] is 3, expected an id from 0 to 2",
        ),
        ("action_mask", np.zeros((5, 3), bool), InputError, r"batch.actions\[0\] is .*mask forbids"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(column, value, error, message):
    with pytest.raises(error, match=message):
        trained(random_batch(5)._replace(**{column: value}))


def test_an_empty_batch_is_refused():
    with pytest.raises(InputError, match="no transitions"):
        trained(random_batch(0))
