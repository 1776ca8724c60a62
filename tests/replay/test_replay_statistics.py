"""Statistics of a dataset: one pass, the same for every order, block size and form."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_samples import make_sample

from townlet_core.errors import SampleError
from townlet_core.replay import manifest as manifests
from townlet_core.replay import sample as samples_module
from townlet_core.replay import summaries
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.packed.writer import ShardWriter
from townlet_core.replay.sample import save_sample
from townlet_core.replay.sources import ReplayDatasetConfig
from townlet_core.replay.statistics import OTHERS, DatasetStatistics, read_statistics
from townlet_core.replay.summaries import BINS, Summaries

SAMPLES = [make_sample(ticks, agent, seed) for seed, ticks in enumerate((5, 9, 30)) for agent in ("ada", "b")]
NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False) | st.integers(-3, 3).map(float)


@pytest.fixture
def npz(tmp_path):
    """A manifest of SAMPLES as NPZ files."""
    entries = [save_sample(sample, tmp_path / "npz", f"s_{i:03d}") for i, sample in enumerate(SAMPLES)]
    return save_manifest(tmp_path / "npz", "s", entries, {})


@pytest.fixture
def packed(tmp_path):
    """A manifest of SAMPLES as a shard."""
    writer = ShardWriter(tmp_path / "packed", "s_00001")
    for sample in SAMPLES:
        writer.add(sample)
    return save_manifest(tmp_path / "packed", "s", (), {}, shards=[writer.close()])


def summary_of(*blocks):
    summary = Summaries()
    for block in blocks:
        summary.add(["x"], np.array(block, np.float32)[:, None])
    return summary.as_dict()["x"]


def test_moments_and_extremes_are_those_of_all_rows_together():
    found = summary_of([1, 2], [3], [10, 4, 4])
    assert (found["count"], found["mean"], found["min"], found["max"]) == (6, 4, 1, 10)
    assert found["std"] == pytest.approx(np.sqrt(50 / 6))


def test_bins_are_half_open_and_as_narrow_as_their_number_allows():
    flags = summary_of([0, 1, 1])["histogram"]
    assert (flags["start"], flags["width"]) == (0, 1 / 16)  # 17 bins; of width 1/32 they were 33
    assert flags["counts"] == [1, *[0] * 15, 2]
    assert summary_of([0, 31])["histogram"] == {"start": 0, "width": 1, "counts": [1, *[0] * 30, 1]}
    wide = summary_of([-1, 0, 31])["histogram"]
    assert (wide["start"], wide["width"], wide["counts"][0], wide["counts"][1]) == (-2, 2, 1, 1)
    assert summary_of([7, 7])["histogram"]["counts"] == [2]


@given(st.lists(NUMBERS, min_size=1, max_size=60), st.randoms(), st.integers(1, 7))
def test_a_histogram_depends_on_the_numbers_and_not_on_their_order(numbers, random, size):
    whole = summary_of(numbers)
    shuffled = random.sample(numbers, len(numbers))
    parts = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    assert summary_of(*parts)["histogram"] == whole["histogram"]
    histogram = whole["histogram"]
    assert len(histogram["counts"]) <= BINS
    values = np.float32(numbers)
    edges = histogram["start"] + histogram["width"] * np.arange(len(histogram["counts"]) + 1)
    expected = [int(((values >= low) & (values < high)).sum()) for low, high in pairwise(edges)]
    assert histogram["counts"] == expected


@given(st.lists(NUMBERS, min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_it_does_not_matter_how_many_rows_come_at_a_time(numbers, cuts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summaries, "_BLOCK", 8)
        parts = [part.tolist() for part in np.split(np.array(numbers), sorted(cuts))]
        assert summary_of(*parts) == summary_of(numbers)


def test_columns_that_come_later_are_summarised_on_their_own():
    found = Summaries()
    found.add(["a", "b"], np.array([[0, 1], [2, 3]], np.float32))
    found.add(["c", "a"], np.array([[7, 4]], np.float32))
    assert {name: (n, mean) for name in "abc" for n, mean, _ in [found.moments(name)]} == {
        "a": (3, 2),
        "b": (2, 2),
        "c": (1, 7),
    }


def test_statistics_are_those_of_the_arrays_joined(npz):
    found = read_statistics(find_entries(npz)).as_dict()
    features = np.concatenate([sample.features for sample in SAMPLES]).astype(np.float64)
    rewards = np.concatenate([sample.rewards for sample in SAMPLES]).astype(np.float64)
    for i, name in enumerate(SAMPLES[0].feature_names):
        assert found["features"][name]["mean"] == pytest.approx(features[:, i].mean())
        assert found["features"][name]["std"] == pytest.approx(features[:, i].std())
    assert found["arrays"]["rewards"]["mean"] == pytest.approx(rewards.mean())
    assert found["arrays"]["value_preds"]["count"] == 88 + 6  # one more than ticks in each sample
    assert found["episodes"]["length"]["max"] == 30
    assert found["episodes"]["return"]["max"] == pytest.approx(
        max(sample.rewards.sum(dtype=np.float64) for sample in SAMPLES)
    )
    assert found["counts"] == {
        "samples": 6,
        "episodes": 6,
        "transitions": 88,
        "terminated": 0,
        "truncated": 6,
        "unfinished": 0,
    }


def test_actions_are_counted_in_all_and_by_agent(npz):
    found = read_statistics(find_entries(npz)).as_dict()
    assert sum(found["actions"].values()) == 88
    own = [sample for sample in SAMPLES if sample.agent_id == "ada"]
    waits = sum(int((sample.actions == 0).sum()) for sample in own)
    assert found["agents"]["ada"]["actions"]["wait"] == waits
    assert found["agents"]["ada"]["transitions"] == 44
    assert found["origin"]["seed"] == {"0": 2, "1": 2, "2": 2}


def test_npz_files_and_shards_give_the_same_statistics_to_the_bit(npz, packed):
    assert read_statistics(find_entries(npz)).as_dict() == read_statistics(find_entries(packed)).as_dict()
    shard = packed.with_name("s_00001.arrow")
    assert read_statistics(find_entries(shard)).as_dict() == read_statistics(find_entries(packed)).as_dict()
    config = ReplayDatasetConfig(manifests=(npz,), shuffle=False)
    features = read_statistics(find_entries(npz)).feature_statistics()
    assert ReplayDataset(config).feature_statistics() == features
    streamed = ReplayDatasetConfig(manifests=(packed,), streaming=True)
    assert ReplayDataset(streamed).feature_statistics() == features


def test_each_sample_is_read_once_and_in_order(npz, monkeypatch):
    read = []
    examine = samples_module.examine_sample
    monkeypatch.setattr(
        manifests, "examine_sample", lambda path, *rest: read.append(path.name) or examine(path, *rest)
    )
    seen = []
    read_statistics(
        find_entries(npz), each=lambda one: seen.append((one.entry.name, one.metrics["timesteps"]))
    )
    assert read == [f"s_{i:03d}.npz" for i in range(6)]
    assert seen == [(f"s_{i:03d}.npz", sample.timesteps) for i, sample in enumerate(SAMPLES)]


def test_samples_that_do_not_fit_each_other_are_refused(tmp_path):
    save_sample(make_sample(5), tmp_path, "a")
    other = make_sample(5)
    other.metadata["feature_names"] = other.metadata["feature_names"][::-1]
    save_sample(other, tmp_path, "b")
    with pytest.raises(SampleError, match=r"b\.npz"):
        read_statistics(find_entries(tmp_path))


def test_an_episode_that_ends_inside_a_sample_counts_as_one():
    sample = make_sample(6)
    sample.dones[2] = sample.optional["truncations"][2] = True
    sample.dones[5] = sample.optional["truncations"][5] = False
    statistics = DatasetStatistics()
    statistics.add(sample, {"reward_sum": 0.0})
    found = statistics.as_dict()
    assert (found["counts"]["episodes"], found["counts"]["truncated"], found["counts"]["unfinished"]) == (
        2,
        1,
        1,
    )
    assert found["episodes"]["length"]["mean"] == 3


def test_the_origins_that_are_told_apart_are_limited():
    statistics = DatasetStatistics()
    for seed in range(70):
        statistics.add(make_sample(1, seed=seed), {"reward_sum": 0.0})
    seeds = statistics.as_dict()["origin"]["seed"]
    assert seeds[OTHERS] == 6
    assert sum(seeds.values()) == 70
