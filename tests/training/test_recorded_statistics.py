"""--normalise-observations begins with the statistics of all recordings, stored or computed."""

import numpy as np
import pytest
import torch
from small_runs import run_small, settings_of, trainer_of

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.errors import Interrupted
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.ppo.checkpoint import load_checkpoint, restore_network
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import load_manifest, read_entry
from townlet_core.replay.packed.pack import pack
from townlet_core.replay.statistics import read_statistics
from townlet_core.replay.stored import store_statistics
from townlet_core.scenario.load import load_scenario
from townlet_core.training.loop import Trainer


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Recordings of two towns, of which a cycle of the tests below reads the half."""
    scenario = load_scenario("queue_conflict")
    capture = CaptureSettings(ticks=40, num_towns=2, seed=5)
    folder = tmp_path_factory.mktemp("recorded")
    return write_capture(scenario, ScriptedPolicy(scenario), capture, folder).manifest


@pytest.fixture
def stored(manifest, tmp_path):
    """The same recordings packed, with their statistics in the manifest."""
    path = pack(load_manifest(manifest), tmp_path / "packed").manifest
    store_statistics(path, read_statistics(find_entries(path)))
    return path


def settings_with(manifest, **changes):
    given = {"source": "replay", "replay_transitions": 120, "normalise_observations": True, "cycles": 2}
    return settings_of(**{**given, "replay_manifest": (manifest,), **changes})


def first_network(folder, settings, monkeypatch):
    """Return the network of the checkpoint that is saved before anything is learned."""

    def stop(self, *_):
        raise Interrupted(2, "before the first update")

    monkeypatch.setattr(Trainer, "_warm_up", stop)
    trainer = trainer_of(folder, settings)
    with pytest.raises(Interrupted):
        trainer.run()
    return restore_network(load_checkpoint(folder), torch.device("cpu"))


def refuse(self):
    raise AssertionError("the statistics were computed")


def test_they_begin_with_the_stored_count_mean_and_variance(stored, tmp_path, monkeypatch):
    features = load_manifest(stored).metadata["feature_statistics"]
    monkeypatch.setattr(ReplayDataset, "feature_statistics", refuse)
    began = first_network(tmp_path / "run", settings_with(stored), monkeypatch).observations
    assert began.count == features["count"] == 240
    assert began.mean.tolist() == features["mean"]
    variances = (began.squares / began.count).tolist()
    assert variances == pytest.approx(np.square(features["std"]).tolist())


def test_without_stored_ones_they_are_computed_from_all_recordings(manifest, tmp_path, monkeypatch):
    began = first_network(tmp_path, settings_with(manifest), monkeypatch).observations
    rows = np.concatenate([read_entry(entry).features for entry in find_entries(manifest)])
    assert began.count == len(rows) == 240  # not only the 120 of the first cycle
    assert began.mean.numpy() == pytest.approx(rows.mean(0, dtype=np.float64))


def test_stored_statistics_of_other_samples_are_not_used(stored, tmp_path, monkeypatch):
    content = stored.read_text()
    stored.write_text(
        content.replace(load_manifest(stored).metadata["statistics"]["samples_sha256"], "0" * 64)
    )
    monkeypatch.setattr(ReplayDataset, "feature_statistics", refuse)
    with pytest.raises(AssertionError, match="were computed"):
        first_network(tmp_path / "run", settings_with(stored), monkeypatch)


@pytest.mark.parametrize("source", ["replay", "mixed"])
def test_stored_or_computed_packed_or_not_the_weights_are_the_same(manifest, stored, tmp_path, source):
    runs = {"computed": manifest, "stored": stored}
    changes = {"source": source, "scenario": "queue_conflict"}
    digests = {
        name: run_small(tmp_path / name, **vars(settings_with(path, **changes))).weights_sha256
        for name, path in runs.items()
    }
    streamed = vars(settings_with(stored, streaming=True, **changes))
    digests["streamed"] = run_small(tmp_path / "streamed", **streamed).weights_sha256
    assert len(set(digests.values())) == 1


def test_a_resumed_run_ends_as_a_straight_one(stored, tmp_path):
    straight = trainer_of(tmp_path / "straight", settings_with(stored, cycles=3)).run()
    trainer_of(tmp_path / "halves", settings_with(stored, cycles=1)).run()
    resumed = trainer_of(tmp_path / "halves", settings_with(stored, cycles=3), resume=True).run()
    assert resumed.weights_sha256 == straight.weights_sha256
