"""Slices: which ticks they hold, what bootstraps them, and what their metadata says."""

import json

import numpy as np
import pytest

from townlet_core.errors import InputError
from townlet_core.handling.events import first_tick
from townlet_core.handling.slice import TickRange, parse_ticks, slice_sample, slice_samples
from townlet_core.handling.sources import open_sources
from townlet_core.handling.writer import Form, choose_form, write_dataset
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import read_entry
from townlet_core.replay.metrics import sample_metrics

NPZ = Form()


def samples_of(folder):
    return [read_entry(entry) for entry in find_entries(folder)]


def cut(folder, ticks, output, form=NPZ):
    sources = open_sources([folder])
    return write_dataset(output, sources, slice_samples(sources, parse_ticks(ticks)), form)


@pytest.mark.parametrize(
    ("text", "ticks"),
    [(":", (0, None)), ("100:", (100, None)), (":300", (0, 300)), ("100:300", (100, 300))],
)
def test_ticks_are_written_as_start_and_stop(text, ticks):
    assert parse_ticks(text) == TickRange(*ticks)


@pytest.mark.parametrize("text", ["", "5", "-1:", "3:3", "5:2", "1:2:3", "a:b", "1 :2", "9" * 20 + ":"])
def test_other_ticks_are_refused(text):
    with pytest.raises(InputError, match="--ticks: "):
        parse_ticks(text)


def test_a_slice_holds_the_ticks_of_the_town_with_all_agents(recorded, tmp_path, sound):
    written = cut(recorded, "70:170", tmp_path / "cut")
    sound(tmp_path / "cut")
    cuts = samples_of(tmp_path / "cut")
    spans = [
        (one.metadata["capture"]["episode"], one.metadata["capture"]["first_frame"], one.timesteps)
        for one in cuts
    ]
    assert spans == [(0, 70, 10), (1, 80, 80), (2, 160, 10)] * 9
    assert written.transitions == 900
    originals = samples_of(recorded)
    for before, after in zip(originals, cuts, strict=True):
        start = after.metadata["capture"]["first_frame"] - before.metadata["capture"]["first_frame"]
        for name, array in after.arrays().items():
            if name != "value_preds":
                np.testing.assert_array_equal(array, before.arrays()[name][start : start + after.timesteps])
        assert after.metadata["metrics"] == sample_metrics(after)
        assert after.metadata["frame_count"] == after.metadata["value_pred_steps"] - 1 == after.timesteps


def test_the_next_recorded_value_bootstraps_a_cut_and_the_ends_keep_theirs(recorded):
    sample = samples_of(recorded)[0]
    values = np.arange(1, 82, dtype=np.float32)
    sample = type(sample)(**{**sample.__dict__, "value_preds": values})
    assert slice_sample(sample, 10, 20).value_preds.tolist() == values[10:21].tolist()
    assert slice_sample(sample, 10, 80).value_preds.tolist() == values[10:81].tolist()
    assert not slice_sample(sample, 10, 20).dones.any()
    assert slice_sample(sample, 10, 80).dones[-1]


@pytest.mark.parametrize(("end", "bootstrap"), [("terminations", 0.0), ("truncations", 5.0)])
def test_a_cut_at_the_end_of_an_episode_inside_a_sample_does_not_read_the_next_one(recorded, end, bootstrap):
    sample = samples_of(recorded)[0]
    values = np.arange(81, dtype=np.float32)
    ended = {name: np.zeros(80, bool) for name in ("terminations", "truncations")}
    ended[end][5] = True
    changed = {"value_preds": values, "dones": ended[end], "optional": sample.optional | ended}
    sample = type(sample)(**{**sample.__dict__, **changed})
    assert slice_sample(sample, 0, 6).value_preds.tolist() == [0, 1, 2, 3, 4, 5, bootstrap]
    assert slice_sample(sample, 0, 7).value_preds.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("format", ["npz", "arrow"])
def test_slices_of_slices_keep_their_events(recorded, tmp_path, sound, format):
    cut(recorded, "90:190", tmp_path / "once", Form(format=format))
    written = cut(tmp_path / "once", "100:150", tmp_path / "twice", Form(format=format))
    sound(tmp_path / "twice")
    assert written.left_out == ()
    lines = (tmp_path / "twice" / "rollout_sample_events.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    expected = [
        event
        for event in map(json.loads, (recorded / "rollout_sample_events.jsonl").read_text().splitlines())
        if event["episode"] == 1 and 20 <= event["tick"] < 70
    ]
    assert found == expected != []


def test_the_first_tick_of_a_slice_is_known_from_its_features(recorded):
    sample = samples_of(recorded)[1]
    assert sample.metadata["capture"]["episode"] == 1
    for start in (0, 1, 37, 78):
        assert first_tick(slice_sample(sample, start, 80)) == start
    assert first_tick(slice_sample(sample, 37, 38)) is None
    assert first_tick(slice_sample(samples_of(recorded)[0], 37, 38)) == 37


def test_single_ticks_of_a_later_episode_have_no_event_log_and_it_is_said(recorded, tmp_path, sound):
    written = cut(recorded, "100:101", tmp_path / "cut")
    sound(tmp_path / "cut")
    assert written.left_out == (
        f"no event log: the samples of {recorded}/rollout_sample_manifest.json do not say their ticks",
    )


def test_ticks_that_no_sample_has_are_an_error_that_leaves_nothing(recorded, tmp_path):
    with pytest.raises(InputError, match="no samples are left"):
        cut(recorded, "500:", tmp_path / "cut")
    assert not (tmp_path / "cut").exists()


def test_older_samples_are_cut_from_their_own_first_tick(tmp_path, sound):
    folder = "tests/data/reference/captures/rivalry_decay"
    sources = open_sources([folder])
    write_dataset(tmp_path / "cut", sources, slice_samples(sources, TickRange(10, 30)), choose_form(sources))
    assert [one.timesteps for one in samples_of(tmp_path / "cut")] == [20, 20]
