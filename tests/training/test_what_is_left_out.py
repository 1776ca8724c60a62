"""Training says what it leaves out, leaves out only what teaches nothing, and validate says the same."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
from recorded_samples import dataset_of, network_that_says, sample_of
from small_runs import settings_of, trainer_of

from townlet_core.errors import InputError, SampleError
from townlet_core.ppo.config import PPOConfig
from townlet_core.replay.events import save_events
from townlet_core.replay.limits import REPLAY_TRANSITIONS, ReadLimits
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.sample import save_sample
from townlet_core.replay.validate import validate_path
from townlet_core.scenario.load import load_scenario, scenario_sha256
from townlet_core.training.advantage_targets import replay_batch
from townlet_core.training.recordings import (
    ReplayStream,
    check_own_recordings,
    open_dataset,
    warn_of_scenarios,
)
from townlet_core.training.reports import Reports

FAINTED, CUT, TIMED_OUT = {"terminated": (0,)}, {}, {"truncated": (0,)}


def manifest_of(folder, *samples, events=False):
    entries = [save_sample(sample, folder, f"s_{i}") for i, sample in enumerate(samples)]
    if events:
        save_events(folder, "s", [{"tick": 0, "town": 0, "type": "faint"}])
    return save_manifest(folder, "s", entries, {})


def opened(*manifests, **changes):
    settings = settings_of(source="replay", replay_manifest=manifests, **changes)
    return open_dataset(settings, settings.replay_manifest)


def recorded_in(sample, digest, name="town"):
    capture = {**sample.metadata["capture"], "scenario": name, "scenario_sha256": digest}
    return dataclasses.replace(sample, metadata=sample.metadata | {"capture": capture})


@pytest.mark.parametrize("correction", ["self_imitation", "none"])
def test_the_target_of_a_single_tick_that_ended_for_good_is_its_reward(correction):
    (batch,) = dataset_of(sample_of(1, **FAINTED, rewards=2))
    learned, _ = replay_batch([batch], network_that_says(0), PPOConfig(), correction)
    assert learned.returns.tolist() == pytest.approx([2])


@pytest.mark.parametrize(
    ("ends", "bootstrap", "learned"),
    [(FAINTED, True, True), (CUT, True, False), (TIMED_OUT, True, False), (TIMED_OUT, False, True)],
)
def test_training_leaves_out_only_what_cannot_be_learned_from_and_says_so(tmp_path, ends, bootstrap, learned):
    manifest = manifest_of(tmp_path, sample_of(5), sample_of(1, **ends))
    dataset = opened(manifest, bootstrap_truncations=bootstrap)
    assert dataset.sample_count == 1 + learned
    told = [warning for warning in dataset.warnings if "left out" in warning]
    assert [warning.startswith("left out 1 of 2 samples, single ticks") for warning in told] == [True] * (
        not learned
    )
    batch, _ = replay_batch(
        ReplayStream(dataset, 100).take(), network_that_says(), PPOConfig(bootstrap_truncations=bootstrap)
    )
    assert len(batch.actions) == 4 + learned
    if bootstrap:  # validate looks with the default settings
        found = [finding.message for finding in validate_path(manifest, for_training=True).warnings]
        assert [message for message in found if "left out" in message] == told


@pytest.mark.parametrize("samples", [[sample_of(1)], [sample_of(1), sample_of(1, **TIMED_OUT)]])
def test_what_leaves_nothing_is_refused_by_training_and_by_validate_alike(tmp_path, samples):
    manifest = manifest_of(tmp_path, *samples)
    with pytest.raises(SampleError, match="nothing to learn from") as refused:
        opened(manifest)
    for path in (manifest, tmp_path):
        (problem,) = validate_path(path, for_training=True).problems
        assert problem.message == str(refused.value)
        assert not validate_path(path).problems


def test_a_folder_without_a_manifest_is_held_to_training_as_a_whole(tmp_path):
    for i, ticks in enumerate((1, 5)):
        save_sample(sample_of(ticks), tmp_path, f"s{i}")
    report = validate_path(tmp_path, for_training=True)
    assert [finding.message.partition(":")[0] for finding in report.problems] == [
        "holds 2 samples and no manifest"
    ]
    assert any("left out 1 of 2 samples" in finding.message for finding in report.warnings)
    assert report.samples == 2


def test_an_agent_that_faints_at_once_is_learned_from(townlet, tmp_path):
    scenario = tmp_path / "weak.yaml"
    scenario.write_text(
        "name: weak\nticks: 9\ngrid: {size: [4, 2]}\n"
        "rules: {needs: {hunger_decay: 0.01, respawn_delay_ticks: 20}}\n"
        "agents:\n  - {id: anna, position: [0, 0], needs: {hunger: 0.005}}\n  - {id: ben, position: [3, 0]}\n"
    )
    code, _, err = townlet("capture", scenario, "--output", tmp_path / "c", "-q")
    assert code == 0, err
    manifest = tmp_path / "c" / "rollout_sample_manifest.json"
    dataset = opened(manifest)
    assert sorted(dataset.timesteps(i) for i in range(dataset.sample_count)) == [1, 9]
    assert not any("left out" in warning for warning in dataset.warnings)


def test_train_says_on_stderr_what_it_leaves_out(townlet, tmp_path):
    manifest = manifest_of(tmp_path / "c", sample_of(5), sample_of(1), sample_of(7))
    shape = ("--cycles", "1", "--hidden-size", "8", "--num-epochs", "1", "-q", "--output", tmp_path / "run")
    code, _, err = townlet("train", "--mode", "replay", "--replay-manifest", manifest, *shape)
    assert code == 0
    assert "warning: left out 1 of 3 samples" in " ".join(err.split())


def given_twice(folder):
    """Return manifests and samples that name three recordings in several ways."""
    manifest = manifest_of(folder / "a", *(sample_of(5, seed=i) for i in range(3)), events=True)
    shutil.copytree(folder / "a", folder / "copy")
    os.symlink(folder / "a", folder / "link")
    shutil.copy(folder / "a" / "s_1.npz", folder / "other name.npz")
    shutil.copy(folder / "a" / "s_1.json", folder / "other name.json")
    with np.load(folder / "a" / "s_2.npz") as arrays:
        np.savez_compressed(folder / "small.npz", **arrays)
    shutil.copy(folder / "a" / "s_2.json", folder / "small.json")
    return manifest


def test_a_recording_that_is_given_more_than_once_is_learned_from_once(tmp_path):
    manifest = given_twice(tmp_path)
    alone = opened(manifest)
    ways = [
        ((manifest, manifest), ()),
        ((manifest, tmp_path / "copy" / manifest.name), ()),
        ((manifest, tmp_path / "link" / manifest.name), ()),
        ((manifest,), (manifest.parent / "s_0.npz",)),
        ((manifest,), (tmp_path / "other name.npz", tmp_path / "small.npz")),
    ]
    for manifests, samples in ways:
        dataset = opened(*manifests, replay_sample=samples)
        assert [batch.names for batch in dataset.batches(0)] == [batch.names for batch in alone.batches(0)]
        count = 3 * len(manifests) + len(samples)
        assert dataset.warnings[0].startswith(
            f"left out {count - 3} of {count} samples, given more than once: "
        )
    assert "is the same recording as" in dataset.warnings[0]
    assert not any("left out" in warning for warning in alone.warnings)


def test_events_are_told_only_if_the_logs_are_of_what_is_learned_from(tmp_path):
    manifest = given_twice(tmp_path)
    other = save_sample(sample_of(5, seed=9), tmp_path, "other")["sample"]
    assert opened(manifest).event_counts() == {"faint": 1}
    assert opened(manifest, replay_sample=(manifest.parent / "s_0.npz",)).event_counts() == {"faint": 1}
    assert opened(manifest, tmp_path / "copy" / manifest.name).config.events == ()
    assert opened(manifest, replay_sample=(tmp_path / other,)).config.events == ()
    assert opened(manifest_of(tmp_path / "b", sample_of(5), sample_of(1), events=True)).config.events == ()


def test_towns_that_are_alike_are_still_as_many_recordings(tmp_path):
    settings = settings_of(scenario="observation_baseline", source="replay", capture_towns=3)
    trainer = trainer_of(tmp_path, settings)
    assert trainer.dataset.sample_count == 3
    assert not any("left out" in warning or "differ" in warning for warning in trainer.dataset.warnings)


def test_scenarios_that_differ_are_named_and_those_nobody_names_are_not(tmp_path):
    mild, harsh = (recorded_in(sample_of(5, seed=i), digest * 64) for i, digest in enumerate("ab"))
    both = manifest_of(tmp_path / "both", mild, harsh)
    (warning,) = [said for said in opened(both).warnings if "was recorded in" in said]
    assert "s_0.npz was recorded in town (sha256 aaaaaaaaaaaa) and " in warning
    assert "s_1.npz in town (sha256 bbbbbbbbbbbb): scenarios that differ may reward the same" in warning
    assert warning in [finding.message for finding in validate_path(both, for_training=True).warnings]
    alone = opened(manifest_of(tmp_path / "one", mild, sample_of(5, seed=7)))
    assert not any("was recorded in" in said for said in alone.warnings)


def test_recordings_of_another_scenario_than_the_live_towns_are_named(tmp_path):
    scenario = load_scenario("queue_conflict")
    own = recorded_in(sample_of(5), scenario_sha256(scenario), "queue_conflict")
    other = recorded_in(sample_of(5, seed=1), "c" * 64, "queue_conflict")
    assert warn_of_scenarios(opened(manifest_of(tmp_path / "own", own)), scenario) == []
    dataset = opened(manifest_of(tmp_path / "other", other))
    (warning,) = warn_of_scenarios(dataset, scenario)
    assert (
        "was recorded in queue_conflict (sha256 cccccccccccc), and the live towns are queue_conflict ("
        in warning
    )
    heard: list[str] = []
    trainer = trainer_of(tmp_path / "run", settings_of(), reports=Reports(warning=heard.append))
    assert heard == []  # of its own recordings
    type(trainer)(trainer.settings, tmp_path, scenario, dataset, trainer.stop_request, trainer.reports)
    assert heard == [warning]


@pytest.mark.parametrize("limit", [5, 7, 20, 39, 40, 41, 100, 1000])
def test_no_cycle_learns_from_more_than_it_may_and_no_episode_is_missed(limit):
    samples = [sample_of(ticks, seed=i) for i, ticks in enumerate([5] * 19 + [3] * 9 + [1] * 4)]
    dataset = dataset_of(*samples, batch_size=8)
    stream, seen, cycles = ReplayStream(dataset, limit), [], 0
    while stream.position[0] < 2:
        taken = stream.take()
        assert 0 < sum(batch.transitions for batch in taken) <= limit
        # A resumed run goes on from a position alone.
        stream = ReplayStream(dataset, limit, tuple(stream.position))
        seen += [name for batch in taken for name in batch.names]
        cycles += 1
    kept = [f"{i:03d}_anna" for i in range(28)]  # single ticks that go on are left out
    assert sorted(seen) == sorted(kept * 2)
    assert cycles >= 2 * (19 * 5 + 9 * 3) / limit


def test_batches_that_fit_are_served_as_before_and_older_positions_mean_what_they_meant():
    dataset = dataset_of(*(sample_of(5, seed=i) for i in range(20)), batch_size=8)
    served = [batch.names for batch in dataset.batches(0)]
    assert [batch.names for batch in ReplayStream(dataset, 90).take()] == served[:2]  # 80 ticks, then 100
    assert [batch.names for batch in ReplayStream(dataset, 40, (0, 1)).take()] == [served[1]]


def test_an_episode_that_is_longer_than_a_cycle_may_learn_from_is_refused_when_the_data_is_opened(tmp_path):
    manifest = manifest_of(tmp_path, sample_of(5), sample_of(9))
    with pytest.raises(InputError, match=r"s_1\.npz: an episode of 9 ticks, .* 8 at most") as refused:
        opened(manifest, replay_transitions=8)
    assert refused.value.hint == "give --replay-transitions 9 or more"
    assert opened(manifest, replay_transitions=9).sample_count == 2
    ended = manifest_of(tmp_path / "ended", sample_of(9, truncated=(4,)))
    assert opened(ended, replay_transitions=5).sample_count == 2


def test_recordings_that_could_not_be_learned_from_are_not_made(tmp_path):
    scenario = load_scenario("queue_conflict")
    check_own_recordings(scenario, settings_of(replay_transitions=80))
    with pytest.raises(InputError, match="queue_conflict: an episode of 80 ticks"):
        check_own_recordings(scenario, settings_of(replay_transitions=79))


def test_validate_names_the_settings_that_large_recordings_need(tmp_path, monkeypatch):
    manifest = manifest_of(tmp_path, sample_of(9))
    monkeypatch.setattr("townlet_core.replay.validate.REPLAY_TRANSITIONS", 8)
    report = validate_path(manifest, ReadLimits(max_memory_bytes=10_000), for_training=True)
    told = [finding.message for finding in report.warnings]
    assert not report.problems
    assert any("an episode of 9 ticks; training needs --replay-transitions 9" in message for message in told)
    assert any("for which training needs --streaming" in message for message in told)
    assert settings_of().replay_transitions == REPLAY_TRANSITIONS


def test_a_position_beyond_what_is_left_of_the_recordings_goes_on_with_the_next_epoch():
    dataset = dataset_of(*(sample_of(5, seed=i) for i in range(4)), batch_size=2)
    stream = ReplayStream(dataset, 10, (3, 9))
    assert [batch.names for batch in stream.take()] == [next(dataset.batches(4)).names]
    assert stream.position == (4, 1, 0)
