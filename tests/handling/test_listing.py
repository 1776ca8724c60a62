"""Listing what lies below folders."""

import json

import pytest

from townlet_core.errors import MissingError
from townlet_core.handling.filter import filter_samples
from townlet_core.handling.listing import list_datasets
from townlet_core.handling.refer import save_selection
from townlet_core.handling.sources import open_sources


def test_a_capture_is_listed_with_origin_counts_form_and_bytes(recorded):
    form = "npz stored" if list(recorded.glob("*.npz")) else "arrow zstd"
    listing = list_datasets([recorded])
    (one,) = listing.datasets
    assert one.path == str(recorded / "rollout_sample_manifest.json")
    assert (one.kind, one.scenario, one.policy, one.seed, one.towns) == (
        "capture",
        "queue_conflict",
        "scripted",
        7,
        3,
    )
    assert (one.samples, one.transitions, one.form, one.problem) == (27, 1800, form, None)
    assert one.bytes == listing.bytes == sum(file.stat().st_size for file in recorded.iterdir())


def test_a_selection_is_listed_and_its_files_count_once(recorded):
    chosen = filter_samples(open_sources([recorded]), agents=["ben"])
    path = save_selection(recorded / "ben_manifest.json", chosen, {})
    listing = list_datasets([recorded])
    ben = listing.datasets[0]
    assert (ben.path, ben.kind, ben.samples, ben.transitions) == (str(path), "selection", 9, 600)
    assert listing.bytes == sum(file.stat().st_size for file in recorded.iterdir())


def test_samples_without_a_manifest_are_listed_by_folder(recorded):
    (recorded / "rollout_sample_manifest.json").unlink()
    (one,) = list_datasets([recorded]).datasets
    assert (one.path, one.kind, one.samples, one.transitions) == (str(recorded), "unlisted", 27, 1800)


def test_older_captures_are_listed_without_what_they_do_not_say():
    found = list_datasets(["tests/data/reference/captures"]).datasets
    assert [one.samples for one in found if one.kind == "capture"] == [2, 1, 3, 2, 3]
    assert {(one.scenario, one.seed, one.form) for one in found if one.kind == "capture"} >= {
        (None, None, "npz stored")
    }


def test_damage_is_listed_as_a_problem(recorded):
    (recorded / "broken_manifest.json").write_text(json.dumps({"samples": ["gone.npz"]}))
    broken, sound = list_datasets([recorded]).datasets
    assert broken.problem == f"{recorded / 'gone.npz'}: no such file"
    assert sound.samples == 27


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    assert list_datasets([tmp_path]).datasets == []
    with pytest.raises(MissingError):
        list_datasets([tmp_path / "x"])
