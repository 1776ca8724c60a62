"""Exports for Hugging Face datasets load with load_from_disk, with LeRobot's names."""

import json
import math

import datasets
import numpy as np
import pytest
from recordings import FORMS, SAMPLES, record

from townlet_core.exchange import huggingface
from townlet_core.exchange.huggingface import LEROBOT, export_huggingface


@pytest.mark.parametrize("form", FORMS)
def test_every_array_comes_back_under_lerobots_names(tmp_path, form, monkeypatch):
    monkeypatch.setattr(huggingface, "PART_ROWS", 10)
    export_huggingface(record(tmp_path / "data", form), tmp_path / "out")
    found = datasets.load_from_disk(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("data-*.arrow"))) == 2
    rows = found.with_format("numpy")[:]
    for name, array in SAMPLES[0].arrays().items():
        expected = np.concatenate([sample.arrays()[name][: sample.timesteps] for sample in SAMPLES])
        assert np.array_equal(rows[LEROBOT.get(name, name)].reshape(-1, *array.shape[1:]), expected)
    assert rows["index"].tolist() == list(range(21))
    assert rows["frame_index"].tolist() == [*range(5), *range(7), *range(4), *range(5)]
    assert rows["timestamp"].tolist() == rows["frame_index"].tolist()
    assert rows["next.terminated"].sum() + rows["next.truncated"].sum() == rows["next.done"].sum() == 3
    assert found.features["observation.map"] == datasets.Array3D(SAMPLES[0].map.shape[1:], "uint8")


def test_a_row_is_an_observation_for_torch(tmp_path):
    export_huggingface(record(tmp_path / "data", "npz"), tmp_path / "out")
    row = datasets.load_from_disk(tmp_path / "out").with_format("torch")[6]
    assert np.array_equal(row["observation.map"], SAMPLES[1].map[1])
    assert np.array_equal(row["observation.state"], SAMPLES[1].features[1])
    assert row["action"] == SAMPLES[1].actions[1]


def test_meta_says_what_is_there(tmp_path):
    export_huggingface(record(tmp_path / "data", "packed"), tmp_path / "out")
    info = json.loads((tmp_path / "out" / "meta" / "info.json").read_text())
    found = datasets.load_from_disk(tmp_path / "out")
    assert (info["total_episodes"], info["total_frames"], info["splits"]) == (4, 21, {"train": "0:4"})
    assert list(info["features"]) == found.column_names
    first = found.with_format("numpy")[0]
    assert all(np.size(first[name]) == math.prod(told["shape"]) for name, told in info["features"].items())
    assert info["features"]["observation.state"]["names"] == list(SAMPLES[0].feature_names)
    lines = [json.loads(line) for line in (tmp_path / "out" / "meta" / "episodes.jsonl").open()]
    assert [(line["episode_index"], line["length"], line["agent_id"]) for line in lines] == [
        (0, 5, "ada"),
        (1, 7, "bob"),
        (2, 4, "ada"),
        (3, 5, "cy"),
    ]
    assert lines[0]["tasks"] == ["test"]


def test_an_export_has_the_same_bytes_again(tmp_path):
    manifest = record(tmp_path / "data", "npz")
    for name in ("one", "two"):
        export_huggingface(manifest, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 7
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)
