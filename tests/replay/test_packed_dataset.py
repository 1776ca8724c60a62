"""A dataset of shards: the samples and batches of NPZ files, in memory or streamed in bounded memory."""

import dataclasses
import json
import pickle
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_samples import make_sample

from townlet_core.errors import InputError, SampleError
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import entry_metadata, load_manifest, read_entry, save_manifest
from townlet_core.replay.packed import writer as packed_writer
from townlet_core.replay.packed.writer import ShardWriter
from townlet_core.replay.sample import save_sample
from townlet_core.replay.sources import ReplayDatasetConfig, SampleFilters
from townlet_core.replay.validate import validate_path

LENGTHS = (5, 9, 5, 5, 1, 9, 5, 7, 5, 5, 5, 9)


def samples_of(lengths=LENGTHS):
    return [make_sample(ticks, ("ada", "ben")[seed % 2], seed) for seed, ticks in enumerate(lengths)]


def both_forms(folder, samples, per_shard=5):
    """Write the samples as NPZ files and as shards; return the two manifests."""
    listed = [save_sample(s, folder / "npz", f"x_{s.agent_id}_{i + 1:03d}") for i, s in enumerate(samples)]
    shards = []
    for start in range(0, len(samples), per_shard):
        writer = ShardWriter(folder / "arrow", f"x_{start // per_shard + 1:05d}")
        for sample in samples[start : start + per_shard]:
            writer.add(sample)
        shards.append(writer.close())
    packed = save_manifest(folder / "arrow", "x", [], {}, shards=shards)
    return save_manifest(folder / "npz", "x", listed, {}), packed


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(packed_writer, "BATCH_BYTES", 8000)  # two or three samples to a record batch


def dataset(manifest, **settings):
    return ReplayDataset(
        ReplayDatasetConfig(manifests=(manifest,), **{"batch_size": 2, "seed": 3, **settings})
    )


def content(batches):
    return [
        (batch.names, *(value.tobytes() for value in batch if isinstance(value, np.ndarray)))
        for batch in batches
    ]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("for_training", [False, True])
def test_packed_samples_give_the_batches_of_their_npz_files(tmp_path, streaming, for_training):
    npz, arrow = both_forms(tmp_path, samples_of())
    settings = {"streaming": streaming, "for_training": for_training}
    first, second = dataset(npz, **settings), dataset(arrow, **settings)
    for _ in range(3):
        assert content(first) == content(second)
    assert (first.feature_names, first.map_shape, first.action_dim) == (
        second.feature_names,
        second.map_shape,
        second.action_dim,
    )
    assert [path.name for path in first.files] == [path.name for path in second.files]
    folders = re.compile(r"/\S*/")
    assert [folders.sub("", text) for text in first.warnings] == [
        folders.sub("", text) for text in second.warnings
    ]
    assert first.feature_statistics() == second.feature_statistics()


def test_entries_of_shards_are_those_of_npz_files(tmp_path):
    manifests = both_forms(tmp_path, samples_of())
    first, second = (load_manifest(manifest).entries for manifest in manifests)
    assert [entry.name for entry in first] == [entry.name for entry in second]
    for one, other in zip(first, second, strict=True):
        assert entry_metadata(one) == entry_metadata(other) == read_entry(other).metadata
        assert (one.agent_id, one.frame_count) == (other.agent_id, other.frame_count)
    for path in (tmp_path / "arrow", tmp_path / "arrow" / "x_manifest.json"):
        assert [entry.name for entry in find_entries(path)] == [entry.name for entry in first]
    assert [entry.number for entry in find_entries(tmp_path / "arrow" / "x_00002.arrow")] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("streaming", [False, True])
def test_the_order_is_a_function_of_seed_epoch_data_and_budget(tmp_path, streaming):
    _, manifest = both_forms(tmp_path, samples_of())
    budget = 40000  # of about 70,000 bytes of rows
    orders = {}
    for seed in (1, 2):
        for memory_budget in (budget, budget * 100):
            opened = dataset(manifest, seed=seed, memory_budget=memory_budget, streaming=streaming)
            again = dataset(manifest, seed=seed, memory_budget=memory_budget, streaming=not streaming)
            for epoch in (0, 1):
                names = [batch.names for batch in opened.batches(epoch)]
                assert names == [batch.names for batch in again.batches(epoch)]
                orders[seed, memory_budget, epoch] = names
                assert sorted(sum(names, ())) == sorted(path.stem for path in opened.files)
    assert len({str(order) for order in orders.values()}) == len(orders)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=25), st.integers(3000, 60000), st.integers(1, 4))
def test_any_budget_serves_every_episode_once_and_resumes(tmp_path_factory, lengths, budget, batch_size):
    folder = tmp_path_factory.mktemp("any")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_writer, "BATCH_BYTES", 4000)
        _, manifest = both_forms(folder, samples_of(lengths))
    opened = dataset(manifest, memory_budget=budget, streaming=True, batch_size=batch_size)
    batches = list(opened.batches(0))
    assert len(batches) == len(opened)
    assert sorted(name for batch in batches for name in batch.names) == sorted(p.stem for p in opened.files)
    middle = len(batches) // 2
    assert content(opened.batches(0, middle)) == content(batches[middle:])


def test_memory_holds_two_windows_at_most(tmp_path):
    _, manifest = both_forms(tmp_path, [make_sample(9, seed=seed) for seed in range(60)])
    opened = dataset(manifest, memory_budget=80000, streaming=True)
    row_bytes = opened._items[0].shard.layout.row_bytes
    for _ in opened:
        held = [future.result() for future in opened._blocks._ahead.values()]
        assert 0 < sum(rows.count for rows in held) * row_bytes <= 80000
    windows = opened._blocks._windows
    assert len(windows) > 4
    assert all(sum(opened._blocks.bytes[block] for block in window) <= 40000 for window in windows)


def test_a_changed_shard_is_noticed_when_its_rows_are_read(tmp_path):
    _, manifest = both_forms(tmp_path, samples_of())
    opened = dataset(manifest, streaming=True)
    path = tmp_path / "arrow" / "x_00002.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SampleError, match=r"x_00002\.arrow: record batch \d+: its sha256"):
        list(opened)


def test_filters_and_kept_samples_choose_from_a_shard(tmp_path):
    _, manifest = both_forms(tmp_path, samples_of())
    chosen = dataset(manifest, filters=SampleFilters(agents=("ben",), min_timesteps=6))
    names = {name for batch in chosen for name in batch.names}
    assert names == {"x_ben_002", "x_ben_006", "x_ben_008", "x_ben_012"}
    listed = json.loads(manifest.read_text())
    listed["shards"] = listed["shards"][1:]
    listed["shards"][0]["only"] = [0, 3]
    manifest.write_text(json.dumps(listed))
    assert {name for batch in dataset(manifest) for name in batch.names} == {
        "x_ben_006",
        "x_ada_009",
        "x_ada_011",
        "x_ben_012",
    }


BAD = {
    "only": [[3, 1], [], [1, 1], [-1], ["a"], 7],
    "first_sample": [-1, "x"],
    "shard": ["a.npz", "../x.arrow", 3],
    "samples": [None, "/x.arrow"],
    "sha256": ["ab"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_what_is_not_a_shard_is_refused_with_the_place(tmp_path, key, value):
    _, manifest = both_forms(tmp_path, samples_of())
    listed = json.loads(manifest.read_text())
    listed["shards"][1][key] = value
    manifest.write_text(json.dumps(listed))
    with pytest.raises(SampleError, match=r"x_manifest\.json: shards\[1\]"):
        load_manifest(manifest)


def test_a_shard_with_other_counts_than_listed_is_refused(tmp_path):
    _, manifest = both_forms(tmp_path, samples_of())
    for change in ({"transitions": 1}, {"sample_count": 9}, {"only": [0, 99]}, {"samples_sha256": "0" * 64}):
        listed = json.loads(manifest.read_text())
        listed["shards"][0] |= change
        other = manifest.with_name("other_manifest.json")
        other.write_text(json.dumps(listed))
        with pytest.raises(SampleError, match=r"x_00001_samples\.arrow: "):
            dataset(other)


def test_duplicates_are_left_out_of_training_across_forms(tmp_path):
    npz, arrow = both_forms(tmp_path, samples_of())
    once = ReplayDataset(ReplayDatasetConfig(manifests=(arrow,), for_training=True))
    twice = ReplayDataset(ReplayDatasetConfig(manifests=(arrow, npz), for_training=True))
    assert twice.sample_count == once.sample_count
    assert "left out 12 of 24 samples, given more than once" in twice.warnings[0]


def test_several_episodes_of_a_packed_sample_are_served_apart(tmp_path):
    sample = make_sample(9)
    dones = np.isin(np.arange(9), (3, 8))
    ends = {"terminations": np.arange(9) == 3, "truncations": np.arange(9) == 8}
    sample = dataclasses.replace(sample, dones=dones, optional=sample.optional | ends)
    npz, arrow = both_forms(tmp_path, [sample])
    for for_training in (False, True):
        assert content(dataset(npz, for_training=for_training)) == content(
            dataset(arrow, for_training=for_training)
        )


def test_a_dataset_can_go_to_another_process(tmp_path):
    _, manifest = both_forms(tmp_path, samples_of())
    opened = dataset(manifest, streaming=True, memory_budget=9000)
    first = content(opened.batches(0))
    assert content(pickle.loads(pickle.dumps(opened)).batches(0)) == first


def test_too_much_for_memory_is_refused_unless_streamed(tmp_path):
    _, manifest = both_forms(tmp_path, samples_of())
    limits = ReplayDatasetConfig().limits
    small = dataclasses.replace(limits, max_memory_bytes=10000)
    with pytest.raises(InputError, match="take more than 10,000 bytes of memory"):
        dataset(manifest, limits=small)
    assert len(dataset(manifest, limits=small, streaming=True))


def test_windows_mix_the_episodes_of_the_whole_dataset(tmp_path):
    _, manifest = both_forms(tmp_path, [make_sample(9, seed=seed) for seed in range(100)], per_shard=10)
    opened = dataset(manifest, memory_budget=160000, streaming=True, batch_size=1)
    order = [int(batch.names[0][-3:]) for batch in opened.batches(0)]
    assert sorted(order) == list(range(1, 101))
    jumps = sum(abs(b - a) > 10 for a, b in pairwise(order))
    assert jumps > 50  # of 99; 82 are expected of a full shuffle


def test_validate_reads_shards_and_notices_a_changed_one(tmp_path):
    _, manifest = both_forms(tmp_path, samples_of())
    report = validate_path(tmp_path / "arrow")
    assert (report.samples, report.problems) == (12, [])
    path = tmp_path / "arrow" / "x_00001.arrow"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    (problem,) = validate_path(manifest).problems
    assert problem.file == str(path)
    assert "sha256" in problem.message


def test_shards_are_validated_alone_and_in_a_folder_without_manifest(tmp_path):
    _, manifest = both_forms(tmp_path, samples_of())
    assert validate_path(tmp_path / "arrow" / "x_00002.arrow", for_training=True).samples == 5
    assert validate_path(tmp_path / "arrow" / "x_00002_samples.arrow").samples == 5
    manifest.unlink()
    report = validate_path(tmp_path / "arrow", for_training=True)
    assert report.samples == 12
    assert ["holds 3 shards and no manifest" in problem.message for problem in report.problems] == [True]


def test_validate_names_every_damaged_shard(tmp_path):
    _, manifest = both_forms(tmp_path, samples_of())
    (tmp_path / "arrow" / "x_00001_samples.arrow").write_bytes(b"ARROW1\0\0?")
    (tmp_path / "arrow" / "x_00003.arrow").unlink()
    files = {problem.file.split("/arrow/")[1] for problem in validate_path(manifest).problems}
    assert {"x_00001_samples.arrow", "x_00003.arrow"} <= files
