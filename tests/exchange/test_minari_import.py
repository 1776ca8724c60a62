"""Minari datasets become samples; what comes back of our own export is what it could hold."""

import json

import h5py
import numpy as np
import pytest
from recordings import SAMPLES, ending, record
from replay.replay_samples import make_sample

from townlet_core.errors import InputError, MissingError
from townlet_core.exchange.minari_export import export_minari
from townlet_core.exchange.minari_import import import_minari
from townlet_core.replay.find import find_entries
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.manifest import read_entry
from townlet_core.replay.validate import validate_path
from townlet_core.vocab import ACTIONS, MAP_CHANNELS


def mapping_of(names):
    """Return the mapping that brings an export of ours back."""
    features = "".join(f"  {name}: observation.features[{i}]\n" for i, name in enumerate(names))
    actions = "".join(f"    {i}: {name}\n" for i, name in enumerate(ACTIONS))
    channels = ", ".join(MAP_CHANNELS)
    return (
        f"features:\n{features}actions:\n  names:\n{actions}map:\n  source: observation.map\n"
        f"  channels: [{channels}]\nlog_probs: infos.old_log_probs\n"
    )


@pytest.fixture
def exported(tmp_path):
    """An export of the samples, and a mapping for it."""
    export_minari(record(tmp_path / "recorded", "npz"), tmp_path / "sets" / "test-v0")
    (tmp_path / "m.yaml").write_text(mapping_of(SAMPLES[0].feature_names))
    return tmp_path / "sets" / "test-v0", tmp_path / "m.yaml"


def test_our_own_export_comes_back_but_for_the_ticks_it_could_not_hold(tmp_path, exported):
    written = import_minari(*exported, tmp_path / "out")
    assert (written["episodes"], written["transitions"]) == (4, 19)
    for entry, original in zip(find_entries(written["output"]), SAMPLES, strict=True):
        sample, ticks = read_entry(entry), original.timesteps - (not original.optional["terminations"][-1])
        assert sample.timesteps == ticks
        for name in ("map", "features", "actions", "old_log_probs", "rewards"):
            assert np.array_equal(getattr(sample, name), getattr(original, name)[:ticks])
        assert sample.feature_names == original.feature_names
    report = validate_path(written["output"], for_training=True)
    assert report.problems == []
    assert {finding.place for finding in report.warnings} == {"capture"}


def test_a_dataset_is_found_by_its_id(tmp_path, exported, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    assert import_minari("test-v0", exported[1], tmp_path / "out")["episodes"] == 4
    with pytest.raises(MissingError, match="other-v0: is no Minari dataset"):
        import_minari("other-v0", exported[1], tmp_path / "again")


def test_a_dataset_that_would_make_an_environment_is_refused(tmp_path, exported):
    place = exported[0] / "data" / "metadata.json"
    metadata = json.loads(place.read_text())
    del metadata["action_space"]
    metadata["env_spec"] = json.dumps({"id": "x-v0", "entry_point": "antigravity:geohash"})
    place.write_text(json.dumps(metadata))
    with pytest.raises(InputError, match="has no observation_space or no action_space"):
        import_minari(*exported, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"data_format": "arrow"}, "data_format is not hdf5"),
        ({"total_episodes": -1}, "total_episodes is not a number"),
        ({"total_episodes": 9}, r"main_data\.hdf5: Minari cannot read it: KeyError"),
        ({"minari_version": "9.9"}, "Minari cannot read it: ValueError"),
        ({"action_space": "{}"}, "Minari cannot read it"),
    ],
)
def test_metadata_that_does_not_fit_is_one_sentence(tmp_path, exported, change, sentence):
    place = exported[0] / "data" / "metadata.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    with pytest.raises(InputError, match=sentence):
        import_minari(*exported, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_one_sentence(tmp_path, exported):
    place = exported[0] / "data" / "main_data.hdf5"
    place.write_bytes(place.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"main_data\.hdf5: Minari cannot read it: OSError"):
        import_minari(*exported, tmp_path / "out")


def test_an_episode_larger_than_the_limit_is_refused_before_it_is_read(tmp_path, exported):
    with h5py.File(exported[0] / "data" / "main_data.hdf5", "a") as file:
        del file["episode_2"]["rewards"]
        file["episode_2"].create_dataset("rewards", (10**12,), "f8", chunks=True)  # takes no space on disk
    with pytest.raises(InputError, match=r"episode_2 takes 8,000,000,.* bytes, expected at most"):
        import_minari(*exported, tmp_path / "out")
    with pytest.raises(InputError, match="episode_0 takes"):
        import_minari(*exported, tmp_path / "out", limits=ReadLimits(max_array_bytes=100))


@pytest.mark.parametrize("place", ["episode_1", "episode_1/rewards"])
def test_a_link_to_another_file_is_refused(tmp_path, exported, place):
    secret = tmp_path / "secret.hdf5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.zeros(7)
    with h5py.File(exported[0] / "data" / "main_data.hdf5", "a") as file:
        del file[place]
        file[place] = h5py.ExternalLink(str(secret), "/x")
    with pytest.raises(InputError, match="episode_1 has a link, or data in another file"):
        import_minari(*exported, tmp_path / "out")


def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path, exported):
    exported[1].write_text(exported[1].read_text().replace("infos.old_log_probs", "infos.log_prob"))
    with pytest.raises(InputError, match=r"log_probs: infos has no log_prob; it has action_mask, .*old_log_"):
        import_minari(*exported, tmp_path / "out")


def test_an_import_of_a_truncated_episode_says_so(tmp_path):
    export_minari(
        record(tmp_path / "recorded", "npz", [ending(make_sample(5), "truncated")]), tmp_path / "x-v0"
    )
    (tmp_path / "m.yaml").write_text(mapping_of(SAMPLES[0].feature_names))
    (entry,) = find_entries(import_minari(tmp_path / "x-v0", tmp_path / "m.yaml", tmp_path / "out")["output"])
    assert read_entry(entry).optional["truncations"].tolist() == [False, False, False, True]
