"""Joining datasets: what fits, what is there twice, and what the result is called."""

import pytest

from townlet_core.capture.session import capture
from townlet_core.errors import SampleError
from townlet_core.handling.filter import filter_samples
from townlet_core.handling.merge import Merge
from townlet_core.handling.sources import open_sources
from townlet_core.handling.split import split_samples
from townlet_core.handling.writer import Form, write_dataset
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import load_manifest, read_entry
from townlet_core.replay.selection import fingerprint


def merge(paths, output, format="npz"):
    sources = open_sources(paths)
    merged = Merge(sources)
    return write_dataset(output, sources, merged, Form(format=format)), merged


def prints(path):
    return {fingerprint(read_entry(entry)) for entry in find_entries(path)}


@pytest.mark.parametrize("format", ["npz", "arrow"])
def test_the_parts_of_a_split_merge_to_what_was_split(recorded, tmp_path, sound, format):
    sources = open_sources([recorded])
    for name, part in split_samples(sources, 0.4).items():
        write_dataset(tmp_path / name, part, Merge(part), Form(format=format))
        sound(tmp_path / name)
    written, merged = merge([tmp_path / "train", tmp_path / "validation"], tmp_path / "all", format)
    sound(tmp_path / "all")
    assert prints(tmp_path / "all") == prints(recorded)
    assert merged.duplicates == []
    assert written.left_out == ()
    ours = load_manifest(written.manifest).metadata
    assert ours == load_manifest(recorded / "rollout_sample_manifest.json").metadata


def test_a_recording_that_is_there_twice_is_kept_once_and_named(captures, tmp_path, sound):
    written, merged = merge([captures / "npz", captures / "arrow"], tmp_path / "all")
    sound(tmp_path / "all")
    assert written.samples == 27
    assert len(merged.duplicates) == 27
    assert merged.duplicates[0] == (
        str(captures / "arrow" / "rollout_sample_00001.arrow" / "rollout_sample_anna_001.npz"),
        str(captures / "npz" / "rollout_sample_anna_001.npz"),
    )
    log = "rollout_sample_events.jsonl"
    assert (tmp_path / "all" / log).read_bytes() == (captures / "npz" / log).read_bytes()


def test_equal_names_are_numbered_anew(captures, tmp_path, sound):
    capture("queue_conflict", tmp_path / "other", seed=8)
    written, _ = merge([captures / "npz", tmp_path / "other"], tmp_path / "all")
    sound(tmp_path / "all")
    names = [entry.name for entry in load_manifest(written.manifest).entries]
    assert names[-3:] == [
        f"rollout_sample_{agent}_0{n}.npz" for agent, n in (("anna", 28), ("ben", 29), ("cara", 30))
    ]


def test_samples_that_do_not_fit_are_refused_with_both_names_and_what_differs(captures, tmp_path):
    older = "tests/data/reference/captures/rivalry_decay"
    with pytest.raises(SampleError) as refusal:
        merge([captures / "npz", older], tmp_path / "all")
    message = str(refusal.value)
    assert f"{captures}/npz/rollout_sample_anna_001.npz and {older}/rollout_sample_finn_001.npz" in message
    assert "features: only in the first: " in message
    assert not (tmp_path / "all").exists()


def test_rewards_of_other_scenarios_are_a_warning(captures, tmp_path):
    capture("rivalry_decay", tmp_path / "other")
    sources = filter_samples(open_sources([captures / "npz", tmp_path / "other"]), agents=["anna", "finn"])
    merged = Merge(sources)
    list(merged)
    (warning,) = merged.warnings()
    assert "was recorded in queue_conflict" in warning
    assert "rivalry_decay" in warning
