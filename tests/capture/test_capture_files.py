"""A capture's files: reproducible, complete, and in agreement with each other and with the town."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from townlet_cli.main import app
from townlet_core.capture.capture import CaptureSettings, refuse_existing_capture, write_capture
from townlet_core.errors import CheckFailed, InputError
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.events import load_events
from townlet_core.replay.metrics import TOTAL, load_metrics
from townlet_core.replay.sample import load_sample
from townlet_core.replay.validate import validate_path
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import Towns

SOURCE = Path(__file__).parents[2] / "scenarios" / "queue_conflict.yaml"
CONFLICT = load_scenario("queue_conflict")


def run(folder, scenario=CONFLICT, epsilon=None, **settings):
    policy = ScriptedPolicy(scenario, epsilon)
    chosen = CaptureSettings(**{"ticks": scenario.ticks, "seed": scenario.seed, **settings})
    return write_capture(scenario, policy, chosen, folder)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def samples(result):
    folder = result.manifest.parent
    return [load_sample(folder / entry["sample"])[0] for entry in result.entries]


def test_two_captures_with_the_same_seed_are_the_same_bytes(tmp_path):
    run(tmp_path / "a", num_towns=2)
    run(tmp_path / "b", num_towns=2)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert (
        len(files(tmp_path / "a")) == 2 * 2 * 3 + 4
    )  # two files per life; manifest, metrics, events, scenario


def test_another_seed_is_another_story(tmp_path):
    first, second = run(tmp_path / "a"), run(tmp_path / "b", seed=8)
    assert not np.array_equal(samples(first)[0].actions, samples(second)[0].actions)


def test_conflicts_are_counted_alike_in_samples_events_and_metrics(tmp_path):
    result = run(tmp_path / "out", num_towns=3, epsilon=0.2)
    events = list(load_events(tmp_path / "out" / "rollout_sample_events.jsonl"))
    conflicts = [event for event in events if event["type"] == "queue_conflict"]
    total = load_metrics(tmp_path / "out" / "rollout_sample_metrics.json")[TOTAL]
    shares = [sample.optional["conflict_events"].sum() for sample in samples(result)]
    intensities = [sample.optional["conflict_intensity"].sum() for sample in samples(result)]
    assert sum(shares) == len(conflicts) == total["queue_conflict_events"] > 10
    assert sum(intensities) == pytest.approx(sum(event["intensity"] for event in conflicts), rel=1e-6)
    assert sum(s.metadata["metrics"]["queue_conflict_events"] for s in samples(result)) == len(conflicts)


def test_playing_the_recorded_actions_again_gives_what_was_recorded(tmp_path):
    recorded = samples(run(tmp_path / "out", epsilon=0.2))
    towns = Towns(CONFLICT)
    for t in range(CONFLICT.ticks):
        seen = towns.observe()
        for i, sample in enumerate(recorded):
            np.testing.assert_array_equal(sample.features[t], seen.features[0, i])
            np.testing.assert_array_equal(sample.map[t], seen.map[0, i])
            assert seen.action_mask[0, i, sample.actions[t]]
            np.testing.assert_array_equal(sample.optional["action_mask"][t], seen.action_mask[0, i])
        towns.step(np.array([[sample.actions[t] for sample in recorded]]))
        rewards = towns.state.agents["reward"][0].astype(np.float32)
        np.testing.assert_array_equal([sample.rewards[t] for sample in recorded], rewards)
    assert all(sample.dones[-1] and not sample.dones[:-1].any() for sample in recorded)
    assert all(sample.optional["truncations"][-1] for sample in recorded)


def test_rewards_are_the_sum_of_their_terms(tmp_path):
    for sample in samples(run(tmp_path / "out")):
        np.testing.assert_allclose(sample.optional["reward_terms"].sum(axis=1), sample.rewards, atol=1e-6)


def test_without_a_critic_values_are_zero_and_the_metadata_says_so(tmp_path):
    for sample in samples(run(tmp_path / "out")):
        assert not sample.value_preds.any()
        assert sample.metadata["value_source"] == "none"
        assert (sample.old_log_probs < 0).all()  # soft: never certain


def starving():
    needs = CONFLICT.rules.needs.model_copy(update={"hunger_decay": 0.05, "respawn_delay_ticks": 5})
    rules = CONFLICT.rules.model_copy(update={"needs": needs})
    return CONFLICT.model_copy(update={"rules": rules})


class Critic(ScriptedPolicy):
    """A script with a critic that values everything at 7."""

    def values(self, seen):
        return np.full(seen.features.shape[:2], 7, np.float32)


def test_a_faint_ends_a_sample_and_is_not_bootstrapped(tmp_path):
    scenario = starving()  # twenty ticks a life
    result = write_capture(
        scenario, Critic(scenario), CaptureSettings(ticks=80, agent="anna"), tmp_path / "out"
    )
    lives = samples(result)
    assert [life.timesteps for life in lives] == [20, 20, 20, 5]  # five ticks between two lives
    for life in lives[:-1]:
        assert life.optional["terminations"][-1]
        assert not life.optional["truncations"].any()
        assert life.value_preds.tolist() == [7.0] * 20 + [0.0]
        assert life.rewards[-1] < -0.9  # the faint
    assert lives[-1].optional["truncations"][-1]  # time was up
    assert lives[-1].value_preds[-1] == 7


def test_a_capture_longer_than_an_episode_goes_on_with_the_next(tmp_path):
    lives = samples(run(tmp_path / "out", ticks=100, agent="ben"))
    assert [life.timesteps for life in lives] == [80, 20]
    assert [life.metadata["capture"]["episode"] for life in lives] == [0, 1]
    assert lives[0].dones[-1]
    assert not lives[1].dones.any()  # cut off, not over


def test_one_agent_alone_is_recorded_as_among_all(tmp_path):
    everybody = run(tmp_path / "all")
    alone = run(tmp_path / "one", agent="ben")
    assert [entry["agent_id"] for entry in alone.entries] == ["ben"]
    assert samples(alone)[0].features.tobytes() == samples(everybody)[1].features.tobytes()
    events = "rollout_sample_events.jsonl"
    assert (tmp_path / "one" / events).read_bytes() == (tmp_path / "all" / events).read_bytes()


def test_what_is_captured_validates(tmp_path):
    run(tmp_path / "out", num_towns=2)
    report = validate_path(tmp_path / "out", for_training=True)
    assert report.findings == []


def test_a_killed_capture_is_run_again_and_ends_with_the_same_bytes(tmp_path):
    complete = files(run(tmp_path / "whole", num_towns=2).manifest.parent)

    class Killed(Exception):
        pass

    class Dying(ScriptedPolicy):
        left = 50  # into the towns, which are played together

        def act(self, towns, seen):
            self.left -= 1
            if self.left == 0:
                raise Killed
            return super().act(towns, seen)

    settings = CaptureSettings(ticks=80, seed=7, num_towns=2)
    with pytest.raises(Killed):
        write_capture(CONFLICT, Dying(CONFLICT), settings, tmp_path / "out")
    assert files(tmp_path / "out") == {}
    assert (tmp_path / "out" / ".rollout_sample_blocks").is_dir()
    refuse_existing_capture(CONFLICT, settings, tmp_path / "out", force=False)
    run(tmp_path / "out", num_towns=2)
    assert files(tmp_path / "out") == complete


def test_a_folder_with_a_capture_or_anything_else_is_refused(tmp_path):
    run(tmp_path / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    for name in ("out", "other"):
        with pytest.raises(InputError, match=name):
            refuse_existing_capture(CONFLICT, CaptureSettings(ticks=80), tmp_path / name, force=False)
    refuse_existing_capture(CONFLICT, CaptureSettings(ticks=80), tmp_path / "out", force=True)


def townlet(*words):
    return CliRunner().invoke(app, list(words))


def test_an_unknown_agent_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(InputError, match="no agent 'annna' \\(did you mean 'anna'\\?\\)") as caught:
        run(tmp_path / "out", agent="annna")
    assert caught.value.hint == "agents: anna, ben, cara"
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_totals_and_checks_the_expectations(tmp_path):
    result = townlet("capture", "queue_conflict", "--output", str(tmp_path / "a"), "--check", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["totals"]["shower_complete_events"] == 8
    changed = tmp_path / "changed.yaml"
    changed.write_text(
        SOURCE.read_text().replace("shower_complete_events: [8, 8]", "shower_complete_events: [9, 9]")
    )
    result = townlet("capture", str(changed), "--output", str(tmp_path / "b"), "--check")
    assert isinstance(result.exception, CheckFailed)


@pytest.mark.parametrize(
    "flags",
    [
        ("--towns", "4"),
        ("--seed", "8"),
        ("--ticks", "79"),
        ("--policy", "random"),
        ("--agent", "anna"),
        ("--epsilon", "0.5"),
    ],
)
def test_expectations_are_not_compared_with_another_capture_than_they_are_of(tmp_path, flags):
    result = townlet("capture", "queue_conflict", *flags, "--check", "--output", str(tmp_path / "c"))
    assert isinstance(result.exception, InputError)
    name = flags[0].removeprefix("--")
    assert str(result.exception).startswith(f"--check: the expectations of queue_conflict are for {name} ")
    assert result.exception.hint == f"leave out --{name}, or --check"
    assert not (tmp_path / "c").exists()


def test_what_a_flag_repeats_of_the_scenario_can_be_checked(tmp_path):
    flags = ("--towns", "1", "--seed", "7", "--ticks", "80", "--policy", "scripted")
    assert townlet("capture", "queue_conflict", *flags, "--check", "--output", str(tmp_path)).exit_code == 0


def test_a_check_without_expectations_is_refused(tmp_path):
    silent = tmp_path / "silent.yaml"
    silent.write_text(SOURCE.read_text().split("expect:")[0])
    result = townlet("capture", str(silent), "--check", "--output", str(tmp_path / "d"))
    assert isinstance(result.exception, InputError)
    assert "has no expect:" in str(result.exception)
