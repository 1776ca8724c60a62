"""Copies are datasets of their own: metrics, totals, events and scenario of the samples that they keep."""

import json
import os
from pathlib import Path

import pytest

from townlet_core.capture.session import capture
from townlet_core.errors import InputError, SampleError
from townlet_core.handling.copying import read_samples
from townlet_core.handling.filter import filter_samples
from townlet_core.handling.refer import save_selection
from townlet_core.handling.sources import open_sources
from townlet_core.handling.writer import Form, choose_form, write_dataset
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import load_manifest, read_entry
from townlet_core.replay.selection import fingerprint


def copy(sources, output, **options):
    form = choose_form(
        sources, **{key: options.pop(key) for key in ("prefix", "format", "compression") if key in options}
    )
    return write_dataset(output, sources, read_samples(sources), form, **options)


def prints(path):
    return [fingerprint(read_entry(entry)) for entry in find_entries(path)]


def events(folder):
    return [json.loads(line) for line in (folder / "rollout_sample_events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("format", ["npz", "arrow"])
def test_a_copy_of_everything_has_the_same_events_totals_and_scenario(recorded, tmp_path, sound, format):
    written = copy(open_sources([recorded]), tmp_path / "copy", format=format)
    assert (written.samples, written.transitions, written.left_out) == (27, 1800, ())
    sound(tmp_path / "copy")
    assert prints(tmp_path / "copy") == prints(recorded)
    for name in ("rollout_sample_events.jsonl", "rollout_sample_scenario.yaml"):
        assert (tmp_path / "copy" / name).read_bytes() == (recorded / name).read_bytes()
    ours, theirs = (
        json.loads((folder / "rollout_sample_metrics.json").read_text())["total"]
        for folder in (tmp_path / "copy", recorded)
    )
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert (
        load_manifest(written.manifest).metadata == load_manifest(recorded / written.manifest.name).metadata
    )


def test_a_copy_of_npz_files_has_their_bytes(captures, tmp_path):
    copy(open_sources([captures / "npz"]), tmp_path / "copy")
    for name in os.listdir(captures / "npz"):
        if name.endswith((".npz", "_001.json", ".jsonl", ".yaml")):
            assert (tmp_path / "copy" / name).read_bytes() == (captures / "npz" / name).read_bytes()


def test_a_copy_keeps_the_events_of_its_agents_and_episodes(recorded, tmp_path, sound):
    chosen = filter_samples(open_sources([recorded]), "town == 1 and episode == 0", ["anna"])
    copy(chosen, tmp_path / "copy")
    sound(tmp_path / "copy")
    expected = [
        event
        for event in events(recorded)
        if event["town"] == 1
        and event["episode"] == 0
        and "anna" in (event.get("actor", "anna"), event.get("rival"))
    ]
    assert events(tmp_path / "copy") == expected
    assert 0 < len(expected) < len(events(recorded))


def test_a_copy_of_a_selection_has_the_events_of_the_capture_behind_it(recorded, tmp_path, sound):
    chosen = filter_samples(open_sources([recorded]), agents=["anna"])
    selection = save_selection(recorded / "anna_manifest.json", chosen, {})
    written = copy(open_sources([selection]), tmp_path / "copy", prefix="a")
    sound(tmp_path / "copy")
    assert written.left_out == ()
    assert written.manifest.name == "a_manifest.json"
    assert sorted(os.listdir(tmp_path / "copy"))[-2:] == ["a_metrics.json", "a_scenario.yaml"]


@pytest.mark.parametrize("compression", ["stored", "deflated", "zstd", "lz4", "none"])
def test_the_compression_is_chosen_and_the_content_stays(recorded, tmp_path, sound, compression):
    format = "npz" if compression in ("stored", "deflated") else "arrow"
    chosen = filter_samples(open_sources([recorded]), "town == 0")
    copy(chosen, tmp_path / "copy", format=format, compression=compression)
    sound(tmp_path / "copy")
    assert prints(tmp_path / "copy") == prints(recorded)[:9]


def test_older_samples_are_copied_as_they_are(tmp_path):
    older = "tests/data/reference/captures/two_step/observation_hybrid_sample_base.npz"
    written = copy(open_sources([older]), tmp_path / "copy")
    (entry,) = load_manifest(written.manifest).entries
    assert entry.sample.read_bytes() == Path(older).read_bytes()
    assert written.left_out == ("no event log: " + f"{older} has none",)


def test_towns_of_several_captures_have_no_common_event_log(captures, tmp_path, sound):
    capture("queue_conflict", tmp_path / "other", seed=8)
    written = copy(open_sources([captures / "npz", tmp_path / "other"]), tmp_path / "copy")
    sound(tmp_path / "copy")
    assert written.left_out == ("no event log: town 0 is in several captures",)
    metadata = load_manifest(written.manifest).metadata
    assert metadata["capture"]["scenario"] == "queue_conflict"
    assert "seed" not in metadata["capture"]
    assert (tmp_path / "copy" / "rollout_sample_scenario.yaml").exists()


def test_mixed_forms_need_a_choice_and_unknown_values_are_refused(captures):
    mixed = open_sources([captures])
    with pytest.raises(InputError, match="some samples are packed"):
        choose_form(mixed)
    assert choose_form(mixed, format="arrow") == Form("rollout_sample", "arrow", None)
    for options, message in (
        ({"format": "zip"}, "--format: 'zip', expected npz or arrow"),
        (
            {"format": "npz", "compression": "zstd"},
            "--compression: 'zstd', expected for npz: stored, deflated",
        ),
        ({"format": "npz", "prefix": "a/b"}, "--prefix: 'a/b'"),
    ):
        with pytest.raises(InputError) as refusal:
            choose_form(mixed, **options)
        assert message in str(refusal.value)


def test_an_output_is_replaced_only_with_force_and_only_if_it_is_a_dataset(recorded, tmp_path):
    sources = open_sources([recorded])
    copy(sources, tmp_path / "copy")
    with pytest.raises(InputError, match="already exists"):
        copy(sources, tmp_path / "copy")
    copy(filter_samples(sources, agents=["ben"]), tmp_path / "copy", force=True)
    assert len(find_entries(tmp_path / "copy")) == 9
    (tmp_path / "copy" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes\.txt"):
        copy(sources, tmp_path / "copy", force=True)
    assert len(find_entries(tmp_path / "copy")) == 9
    with pytest.raises(InputError, match="which is to be copied"):
        copy(sources, recorded, force=True)


@pytest.mark.parametrize("force", [False, True])
def test_a_link_to_a_folder_stays_and_its_target_gets_the_dataset(recorded, tmp_path, force):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    sources = open_sources([recorded])
    for again in (False, True)[: 1 + force]:
        copy(sources, tmp_path / "link", force=again, format="npz")
    assert (tmp_path / "link").is_symlink()
    assert len(find_entries(tmp_path / "target")) == 27


def test_the_current_folder_can_be_the_output(recorded, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    copy(open_sources([recorded]), ".")
    assert len(find_entries(tmp_path / "here")) == 27


def test_a_damaged_sample_leaves_nothing_behind(captures, recorded, tmp_path):
    victim = sorted(recorded.glob("*.npz") or recorded.glob("*_00001.arrow"))[-1:] or [
        recorded / "rollout_sample_00001.arrow"
    ]
    data = bytearray(victim[0].read_bytes())
    data[len(data) // 2] ^= 255
    victim[0].write_bytes(bytes(data))
    with pytest.raises(SampleError):
        copy(open_sources([recorded]), tmp_path / "copy")
    assert sorted(os.listdir(tmp_path)) == ["recorded"]
