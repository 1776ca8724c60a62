"""A dataset serves whole samples that agree, in an order that the seed and the epoch decide."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_samples import make_sample

from townlet_core import io
from townlet_core.errors import InputError, MissingError, SampleError
from townlet_core.replay.dataset import ReplayDataset, check_trainable
from townlet_core.replay.events import save_events
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.sample import save_sample
from townlet_core.replay.sources import ReplayDatasetConfig, SampleFilters
from townlet_core.vocab import ACTION_COUNT, feature_names

LENGTHS = (3, 5, 3, 3, 5, 4, 3)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """Seven samples of three lengths."""
    folder = tmp_path_factory.mktemp("capture")
    entries = [
        save_sample(make_sample(ticks, "anna" if i % 2 else "ben", seed=i), folder, f"s_{i:03d}")
        for i, ticks in enumerate(LENGTHS)
    ]
    return save_manifest(folder, "s", entries, {})


def names(dataset):
    return [batch.names for batch in dataset]


def same(first, second):
    return all(np.array_equal(ours, theirs) for ours, theirs in zip(first, second, strict=True))


def test_batches_group_samples_of_one_length_in_listed_order(capture):
    dataset = ReplayDataset(ReplayDatasetConfig(manifests=(capture,), batch_size=2, shuffle=False))
    assert names(dataset) == [("s_000", "s_002"), ("s_003", "s_006"), ("s_001", "s_004"), ("s_005",)]
    assert len(dataset) == 4
    assert dataset.sample_count == 7
    assert dataset.transitions == sum(LENGTHS)
    assert dataset.warnings == ()


def test_drop_last_leaves_out_small_batches(capture):
    config = ReplayDatasetConfig(manifests=(capture,), batch_size=2, shuffle=False, drop_last=True)
    dataset = ReplayDataset(config)
    assert names(dataset) == [("s_000", "s_002"), ("s_003", "s_006"), ("s_001", "s_004")]
    assert len(dataset) == 3
    with pytest.raises(SampleError, match="no batch is left: 7 samples, batch_size 5"):
        ReplayDataset(dataclasses.replace(config, batch_size=5))


@settings(max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 3), min_size=1, max_size=12),
    size=st.integers(1, 5),
    seed=st.integers(0, 1 << 40),
    epoch=st.integers(0, 1000),
)
def test_every_epoch_is_a_permutation_that_only_seed_and_epoch_decide(lengths, size, seed, epoch):
    samples = [make_sample(ticks) for ticks in lengths]
    config = ReplayDatasetConfig(batch_size=size, seed=seed)
    first, second = (ReplayDataset.from_samples(samples, config) for _ in range(2))
    list(second)  # an epoch in between changes nothing
    order = first.batch_order(epoch)
    assert order == second.batch_order(epoch)
    assert sorted(i for batch in order for i in batch) == list(range(len(lengths)))
    assert all(len({lengths[i] for i in batch}) == 1 and len(batch) <= size for batch in order)
    assert len(order) == len(first)


def test_orders_differ_between_epochs_and_between_seeds():
    samples = [make_sample(2, seed=i) for i in range(20)]
    dataset = ReplayDataset.from_samples(samples, ReplayDatasetConfig(batch_size=4))
    other = ReplayDataset.from_samples(samples, ReplayDatasetConfig(batch_size=4, seed=1))
    orders = [dataset.batch_order(epoch) for epoch in range(5)] + [other.batch_order(0)]
    assert len({str(order) for order in orders}) == 6


def test_each_iteration_is_the_next_epoch_and_set_epoch_goes_back(capture):
    dataset = ReplayDataset(ReplayDatasetConfig(manifests=(capture,), batch_size=1))
    first, second = names(dataset), names(dataset)
    assert first != second
    dataset.set_epoch(0)
    assert names(dataset) == first
    dataset.set_epoch(1)
    assert names(dataset) == second


def test_streaming_serves_the_same_batches_as_memory(capture):
    config = ReplayDatasetConfig(manifests=(capture,), batch_size=2, seed=5)
    kept, streamed = ReplayDataset(config), ReplayDataset(dataclasses.replace(config, streaming=True))
    pairs = list(zip(kept, streamed, strict=True))
    assert len(pairs) == 4
    assert all(same(ours, theirs) for ours, theirs in pairs)
    assert kept.feature_statistics() == streamed.feature_statistics()


def test_arrays_are_stacked_time_major_and_optional_ones_filled_in():
    full, bare = make_sample(4, seed=1), dataclasses.replace(make_sample(4, seed=2), optional={})
    config = ReplayDatasetConfig(batch_size=2, shuffle=False)
    (batch,) = ReplayDataset.from_samples([full, bare], config)
    assert batch.map.shape == (4, 2, 4, 11, 11)
    assert batch.value_preds.shape == (5, 2)
    assert batch.transitions == 8
    for n, sample in enumerate((full, bare)):
        for name in ("map", "features", "actions", "old_log_probs", "value_preds", "rewards", "dones"):
            assert np.array_equal(getattr(batch, name)[:, n], getattr(sample, name))
    assert np.array_equal(batch.action_mask[:, 0], full.optional["action_mask"])
    assert batch.action_mask[:, 1].all()
    assert batch.action_mask.shape == (4, 2, ACTION_COUNT)
    assert batch.truncations.tolist() == [[False, False]] * 3 + [[True, False]]
    assert batch.terminations.tolist() == [[False, False]] * 3 + [[False, True]]  # unsaid: a termination
    assert not batch.conflict_events[:, 1].any()


def test_conflict_stats_sum_up_a_batch():
    sample = make_sample(2)
    features = np.zeros_like(sample.features)
    features[:, sample.feature_names.index("rivalry_max")] = [0.25, 0.75]
    features[:, sample.feature_names.index("rivalry_avoid_count")] = [0, 3]
    conflict = {"conflict_events": np.float32([1, 0.5]), "conflict_intensity": np.float32([1.5, 0.25])}
    sample = dataclasses.replace(sample, features=features, optional=conflict)
    quiet = dataclasses.replace(sample, features=np.zeros_like(features), optional={})
    (batch,) = ReplayDataset.from_samples([sample, quiet], ReplayDatasetConfig())
    assert batch.conflict_stats() == {
        "rivalry_max_mean": 0.25,
        "rivalry_max_max": 0.75,
        "rivalry_avoid_count_mean": 0.75,
        "rivalry_avoid_count_max": 3.0,
        "queue_conflict_events": 1.5,
        "queue_conflict_intensity_sum": 1.75,
    }


def test_feature_statistics_are_those_of_all_ticks_together(capture):
    dataset = ReplayDataset(ReplayDatasetConfig(manifests=(capture,), streaming=True))
    together = np.concatenate([make_sample(t, seed=i).features for i, t in enumerate(LENGTHS)]).astype(
        np.float64
    )
    statistics = dataset.feature_statistics()
    assert statistics["names"] == list(feature_names())
    assert statistics["count"] == sum(LENGTHS)
    np.testing.assert_allclose(statistics["mean"], together.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics["std"], together.std(axis=0), rtol=1e-9)


def test_filters_keep_the_agents_and_lengths_asked_for(capture):
    def kept(**filters):
        config = ReplayDatasetConfig(
            manifests=(capture,), batch_size=9, shuffle=False, filters=SampleFilters(**filters)
        )
        return sorted(name for batch in ReplayDataset(config) for name in batch.names)

    assert kept(agents=("anna",)) == ["s_001", "s_003", "s_005"]
    assert kept(min_timesteps=4) == ["s_001", "s_004", "s_005"]
    assert kept(agents=("anna",), min_timesteps=4) == ["s_001", "s_005"]
    with pytest.raises(SampleError, match="no samples to train on"):
        kept(agents=("zoe",))


def test_single_samples_and_events_can_be_named(capture, tmp_path):
    events = save_events(tmp_path, "s", [{"tick": 1, "town": 0, "type": "faint"}] * 3)
    paths = (capture.parent / "s_001.npz", capture.parent / "s_004.npz")
    dataset = ReplayDataset(ReplayDatasetConfig(samples=paths, events=(events,)))
    assert dataset.sample_count == 2
    assert dataset.event_counts() == {"faint": 3}


def renamed(sample, **metadata):
    return dataclasses.replace(sample, metadata=sample.metadata | metadata)


def swap_features(sample):
    swapped = list(sample.feature_names)
    swapped[3], swapped[4] = swapped[4], swapped[3]
    return renamed(sample, feature_names=swapped)


NEWER_KEYS = ("schema_version", "action_lookup", "behaviour", "value_source", "capture")


def older(sample):
    metadata = {k: v for k, v in sample.metadata.items() if k not in NEWER_KEYS}
    return dataclasses.replace(sample, metadata=metadata)


DISAGREEMENTS = {
    r"map shape \(4, 11, 11\) in the first, \(4, 9, 9\) in the second": lambda s: dataclasses.replace(
        renamed(s, map_shape=[4, 9, 9]), map=np.ascontiguousarray(s.map[:, :, :9, :9])
    ),
    "features: only in the first: neighbour2_familiarity": lambda s: dataclasses.replace(
        renamed(s, feature_names=list(s.feature_names[:-1])), features=s.features[:, :-1].copy()
    ),
    "features: another order: number 3 is wallet in the first, lateness_counter in the second": swap_features,
    "generation 2 in the first, 1, with action ids of its own in the second": older,
    "map channels": lambda s: renamed(s, map_channels=["a", "b", "c", "d"]),
}


@pytest.mark.parametrize("sentence", DISAGREEMENTS)
def test_samples_that_disagree_are_both_named_before_the_first_batch(tmp_path, sentence):
    save_sample(make_sample(), tmp_path, "first")
    save_sample(DISAGREEMENTS[sentence](make_sample()), tmp_path, "second")
    config = ReplayDatasetConfig(samples=(tmp_path / "first.npz", tmp_path / "second.npz"), streaming=True)
    with pytest.raises(SampleError, match=rf"first\.npz and .*second\.npz do not fit together: {sentence}"):
        ReplayDataset(config)


def test_a_file_that_changes_after_opening_is_noticed(tmp_path):
    save_sample(make_sample(), tmp_path, "a")
    dataset = ReplayDataset(ReplayDatasetConfig(samples=(tmp_path / "a.npz",), streaming=True))
    assert len(list(dataset)) == 1
    os.utime(tmp_path / "a.npz", (1, 1))
    with pytest.raises(SampleError, match=r"a\.npz: has changed since"):
        list(dataset)
    (tmp_path / "a.npz").unlink()
    with pytest.raises(MissingError):
        list(dataset)


def test_a_dataset_that_would_fill_the_memory_asks_for_streaming(capture):
    config = ReplayDatasetConfig(manifests=(capture,), limits=ReadLimits(max_memory_bytes=20_000))
    with pytest.raises(InputError, match="more than 20,000 bytes of memory"):
        ReplayDataset(config)
    assert len(ReplayDataset(dataclasses.replace(config, streaming=True))) == 3


def test_the_memory_of_a_dataset_counts_all_that_its_files_hold(tmp_path):
    sample = make_sample()
    save_sample(sample, tmp_path, "a")
    np.savez(tmp_path / "a.npz", **sample.arrays(), ours_not=np.zeros(200_000, np.uint8))
    config = ReplayDatasetConfig(samples=(tmp_path / "a.npz",), limits=ReadLimits(max_memory_bytes=200_000))
    with pytest.raises(InputError, match="more than 200,000 bytes of memory"):
        ReplayDataset(config)


def test_impossible_configurations_are_refused():
    with pytest.raises(InputError, match="batch_size: 0"):
        ReplayDatasetConfig(batch_size=0)
    with pytest.raises(InputError, match="seed: -1"):
        ReplayDatasetConfig(seed=-1)


def test_older_samples_share_one_vocabulary_with_a_warning():
    first, second = older(make_sample(3)), older(make_sample(3, seed=1))
    first = dataclasses.replace(renamed(first, action_dim=3), actions=np.array([0, 1, 2]), optional={})
    second = dataclasses.replace(renamed(second, action_dim=6), actions=np.array([5, 0, 0]), optional={})
    dataset = ReplayDataset.from_samples([first, second], ReplayDatasetConfig())
    assert dataset.action_dim == 6
    assert "taken as one vocabulary of 6" in dataset.warnings[0]
    (batch,) = dataset
    assert batch.action_mask.shape == (3, 2, 6)


@pytest.mark.parametrize(
    ("scenario", "actions"),
    [
        ("queue_conflict", 4),
        ("employment_punctuality", 3),
        ("rivalry_decay", 4),
        ("observation_baseline", 1),
        ("two_step", 3),
    ],
)
def test_every_reference_manifest_is_trainable(captures, scenario, actions):
    (manifest,) = (captures / scenario).glob("*manifest.json")
    dataset = ReplayDataset(ReplayDatasetConfig(manifests=(manifest,)))
    check_trainable(dataset)
    assert dataset.action_dim == actions
    assert "may mean different things" in dataset.warnings[0]
    for batch in dataset:
        assert batch.actions.max() < actions


def test_samples_without_conflict_features_are_not_trainable():
    sample = make_sample()
    names = [name.replace("rivalry_max", "anger") for name in sample.feature_names]
    dataset = ReplayDataset.from_samples([renamed(sample, feature_names=names)], ReplayDatasetConfig())
    with pytest.raises(SampleError, match="have no feature rivalry_max"):
        check_trainable(dataset)
    (batch,) = dataset
    assert "rivalry_max_mean" not in batch.conflict_stats()


def test_streaming_memory_does_not_grow_with_the_dataset(tmp_path):
    sample = make_sample(500)
    entry = save_sample(sample, tmp_path, "s")
    entries = []
    for i in range(150):  # 330 MB of arrays behind one file's worth of disk
        os.link(tmp_path / "s.npz", tmp_path / f"s{i}.npz")
        os.link(tmp_path / "s.json", tmp_path / f"s{i}.json")
        entries.append(entry | {"sample": f"s{i}.npz", "meta": f"s{i}.json"})
    save_manifest(tmp_path, "s", entries, {})
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "config = ReplayDatasetConfig(manifests=(Path(sys.argv[1]),), streaming=True, batch_size=2)\n"
        "print(sum(batch.transitions for batch in ReplayDataset(config)), peak() - before)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "s_manifest.json")]
    transitions, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(transitions) == 75_000
    assert int(grown) < 60  # MiB; all samples together are 330


def test_the_room_opens_without_the_simulator_and_without_torch():
    program = (
        "import sys, townlet_core.replay.validate, townlet_core.replay.dataset\n"
        "loaded = [m for m in sys.modules if m == 'torch' or m.startswith('townlet_core.')]\n"
        "print(*sorted(m for m in loaded if not m.startswith('townlet_core.replay')))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    yaml = ("yaml", "yaml.reader", "yaml.syntax", "yaml.tree")
    rooms = ("addresses", "chance", "errors", "inputs", "io", "vocab", *yaml)
    assert result.stdout.split() == [f"townlet_core.{name}" for name in rooms]


def test_digests_are_verified_when_a_dataset_opens(capture, tmp_path):
    entry = save_sample(make_sample(), tmp_path, "a")
    manifest = save_manifest(tmp_path, "a", [entry | {"sha256": io.sha256(b"other")}], {})
    with pytest.raises(SampleError, match="sha256 is not the one in the manifest"):
        ReplayDataset(ReplayDatasetConfig(manifests=(manifest,)))
