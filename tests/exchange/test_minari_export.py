"""Minari exports hold exactly the transitions whose next observation is known or not needed."""

import dataclasses

import minari
import numpy as np
import pytest
from recordings import FORMS, SAMPLES, ending, record
from replay.replay_samples import make_sample

from townlet_core.errors import InputError
from townlet_core.exchange import minari_export
from townlet_core.exchange.minari_export import dataset_id, export_minari


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load what was exported to `test-v0`, as Minari's users do."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    return lambda: minari.load_dataset("test-v0")


@pytest.mark.parametrize("form", FORMS)
def test_transitions_come_back_with_their_next_observation(tmp_path, load, form, monkeypatch):
    monkeypatch.setattr(minari_export, "TOGETHER", 6)
    written = export_minari(record(tmp_path / "recorded", form), tmp_path / "test-v0")
    assert written["transitions"] == (5 - 1) + 7 + (4 - 1) + 5
    dataset = load()
    assert (dataset.total_episodes, dataset.total_steps) == (4, written["transitions"])
    for episode, sample in zip(dataset, SAMPLES, strict=True):
        steps = len(episode)
        assert np.array_equal(episode.actions, sample.actions[:steps])
        assert np.array_equal(episode.rewards, sample.rewards[:steps])
        for part in ("map", "features"):
            seen, recorded = episode.observations[part], getattr(sample, part)
            assert len(seen) == steps + 1
            known = min(steps + 1, sample.timesteps)
            assert np.array_equal(seen[:known], recorded[:known])
    assert all(load().observation_space.contains(observation_of(load()[0], i)) for i in range(5))


def observation_of(episode, row):
    return {name: array[row] for name, array in episode.observations.items()}


@pytest.mark.parametrize(
    ("kind", "steps", "terminated", "truncated"),
    [("terminated", 5, 1, 0), ("truncated", 4, 0, 1), ("unfinished", 4, 0, 1)],
)
def test_only_a_termination_keeps_the_last_transition(tmp_path, load, kind, steps, terminated, truncated):
    sample = ending(make_sample(5), kind)
    export_minari(record(tmp_path / "recorded", "npz", [sample]), tmp_path / "test-v0")
    (episode,) = load()
    assert len(episode) == steps
    assert (episode.terminations[-1], episode.truncations[-1]) == (terminated, truncated)
    assert episode.terminations.sum() + episode.truncations.sum() == 1
    last = episode.observations["features"][-1]
    assert np.array_equal(last, sample.features[4])  # repeated after a termination, where none is needed


def test_infos_stand_beside_the_observation_or_the_step_before(tmp_path, load):
    sample = SAMPLES[1]
    export_minari(record(tmp_path / "recorded", "npz", [sample]), tmp_path / "test-v0")
    infos = load()[0].infos
    assert {len(rows) for rows in infos.values()} == {8}
    assert np.array_equal(infos["action_mask"][:7], sample.optional["action_mask"])
    assert np.array_equal(infos["old_log_probs"][:7], sample.old_log_probs)
    assert np.array_equal(infos["value_preds"], sample.value_preds)
    assert np.array_equal(infos["reward_terms"][1:], sample.optional["reward_terms"])
    assert not infos["reward_terms"][0].any()


def test_metadata_names_agents_features_and_actions(tmp_path, load):
    export_minari(record(tmp_path / "recorded", "packed"), tmp_path / "test-v0")
    storage = load().storage
    about = list(storage.get_episode_metadata(range(4)))
    assert [(one["agent_id"], one["town"], one["ending"]) for one in about] == [
        ("ada", 0, "truncated"),
        ("bob", 1, "terminated"),
        ("ada", 2, "unfinished"),
        ("cy", 3, "terminated"),
    ]
    assert storage.metadata["townlet"]["feature_names"] == list(SAMPLES[0].feature_names)
    assert storage.metadata["townlet"]["action_lookup"]["north"] == 1
    assert "test-v0" in minari.list_local_datasets()


def test_bounds_are_those_of_the_features_and_none_where_data_leaves_them(tmp_path, load):
    manifest = record(tmp_path / "recorded", "npz")
    export_minari(manifest, tmp_path / "test-v0")
    box, names = load().observation_space["features"], SAMPLES[0].feature_names
    for name, low, high in [("time_sin", -1, 1), ("shower_distance", 0, 1), ("neighbour2_trust", -1, 1)]:
        assert (box.low[names.index(name)], box.high[names.index(name)]) == (low, high)
    assert box.high[names.index("rivalry_avoid_count")] == np.inf
    wide = dataclasses.replace(SAMPLES[2], features=SAMPLES[2].features * 100)
    record(tmp_path / "recorded", "npz", [SAMPLES[0], wide])
    export_minari(manifest, tmp_path / "test-v0", force=True)
    assert np.isinf(load().observation_space["features"].high).all()
    assert load()[0].observations["map"].dtype == np.float32


def test_episodes_without_a_complete_transition_are_left_out_and_counted(tmp_path, load):
    short = ending(make_sample(1), "truncated")
    written = export_minari(record(tmp_path / "recorded", "npz", [short, SAMPLES[0]]), tmp_path / "test-v0")
    assert (written["episodes"], written["left_out"]) == (1, 1)
    assert len(load()) == 1
    with pytest.raises(InputError, match="found 1 episode of a single tick that did not terminate"):
        export_minari(record(tmp_path / "more", "npz", [short]), tmp_path / "other-v0")


@pytest.mark.parametrize(
    ("folder", "name"), [("a/town-v3", "town-v3"), ("queue conflict", "queue_conflict-v0"), ("x", "x-v0")]
)
def test_the_folder_names_the_dataset(tmp_path, folder, name):
    assert dataset_id(tmp_path / folder) == name
