"""Comparing datasets: by content in any container, or by the bytes of files."""

import dataclasses
import shutil

import numpy as np
import pytest

from townlet_core.capture.session import capture
from townlet_core.handling.diff import Difference, compare_bytes, compare_datasets, compare_samples
from townlet_core.handling.filter import filter_samples
from townlet_core.handling.refer import save_selection
from townlet_core.handling.sources import open_sources
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import read_entry
from townlet_core.replay.sample import save_sample


@pytest.fixture
def sample(captures):
    return read_entry(find_entries(captures / "npz")[0])


def changed(sample, **arrays):
    return dataclasses.replace(sample, **arrays)


def test_another_container_and_other_names_are_equal(captures, tmp_path):
    capture("queue_conflict", tmp_path / "z", towns=3, ticks=200, compress=True, prefix="other")
    for other in (captures / "arrow", tmp_path / "z"):
        found = compare_datasets(captures / "npz", other)
        assert (found.is_equal, found.equal) == (True, 27)


def test_samples_only_in_one_are_named(captures, recorded):
    chosen = filter_samples(open_sources([recorded]), "town > 0 or agent_id != 'ben'")
    path = save_selection(recorded / "x_manifest.json", chosen, {})
    found = compare_datasets(path, captures / "npz")
    assert (found.equal, found.only_first, found.different, found.is_equal) == (24, [], [], False)
    assert found.only_second == [str(captures / "npz" / f"rollout_sample_ben_00{n}.npz") for n in (4, 5, 6)]


def test_the_first_difference_of_an_array_has_tick_and_values(sample):
    rewards = sample.rewards.copy()
    rewards[[3, 7]] += np.float32([0.5, 2])
    (found,) = compare_samples(sample, changed(sample, rewards=rewards))
    assert (found.name, found.tick, found.ticks) == ("rewards", 3, 2)
    assert found.largest == pytest.approx(2, abs=1e-6)
    assert (found.first, found.second) == (f"{sample.rewards[3]:g}", f"{rewards[3]:g}")
    features = sample.features.copy()
    features[2, 5] = 9
    (found,) = compare_samples(sample, changed(sample, features=features))
    assert (found.name, found.tick, found.second) == ("features", 2, "9")


def test_a_sign_of_zero_a_missing_array_and_a_shape_are_differences(sample):
    values = sample.value_preds.copy()
    values[4] = -0.0
    (found,) = compare_samples(
        changed(sample, value_preds=np.zeros(81, np.float32)), changed(sample, value_preds=values * 0)
    )
    assert (found.first, found.second, found.largest) == ("0", "-0", 0)
    fewer = {name: array for name, array in sample.optional.items() if name != "action_mask"}
    assert list(compare_samples(sample, changed(sample, optional=fewer))) == [
        Difference("action_mask", "present", "missing")
    ]
    (found,) = compare_samples(sample, changed(sample, dones=sample.dones[:-1]))
    assert found == Difference("dones", "shape (80,)", "shape (79,)")


def test_metadata_is_compared_key_by_key(sample):
    metadata = sample.metadata | {"note": "x", "capture": sample.metadata["capture"] | {"seed": 8}}
    found = compare_samples(sample, changed(sample, metadata=metadata))
    assert sorted(found) == [
        Difference("metadata.capture.seed", "7", "8"),
        Difference("metadata.note", "missing", "'x'"),
    ]


def test_two_single_samples_are_compared_whatever_they_are_called(sample, captures, tmp_path):
    save_sample(changed(sample, metadata=sample.metadata | {"behaviour": "random"}), tmp_path, "a")
    found = compare_datasets(captures / "npz" / "rollout_sample_anna_001.npz", tmp_path / "a.npz")
    assert [one.name for one in found.different[0].differences] == ["metadata.behaviour"]


def test_older_samples_are_compared_by_name(tmp_path):
    folder = "tests/data/reference/captures/queue_conflict"
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "rollout_sample_manifest.json").unlink()
    assert compare_datasets(folder, tmp_path / "copy").equal == 3


def test_bytes_are_compared_by_file(captures, recorded):
    form = "npz" if list(recorded.glob("*.npz")) else "arrow"
    assert compare_bytes(captures / form, recorded).is_equal
    manifest = recorded / "rollout_sample_manifest.json"
    assert compare_bytes(captures / form / manifest.name, manifest).is_equal
    (recorded / "rollout_sample_scenario.yaml").write_text("# changed\n")
    (recorded / "notes.txt").write_text("mine")
    found = compare_bytes(captures / form, recorded)
    assert [pair.second for pair in found.different] == [str(recorded / "rollout_sample_scenario.yaml")]
    assert found.only_second == [str(recorded / "notes.txt")]
    assert not compare_bytes(captures / "npz", captures / "arrow").is_equal


def test_bytes_of_two_samples_or_shards_are_compared(captures):
    anna, ben = (captures / "npz" / f"rollout_sample_{name}.npz" for name in ("anna_001", "ben_004"))
    assert compare_bytes(anna, anna).equal == 2
    assert len(compare_bytes(anna, ben).different) == 2
    shard = captures / "arrow" / "rollout_sample_00001.arrow"
    assert compare_bytes(shard, shard).equal == 2
