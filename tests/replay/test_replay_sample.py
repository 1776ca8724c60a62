"""A sample is written reproducibly, read back whole, and refused with one sentence when a rule is broken."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_samples import equal, make_sample

from townlet_core import io
from townlet_core.errors import InputError, MissingError, SampleError
from townlet_core.replay.format import REQUIRED_KEYS
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.sample import examine_sample, load_sample, reload_sample, save_sample
from townlet_core.vocab import ACTION_LOOKUP


def with_arrays(sample, **arrays):
    """Return the sample with some arrays replaced, training and optional ones alike."""
    optional = {name: array for name, array in arrays.items() if name in sample.optional}
    training = {name: array for name, array in arrays.items() if name not in sample.optional}
    return dataclasses.replace(sample, **training, optional=sample.optional | optional)


@settings(max_examples=20)
@given(ticks=st.integers(1, 30), seed=st.integers(0, 1000), compress=st.booleans())
def test_a_saved_sample_loads_equal(tmp_path_factory, ticks, seed, compress):
    folder, sample = tmp_path_factory.mktemp("s"), make_sample(ticks, seed=seed)
    save_sample(sample, folder, "a", compress)
    loaded, warnings = load_sample(folder / "a.npz")
    assert equal(loaded, sample)
    assert warnings == [] or ticks == 1


def test_equal_samples_are_equal_files_whatever_the_order_of_keys(tmp_path):
    sample = make_sample()
    turned = dataclasses.replace(
        sample,
        metadata=dict(reversed(sample.metadata.items())),
        optional=dict(reversed(sample.optional.items())),
    )
    for compress in (False, True):
        assert (
            save_sample(sample, tmp_path, "a", compress)["sha256"]
            == save_sample(turned, tmp_path, "b", compress)["sha256"]
        )
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_the_manifest_entry_tells_the_file_as_it_is(tmp_path):
    entry = save_sample(make_sample(7, "ben"), tmp_path, "rollout_sample_ben_002")
    data = (tmp_path / "rollout_sample_ben_002.npz").read_bytes()
    meta = (tmp_path / "rollout_sample_ben_002.json").read_bytes()
    assert entry == {
        "sample": "rollout_sample_ben_002.npz",
        "meta": "rollout_sample_ben_002.json",
        "agent_id": "ben",
        "frame_count": 7,
        "sha256": io.sha256(data),
        "bytes": len(data),
        "meta_sha256": io.sha256(meta),
        "meta_bytes": len(meta),
    }


def test_numpy_reads_what_we_write(tmp_path):
    sample = make_sample()
    for compress in (False, True):
        save_sample(sample, tmp_path, "a", compress)
        with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
            assert list(file) == list(sample.arrays())
            assert all(np.array_equal(file[name], array) for name, array in sample.arrays().items())


def test_we_read_what_numpy_writes(tmp_path):
    sample = make_sample()
    save_sample(sample, tmp_path, "a")
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **sample.arrays() | {"map": np.asfortranarray(sample.map)})
        assert equal(load_sample(tmp_path / "a.npz")[0], sample)


def test_stored_arrays_are_used_where_they_lie_in_the_file(tmp_path):
    save_sample(make_sample(), tmp_path, "a")
    arrays = load_sample(tmp_path / "a.npz")[0].arrays()
    assert all(not array.flags.owndata and array.flags.aligned for array in arrays.values())


def test_reading_again_gives_the_same_arrays(tmp_path):
    sample = make_sample()
    save_sample(sample, tmp_path, "a")
    assert equal(reload_sample(tmp_path / "a.npz", sample.metadata), sample)


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


RULES = {
    "rewards has 4 ticks, expected 5": lambda s: {"rewards": s.rewards[:4]},
    "value_preds has 5 entries, expected 6 one more": lambda s: {"value_preds": s.value_preds[:5]},
    "rewards is 1-dimensional float64, expected float32": lambda s: {"rewards": s.rewards.astype(np.float64)},
    "map is 3-dimensional float32, expected float32": lambda s: {"map": s.map[:, 0]},
    r"features is NaN or infinite at 1 of 5 ticks, first at tick 3": lambda s: {
        "features": changed(s.features, (3, 0), np.nan)
    },
    "value_preds is NaN or infinite at 1 of 6": lambda s: {"value_preds": changed(s.value_preds, 5, np.inf)},
    r"actions has id 9 at tick 2, expected 0 to 8": lambda s: {"actions": changed(s.actions, 2, 9)},
    r"actions has id -1 at tick 0": lambda s: {"actions": changed(s.actions, 0, -1)},
    "action_mask forbids action": lambda s: {"action_mask": np.zeros_like(s.optional["action_mask"])},
    "action_mask has 8 columns, action_dim is 9": lambda s: {"action_mask": s.optional["action_mask"][:, :8]},
    "old_log_probs is 0.5 at tick 1": lambda s: {"old_log_probs": changed(s.old_log_probs, 1, 0.5)},
    "dones at tick 2 is not exactly one": lambda s: {"dones": changed(s.dones, 2, True)},
}


@pytest.mark.parametrize("sentence", RULES)
def test_a_broken_rule_is_one_sentence_on_the_way_out_and_on_the_way_in(tmp_path, sentence):
    sample = make_sample()
    broken = with_arrays(sample, **RULES[sentence](sample))
    with pytest.raises(SampleError, match=sentence):
        save_sample(broken, tmp_path, "a")
    assert not list(tmp_path.iterdir())
    save_sample(sample, tmp_path, "a")
    np.savez(tmp_path / "a.npz", **broken.arrays())
    with pytest.raises(SampleError, match=rf"a\.npz: {sentence}"):
        load_sample(tmp_path / "a.npz")


METADATA_RULES = {
    "timesteps is 6, the arrays say 5": {"timesteps": 6},
    r"map_shape is \[4, 9, 9\], the arrays say \[4, 11, 11\]": {"map_shape": [4, 9, 9]},
    "feature_names names 2, the array has": {"feature_names": ["a", "b"]},
    "feature_names is not a list of": {"feature_names": ["a", "a"]},
    "schema_version is '3.0', expected": {"schema_version": "3.0"},
    "variant is 'full', expected 'hybrid'": {"variant": "full"},
    "reward_terms names 2, the array has 8": {"reward_terms": ["wages", "clipped"]},
    "reward_terms is not a list of": {"reward_terms": ["wages"] * 8},
    "action_lookup is not the fixed vocabulary: only in this version of Townlet: chat": {
        "action_lookup": {name: i for name, i in ACTION_LOOKUP.items() if name != "chat"}
    },
    "action_lookup is not the fixed vocabulary: only in the sample: jump": {
        "action_lookup": ACTION_LOOKUP | {"jump": 9},
        "action_dim": 10,
    },
    "action_lookup is not the fixed vocabulary: another order: number 1 is north in this version of Townlet, "
    "south in the sample": {"action_lookup": ACTION_LOOKUP | {"north": 3, "south": 1}},
    "action_dim is 10, expected 9": {"action_dim": 10},
    r"agent_id is '\.\./a b'": {"agent_id": "../a b"},
    "training_arrays lists 'colour'": {"training_arrays": ["colour"]},
    "metrics are not finite numbers": {"metrics": {"reward_sum": None}},
}


def test_metrics_that_json_cannot_hold_are_not_written(tmp_path):
    sample = make_sample()
    sample.metadata["metrics"]["reward_sum"] = float("nan")
    with pytest.raises(SampleError, match="metrics are not finite numbers"):
        save_sample(sample, tmp_path, "a")


@pytest.mark.parametrize("sentence", METADATA_RULES)
def test_metadata_that_contradicts_the_arrays_is_refused(tmp_path, sentence):
    sample = make_sample()
    save_sample(sample, tmp_path, "a")
    io.write_json(tmp_path / "a.json", sample.metadata | METADATA_RULES[sentence])
    with pytest.raises(SampleError, match=rf"a\.json: {sentence}"):
        load_sample(tmp_path / "a.npz")


@pytest.mark.parametrize("key", REQUIRED_KEYS)
def test_every_key_of_the_metadata_is_needed(tmp_path, key):
    sample = make_sample()
    save_sample(sample, tmp_path, "a")
    io.write_json(tmp_path / "a.json", {k: v for k, v in sample.metadata.items() if k != key})
    with pytest.raises(SampleError, match=rf"a\.json: has no {key}"):
        load_sample(tmp_path / "a.npz")


def test_all_broken_rules_are_collected(tmp_path):
    sample = make_sample()
    save_sample(sample, tmp_path, "a")
    arrays = sample.arrays() | {"rewards": sample.rewards[:4], "dones": sample.dones[:3]}
    np.savez(tmp_path / "a.npz", **arrays)
    _, found = examine_sample(tmp_path / "a.npz")
    assert [(finding.severity, finding.place) for finding in found] == [
        ("problem", "rewards"),
        ("problem", "dones"),
    ]
    with pytest.raises(SampleError, match=r"and 1 more"):
        load_sample(tmp_path / "a.npz")


def test_missing_files_and_bad_names_are_said(tmp_path):
    with pytest.raises(MissingError, match=r"a\.npz: no such file"):
        load_sample(tmp_path / "a.npz")
    with pytest.raises(InputError, match="is not a file"):
        load_sample(tmp_path)
    save_sample(make_sample(), tmp_path, "a")
    (tmp_path / "a.json").unlink()
    with pytest.raises(MissingError, match=r"a\.json: no such file"):
        load_sample(tmp_path / "a.npz")
    with pytest.raises(InputError, match="expected 1 to 200 letters"):
        save_sample(make_sample(), tmp_path, "../a")


WEAKNESSES = {
    "rewards are 0.5 at every tick": lambda s: {"rewards": np.full(5, 0.5, np.float32)},
    "old_log_probs are all 0": lambda s: {"old_log_probs": np.zeros(5, np.float32)},
    "reward_terms do not sum": lambda s: {"rewards": s.rewards + np.arange(5, dtype=np.float32)},
}


@pytest.mark.parametrize("sentence", WEAKNESSES)
def test_a_weakness_is_a_warning_and_the_sample_loads(tmp_path, sentence):
    sample = make_sample()
    save_sample(with_arrays(sample, **WEAKNESSES[sentence](sample)), tmp_path, "a")
    _, warnings = load_sample(tmp_path / "a.npz")
    assert any(sentence in warning for warning in warnings)


def test_map_channels_are_limited_also_where_nobody_names_them(tmp_path):
    sample = dataclasses.replace(make_sample(), optional={})
    np.savez(tmp_path / "a.npz", **sample.arrays() | {"features": sample.features[:, :2]})
    io.write_json(tmp_path / "a.json", {"feature_names": ["x", "y"]})
    load_sample(tmp_path / "a.npz", limits=ReadLimits(max_features=4))
    with pytest.raises(SampleError, match="map has 4 columns, expected at most 3"):
        load_sample(tmp_path / "a.npz", limits=ReadLimits(max_features=3))


def test_dones_that_do_not_say_how_it_ended_are_a_weakness(tmp_path):
    sample = dataclasses.replace(make_sample(), optional={})
    del sample.metadata["training_arrays"][5:]
    save_sample(sample, tmp_path, "a")
    _, warnings = load_sample(tmp_path / "a.npz")
    assert any("dones do not say what ended in a termination" in warning for warning in warnings)


def test_an_end_in_the_middle_is_no_weakness_if_it_says_what_it_is(tmp_path):
    sample = make_sample()
    ends = {
        "truncations": changed(sample.optional["truncations"], 1, True),
        "dones": changed(sample.dones, 1, True),
    }
    save_sample(with_arrays(sample, **ends), tmp_path, "a")
    assert load_sample(tmp_path / "a.npz")[1] == []


@pytest.mark.parametrize(("theirs", "ours"), [("timeouts", "truncations"), ("terminals", "terminations")])
def test_ends_under_the_name_of_others_are_refused_unless_ours_is_there_too(tmp_path, theirs, ours):
    sample = make_sample()
    save_sample(sample, tmp_path, "a")
    arrays = sample.arrays()
    np.savez(tmp_path / "a.npz", **arrays, **{theirs: arrays[ours]})
    assert f"{theirs} is not an array of ours; ignored" in load_sample(tmp_path / "a.npz")[1][0]
    del arrays[ours]
    np.savez(tmp_path / "a.npz", **arrays, **{theirs: sample.optional[ours]})
    with pytest.raises(SampleError, match=f"{theirs} is called {ours} here") as refused:
        load_sample(tmp_path / "a.npz")
    assert f"rename it to {ours}" in refused.value.hint


def test_unknown_arrays_are_ignored_with_a_warning(tmp_path):
    sample = make_sample()
    save_sample(sample, tmp_path, "a")
    np.savez(tmp_path / "a.npz", **sample.arrays(), colour=np.zeros(3))
    loaded, warnings = load_sample(tmp_path / "a.npz")
    assert equal(loaded, sample)
    assert warnings == [f"{tmp_path / 'a.npz'}: colour is not an array of ours; ignored"]


def test_every_reference_capture_loads_with_warnings_and_nothing_else(captures):
    paths = [p for p in sorted(captures.glob("*/*.npz")) if p.name != "observation_hybrid_sample.npz"]
    assert len(paths) == 11
    for path in paths:
        sample, warnings = load_sample(path)
        assert sample.timesteps == json.loads(path.with_suffix(".json").read_text())["timesteps"]
        assert sample.is_older
        assert any("schema_version is missing" in warning for warning in warnings)


def test_a_reference_file_without_training_arrays_is_refused(captures):
    with pytest.raises(
        SampleError, match="has no actions, old_log_probs, value_preds, rewards, dones; expected"
    ):
        load_sample(captures / "two_step" / "observation_hybrid_sample.npz")


def test_rewards_near_the_largest_float_are_summed_without_overflow(tmp_path):
    sample = make_sample()
    terms = np.full_like(sample.optional["reward_terms"], 3e38)
    sample = dataclasses.replace(sample, optional=sample.optional | {"reward_terms": terms})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_sample(sample, tmp_path, "a")
        _, weak = load_sample(tmp_path / "a.npz")
    assert any("reward_terms do not sum to the reward at tick 0" in text for text in weak)
