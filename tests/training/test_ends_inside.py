"""Wherever an episode ends, in the last row of a sample or before, the rule is the same."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from recorded_samples import dataset_of, network_that_says, sample_of
from small_runs import settings_of

from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.network import score_actions
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.update import make_optimizer
from townlet_core.replay.batch import stack_samples
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig
from townlet_core.replay.episodes import cut_episode, find_episodes
from townlet_core.replay.sample import save_sample
from townlet_core.training.advantage_targets import first_statistics, replay_batch
from townlet_core.training.epoch_record import describe_replay
from townlet_core.training.signals import StopRequest
from townlet_core.training.warm_start import clone_epoch
from townlet_core.vocab import ACTION_COUNT

CORRECTIONS = ("vtrace", "self_imitation", "none")
PLAIN = PPOConfig(advantage_normalization=False)


def apart(sample):
    """Return the episodes of a sample as samples that were recorded each by itself."""
    return [cut_episode(sample, ticks) for ticks in find_episodes(sample.dones)]


def as_one_and_apart(sample, **config):
    """Return the batches of a sample that holds several episodes, and of one sample for each."""
    batches = (list(dataset_of(*samples, **config)) for samples in ([sample], apart(sample)))
    return [[batch._replace(names=()) for batch in served] for served in batches]


def on_policy(network, sample):
    """Let the sample have been recorded by the network itself."""
    masks = np.ones((sample.timesteps, ACTION_COUNT), bool)
    log_probs, _ = score_actions(network, sample.map, sample.features, masks, sample.actions)
    return dataclasses.replace(sample, old_log_probs=log_probs)


def stacked(*samples):
    return stack_samples(samples, ["x"] * len(samples), samples[0].feature_names, ACTION_COUNT)


def same(first, second):
    return all(np.array_equal(ours, theirs) for ours, theirs in zip(first, second, strict=True))


def test_a_time_limit_in_the_middle_is_bootstrapped_from_its_own_last_tick():
    network = network_that_says(10)
    sample = on_policy(network, sample_of(80, truncated=(39, 79), rewards=1))
    # δ = 1 + .99 · 10 − 10 = .9 at every tick that is learned from; tick 38 is the last of them, and
    # tick 37 adds γλ of it. Ticks 39 and 79 have no observation after them.
    batch, _ = replay_batch([stacked(sample)], network, PLAIN, "vtrace")
    assert len(batch.actions) == 78
    assert batch.advantages[[38, 37, 77]] == pytest.approx([0.9, 0.9 * (1 + 0.99 * 0.95), 0.9], abs=1e-5)
    assert batch.returns[38] == pytest.approx(10.9, abs=1e-5)
    imitated, _ = replay_batch([stacked(sample)], network, PLAIN, "self_imitation")
    assert imitated.advantages[38] == pytest.approx(0.9, abs=1e-5)


def test_a_termination_in_the_middle_is_worth_nothing_from_then_on():
    network = network_that_says(10)
    sample = on_policy(network, sample_of(6, terminated=(2,), rewards=1))
    batch, _ = replay_batch([stacked(sample)], network, PLAIN, "vtrace")
    assert len(batch.actions) == 5  # but the last, which goes on
    assert batch.advantages[[2, 4]] == pytest.approx([1 - 10, 0.9], abs=1e-5)


def test_time_limits_that_count_as_ends_are_learned_from_wherever_they_are():
    network = network_that_says(10)
    sample = on_policy(network, sample_of(80, truncated=(39, 79), rewards=1))
    finite = replace(PLAIN, bootstrap_truncations=False)
    batch, _ = replay_batch([stacked(sample)], network, finite, "vtrace")
    assert len(batch.actions) == 80
    assert batch.returns[[39, 79]] == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("bootstrap", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_one_sample_of_many_episodes_teaches_what_they_teach_apart(correction, bootstrap, seed):
    rng = np.random.default_rng(seed)
    kinds = rng.choice(3, 60, p=[0.85, 0.075, 0.075])
    kinds[[19, 39]] = rng.integers(1, 3, 2)  # at least two episodes
    sample = sample_of(60, np.flatnonzero(kinds == 1), np.flatnonzero(kinds == 2), seed=seed)
    one, many = as_one_and_apart(sample, bootstrap_truncations=bootstrap)
    assert len(one) == len(many)
    assert all(len(ours) == len(theirs) for ours, theirs in zip(one, many, strict=True))
    config = PPOConfig(bootstrap_truncations=bootstrap)
    network = network_that_says()
    ours, theirs = (replay_batch(served, network, config, correction) for served in (one, many))
    assert same(ours[0], theirs[0])
    assert ours[1] == theirs[1]
    assert describe_replay(one, None) == describe_replay(many, None)
    # A batch that somebody stacked without cutting holds the same ticks, lane after lane.
    config = replace(config, advantage_normalization=False)
    uncut, _ = replay_batch([stacked(sample)], network, config, correction)
    cut, _ = replay_batch(
        [b for e in apart(sample) for b in cut_alone(e, bootstrap)], network, config, correction
    )
    assert uncut.actions.tolist() == cut.actions.tolist()
    assert uncut.advantages == pytest.approx(cut.advantages, abs=1e-5)
    assert uncut.returns == pytest.approx(cut.returns, abs=1e-5)


def cut_alone(episode, bootstrap):
    ends = episode.optional["terminations"][-1] or (episode.dones[-1] and not bootstrap)
    return [stacked(episode)] if ends or episode.timesteps > 1 else []


def test_statistics_begin_the_same_with_one_sample_and_with_its_episodes():
    one, many = as_one_and_apart(sample_of(80, truncated=(39, 79)))
    told = []
    for served in (one, many):
        network = network_that_says(normalise_observations=True, normalise_returns=True)
        first_statistics(network, served, 0.99)
        told.append({name: tensor.numpy() for name, tensor in network.named_buffers()})
    for name, found in told[0].items():
        assert found == pytest.approx(told[1][name], rel=1e-5, abs=1e-6), name


def test_a_warm_start_learns_the_same_from_one_sample_and_from_its_episodes():
    sample, settings = sample_of(80, truncated=(39, 79)), settings_of(warm_start="bc")
    digests = []
    for samples in ([sample], apart(sample)):
        network = network_that_says()
        optimizer = make_optimizer(network, 1e-3)
        cloned = clone_epoch(network, optimizer, dataset_of(*samples), settings, 0, StopRequest())
        assert (cloned.samples, cloned.held_out_samples) == (1, 1)
        digests.append(weights_sha256(network))
    assert digests[0] == digests[1]


def test_the_values_of_a_cut_episode_are_its_own():
    sample = dataclasses.replace(
        sample_of(4, terminated=(1,), truncated=(2,)), value_preds=np.float32([1, 2, 3, 4, 5])
    )
    assert [episode.value_preds.tolist() for episode in apart(sample)] == [[1, 2, 0], [3, 3], [4, 5]]


def test_streaming_serves_the_same_episodes_as_memory(tmp_path):
    for i, truncated in enumerate([(2, 6), (4,), ()]):
        save_sample(sample_of(9, truncated=truncated, seed=i), tmp_path, f"s{i}")
    paths = tuple(sorted(tmp_path.glob("*.npz")))
    config = ReplayDatasetConfig(samples=paths, batch_size=2, for_training=True)
    kept, streamed = ReplayDataset(config), ReplayDataset(dataclasses.replace(config, streaming=True))
    assert kept.sample_count == 6
    assert kept.files == list(paths)
    pairs = list(zip(kept, streamed, strict=True))
    assert all(same(ours, theirs) for ours, theirs in pairs)
    assert {name for batch, _ in pairs for name in batch.names} == {
        "s0[0:3]",
        "s0[3:7]",
        "s0[7:9]",
        "s1[0:5]",
        "s1[5:9]",
        "s2",
    }
