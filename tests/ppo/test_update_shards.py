"""A batch in shards is the same batch: its gradient, statistics and minibatches are those of the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from townlet_core.ppo.config import NetworkConfig, PPOConfig
from townlet_core.ppo.device import threads
from townlet_core.ppo.moments import merge, moments_of, packed, unpacked
from townlet_core.ppo.network import ActorCritic, act, score_actions
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.shards import Shards
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import make_optimizer, prepare, shuffle, update_policy

SMALL = NetworkConfig(map_shape=(2, 3, 3), feature_count=4, action_count=3, hidden_size=16)
WIDE = NetworkConfig(map_shape=(4, 11, 11), feature_count=90, action_count=9, hidden_size=16)
UNEVEN = (1, 37, 0, 62)


def random_batch(count, seed=0):
    chance = np.random.default_rng(seed)
    old_values, advantages, returns, rewards = chance.normal(size=(4, count)).astype(np.float32)
    return TrainBatch(
        map=(chance.random((count, 2, 3, 3)) < 0.3).astype(np.uint8),
        features=chance.standard_normal((count, 4)).astype(np.float32),
        action_mask=np.ones((count, 3), bool),
        actions=chance.integers(0, 3, count),
        old_log_probs=np.full(count, -np.log(3) + 0.3, np.float32),
        old_values=old_values,
        advantages=5 + 3 * advantages,
        returns=returns,
        rewards=rewards,
    )


def cut(batch, sizes):
    ends = np.cumsum(sizes)
    return [
        TrainBatch(*(column[end - size : end] for column in batch))
        for size, end in zip(sizes, ends, strict=True)
    ]


def trained(parts, workers=1, count=None, **config):
    network, shards = ActorCritic(SMALL, seed=0), Shards(count or len(parts))
    with threads(workers), shards.at_work():
        history = update_policy(
            network, make_optimizer(network, 1e-2), parts, PPOConfig(**config), (1, 2), 1e-2, shards=shards
        )
    return network, history


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_gradient_of_uneven_shards_is_that_of_one(precision):
    batch, network = random_batch(100), ActorCritic(SMALL, seed=3)
    config, gradients = PPOConfig(precision=precision), []
    for parts in ([batch], cut(batch, UNEVEN)):
        shards = Shards(len(parts))
        rows = [np.arange(len(part.actions)) for part in parts]
        found = [
            gradient(torch.from_numpy(own), data[6], 100)
            for (data, gradient), own in zip(prepare(network, parts, config, shards), rows, strict=True)
        ]
        gradients.append([shards.add_up(vectors) for vectors in zip(*found, strict=True)])
    (whole, losses), (summed, summed_losses) = gradients
    assert (summed - whole).norm() <= (1e-6 if precision == "fp32" else 1e-2) * whole.norm()
    assert summed_losses == pytest.approx(losses, rel=1e-6)


def test_statistics_of_shards_are_those_of_the_whole_and_not_means_of_means():
    batch = random_batch(100)
    (_, [whole]), (_, [parts]) = (
        trained(given, num_epochs=1, num_mini_batches=1) for given in ([batch], cut(batch, UNEVEN))
    )
    assert parts == pytest.approx(whole, rel=1e-5, abs=1e-6)
    assert whole.adv_min_std == pytest.approx(batch.advantages.std(ddof=1), rel=1e-5)


def test_a_shard_without_rows_adds_nothing_wherever_it_stands():
    batch = random_batch(60)
    one, other = (trained(cut(batch, sizes), num_mini_batches=3)[0] for sizes in ((60, 0, 0), (60, 0, 0, 0)))
    assert weights_sha256(one) == weights_sha256(other)
    assert weights_sha256(one) != weights_sha256(ActorCritic(SMALL, seed=0))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_any_number_of_threads_gives_the_same_weights(precision):
    parts = cut(random_batch(4000), (1500, 700, 0, 1800))
    digests = {weights_sha256(trained(parts, workers, precision=precision)[0]) for workers in (1, 2, 4)}
    assert len(digests) == 1
    assert weights_sha256(trained(parts[:2] + parts[3:], precision=precision)[0]) not in digests


def test_every_row_is_in_one_minibatch_of_an_epoch():
    parts = cut(random_batch(100), UNEVEN)
    minibatches = list(shuffle(parts, 7, (1,), Shards(4)))
    assert [minibatch.size for minibatch in minibatches] == [sum(map(len, m.rows)) for m in minibatches]
    for shard, size in enumerate(UNEVEN):
        rows = np.concatenate([minibatch.rows[shard] for minibatch in minibatches])
        assert sorted(rows) == list(range(size))
    sizes = [minibatch.size for minibatch in minibatches]
    assert max(sizes) - min(sizes) <= len(UNEVEN)


def test_no_minibatch_is_empty_however_few_rows_there_are():
    for sizes in ((1, 1, 1), (0, 2, 0), (1,)):
        minibatches = list(shuffle(cut(random_batch(sum(sizes)), sizes), 8, (1,), Shards(len(sizes))))
        assert len(minibatches) == max(sizes)
        assert sum(minibatch.size for minibatch in minibatches) == sum(sizes)


@given(st.integers(0, 1000), st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_moments_of_parts_merge_to_those_of_all_rows(seed, sizes):
    rows = np.random.default_rng(seed).normal(-1e4, 3, (sum(sizes), 2))
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    found = merge(unpacked(packed(list(map(moments_of, parts)))))
    assert found.rows == len(rows)
    if len(rows) > 1:
        assert found.mean == pytest.approx(rows.mean(0))
        assert found.variance == pytest.approx(rows.var(0, ddof=1), rel=1e-6, abs=1e-9)


def test_blocks_hold_every_item_once_and_a_process_has_those_of_its_shards():
    for count, total in ((1, 5), (3, 7), (8, 4), (4, 0)):
        bounds = Shards(count).bounds(total)
        assert (bounds[0], bounds[-1], len(bounds)) == (0, total, count + 1)
        sizes = np.diff(bounds)
        assert sizes.max() - sizes.min() <= 1


def test_observations_pass_the_network_in_the_parts_that_are_given_on_any_threads():
    batch, network = random_batch(2000), ActorCritic(SMALL, seed=0)
    seen = (batch.map, batch.features, batch.action_mask)
    parts = [slice(0, 700), slice(700, 700), slice(700, 2000)]
    found = []
    for workers in (1, 2):
        shards = Shards(3)
        with threads(workers), shards.at_work():
            acted = act(network, *seen, None, shards=shards, parts=parts)
            scored = score_actions(network, *seen, acted[0], shards=shards, parts=parts)
        found.append((*acted, *scored))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)
    alone = [act(network, *(column[part] for column in seen), None) for part in (parts[0], parts[2])]
    assert np.array_equal(found[0][2], np.concatenate([alone[0][2], alone[1][2]]))


def test_a_few_rows_give_the_same_bits_wherever_they_lie_in_memory():
    network = ActorCritic(WIDE, seed=0)
    chance, rows = np.random.default_rng(0), 3
    map = chance.random((rows, 4, 11, 11), np.float32)
    features = chance.random((rows, 90), np.float32)
    mask, actions = np.ones((rows, 9), bool), np.zeros(rows, np.int64)
    found = {
        tuple(
            column.tobytes()
            for column in score_actions(
                network, placed(map, offset), placed(features, 64 - offset), mask, actions
            )
        )
        for offset in range(0, 64, 4)
    }
    assert len(found) == 1


def placed(array, offset):
    """Copy an array to so many bytes behind a multiple of 64."""
    memory = np.zeros(array.nbytes + 192, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
