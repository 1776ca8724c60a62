"""Parquet exports hold what the samples hold, appear whole, and open in other libraries."""

import dataclasses
import weakref

import duckdb
import numpy as np
import polars
import pyarrow.parquet as pq
import pytest
from recordings import FORMS, SAMPLES, ending, record
from replay.replay_samples import make_sample

from townlet_core.errors import DiskError, InputError, SampleError
from townlet_core.exchange import episodes, export, parquet
from townlet_core.exchange.parquet import export_parquet


def column(table, name, shape=()):
    values = table.column(name).combine_chunks()
    flat = values.flatten() if shape else values
    return flat.to_numpy(zero_copy_only=False).reshape(-1, *shape)


@pytest.mark.parametrize("form", FORMS)
def test_every_array_comes_back_as_it_was(tmp_path, form):
    written = export_parquet(record(tmp_path / "data", form), tmp_path / "out")
    ticks = sum(sample.timesteps for sample in SAMPLES)
    assert (written["episodes"], written["transitions"]) == (len(SAMPLES), ticks)
    table = pq.read_table(tmp_path / "out" / "data")
    for name, array in SAMPLES[0].arrays().items():
        expected = np.concatenate([sample.arrays()[name][: sample.timesteps] for sample in SAMPLES])
        found = column(table, name, array.shape[1:])
        assert np.array_equal(found, expected)
        assert found.dtype == ("uint8" if name == "map" else array.dtype)
    assert column(table, "episode_index").tolist() == [0] * 5 + [1] * 7 + [2] * 4 + [3] * 5
    assert column(table, "tick").tolist() == [*range(5), *range(7), *range(4), *range(5)]
    assert set(table.column("scenario").to_pylist()) == {"test"}


@pytest.mark.parametrize("form", FORMS)
def test_the_table_of_episodes_says_who_where_and_how_it_ended(tmp_path, form):
    export_parquet(record(tmp_path / "data", form), tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "episodes.parquet").to_pylist()
    assert [row["agent_id"] for row in rows] == ["ada", "bob", "ada", "cy"]
    assert [row["town"] for row in rows] == [0, 1, 2, 3]
    assert [row["ending"] for row in rows] == ["truncated", "terminated", "unfinished", "terminated"]
    assert [row["length"] for row in rows] == [5, 7, 4, 5]
    assert rows[1]["sample"] == "x_bob_002.npz"
    assert rows[2]["last_value_pred"] == SAMPLES[2].value_preds[-1]


def test_npz_and_packed_samples_give_the_same_tables(tmp_path):
    for form in FORMS:
        export_parquet(record(tmp_path / form, form), tmp_path / f"{form}_out")
    for name in ("data", "episodes.parquet"):
        npz, packed = (pq.read_table(tmp_path / f"{form}_out" / name) for form in FORMS)
        assert npz.equals(packed, check_metadata=True)


def test_polars_and_duckdb_read_it(tmp_path):
    export_parquet(record(tmp_path / "data", "npz"), tmp_path / "out")
    frame = polars.read_parquet(tmp_path / "out" / "data")
    assert frame["features"].dtype == polars.Array(polars.Float32, len(SAMPLES[0].feature_names))
    by_agent = duckdb.sql(
        f"select agent_id, sum(rewards) from '{tmp_path}/out/data/*.parquet' group by 1 order by 1"
    ).fetchall()
    ada = SAMPLES[0].rewards.sum(dtype=float) + SAMPLES[2].rewards.sum(dtype=float)
    assert by_agent[0] == ("ada", pytest.approx(ada))


def test_row_groups_and_files_are_bounded_and_few_samples_are_held(tmp_path, monkeypatch):
    samples = [make_sample(10, seed=seed) for seed in range(30)]
    manifest = record(tmp_path / "data", "npz", samples)
    monkeypatch.setattr(parquet, "ROW_GROUP", 40)
    monkeypatch.setattr(parquet, "PART_ROWS", 120)
    held, most = weakref.WeakSet(), []
    read = episodes.read_entry

    def read_and_count(*arguments):
        sample = read(*arguments)
        held.add(sample)
        most.append(len(held))
        return sample

    monkeypatch.setattr(episodes, "read_entry", read_and_count)
    export_parquet(manifest, tmp_path / "out")
    files = sorted((tmp_path / "out" / "data").iterdir())
    assert [pq.ParquetFile(file).metadata.num_rows for file in files] == [120, 120, 60]
    assert [pq.ParquetFile(file).metadata.num_row_groups for file in files] == [3, 3, 2]
    assert max(most) <= 3


@pytest.mark.parametrize("form", FORMS)
def test_a_card_says_who_was_recorded(tmp_path, form):
    export_parquet(record(tmp_path / "data", form), tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n- config_name: ticks\n")
    assert "21 transitions in 4 episodes, of 3 agents" in card
    assert 'rows = pandas.read_parquet("data")' in card


def test_a_map_of_other_numbers_is_float32_in_all_files(tmp_path):
    other = dataclasses.replace(SAMPLES[1], map=SAMPLES[1].map * np.float32(0.5))
    export_parquet(record(tmp_path / "data", "npz", [SAMPLES[0], other]), tmp_path / "out")
    found = column(pq.read_table(tmp_path / "out" / "data"), "map", SAMPLES[0].map.shape[1:])
    assert found.dtype == np.float32
    assert np.array_equal(found[5:], other.map)


def test_a_sample_of_two_episodes_gives_two(tmp_path):
    dones = np.array([False, True, False, False, True])
    ends = {"terminations": dones, "truncations": np.zeros(5, bool)}
    both = ending(SAMPLES[0], "terminated")
    both = dataclasses.replace(both, dones=dones, optional=both.optional | ends)
    export_parquet(record(tmp_path / "data", "npz", [both]), tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "episodes.parquet").to_pylist()
    assert [(row["length"], row["first_frame"], row["last_value_pred"]) for row in rows] == [
        (2, 0, 0),
        (3, 2, both.value_preds[-1]),
    ]


def test_what_is_there_is_refused_and_an_export_replaced_with_force(tmp_path):
    manifest, out = record(tmp_path / "data", "npz"), tmp_path / "out"
    export_parquet(manifest, out)
    with pytest.raises(InputError, match="already exists"):
        export_parquet(manifest, out)
    export_parquet(record(tmp_path / "other", "npz", SAMPLES[:1]), out, force=True)
    assert pq.read_table(out / "episodes.parquet").num_rows == 1
    (out / "diary.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds more than Townlet wrote there \(diary\.txt\)"):
        export_parquet(manifest, out, force=True)
    assert (out / "diary.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "other", "out"]


def test_a_folder_without_the_mark_of_an_export_is_not_replaced(tmp_path):
    (tmp_path / "out" / "data").mkdir(parents=True)
    with pytest.raises(InputError, match=r"and no townlet_export\.json"):
        export_parquet(record(tmp_path / "x", "npz"), tmp_path / "out", force=True)
    assert (tmp_path / "out" / "data").is_dir()


def test_damage_in_the_middle_leaves_nothing(tmp_path):
    manifest = record(tmp_path / "data", "npz")
    (tmp_path / "data" / "x_ada_003.npz").write_bytes(b"PK")
    with pytest.raises(SampleError, match=r"x_ada_003\.npz"):
        export_parquet(manifest, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_an_error_of_the_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    manifest = record(tmp_path / "data", "packed")
    monkeypatch.setattr(export.io, "write_json", full)
    with pytest.raises(DiskError, match=r"out: No space left on device"):
        export_parquet(manifest, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_samples_with_other_arrays_are_refused_and_both_named(tmp_path):
    optional = {name: array for name, array in SAMPLES[1].optional.items() if name != "action_mask"}
    listed = [name for name in SAMPLES[1].metadata["training_arrays"] if name != "action_mask"]
    without = dataclasses.replace(
        SAMPLES[1], optional=optional, metadata=SAMPLES[1].metadata | {"training_arrays": listed}
    )
    manifest = record(tmp_path / "data", "npz", [SAMPLES[0], without])
    with pytest.raises(SampleError, match=r"x_ada_001\.npz and .*x_bob_002\.npz do not fit .*action_mask"):
        export_parquet(manifest, tmp_path / "out")
