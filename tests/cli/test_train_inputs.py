"""What people get wrong with `townlet train` and `evaluate`: one sentence, its exit code, nothing touched."""

import json
import shutil

import numpy as np
import pytest

from townlet_core import io
from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.locks import lock_folder
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario
from townlet_core.training import session
from townlet_core.training.run_file import reopen_run

SMALL = [
    "--cycles",
    "1",
    "--num-towns",
    "2",
    "--hidden-size",
    "8",
    "--rollout-ticks",
    "5",
    "--num-epochs",
    "1",
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A sound sample, to be damaged."""
    folder = tmp_path_factory.mktemp("recorded")
    scenario = load_scenario("observation_baseline")
    write_capture(scenario, ScriptedPolicy(scenario), CaptureSettings(ticks=20), folder)
    return folder / "rollout_sample_iris_001.npz"


@pytest.fixture
def damaged(recorded, tmp_path):
    """Copy the sample with some arrays changed; returns the copy's path."""

    def change(**arrays):
        with np.load(recorded) as sound:
            np.savez(tmp_path / "s.npz", **{**sound, **arrays})
        shutil.copy(recorded.with_suffix(".json"), tmp_path / "s.json")
        return tmp_path / "s.npz"

    return change


@pytest.fixture
def refused(townlet, tmp_path):
    """Expect a refusal that leaves no run folder; returns the line of the error."""

    def call(code, *arguments):
        found, stdout, stderr = townlet(*arguments, "--output", tmp_path / "run")
        assert (found, stdout) == (code, "")
        assert not (tmp_path / "run").exists()
        return stderr.splitlines()[0]

    return call


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"rewards": np.zeros(19, np.float32)}, "rewards has 19 ticks, expected 20 like map"),
        ({"rewards": np.full(20, np.nan, np.float32)}, "rewards is NaN or infinite at 20 of 20 ticks"),
        ({"actions": np.array([{}] * 20, dtype=object)}, "pickled objects and records are not read"),
        ({"value_preds": np.zeros(20, np.float32)}, "value_preds has 20"),
    ],
)
def test_a_damaged_sample_is_refused_before_anything_is_written(refused, damaged, arrays, sentence):
    line = refused(2, "train", "--mode", "replay", "--replay-sample", damaged(**arrays))
    assert line.startswith("error: ")
    assert sentence in line


def test_a_truncated_sample_is_refused(refused, damaged):
    path = damaged()
    path.write_bytes(path.read_bytes()[:500])
    assert "is cut short" in refused(2, "train", "--mode", "replay", "--replay-sample", path)


def test_a_manifest_that_leads_outside_its_folder_is_refused(refused, tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(["../other.npz"]))
    line = refused(2, "train", "--mode", "replay", "--replay-manifest", tmp_path / "m.json")
    assert "leaves the manifest's folder" in line


@pytest.mark.parametrize(
    ("code", "arguments", "sentence"),
    [
        (2, ("queue_conflct",), "did you mean 'queue_conflict'?"),
        (2, ("--cycles", "0"), "--cycles: found 0, expected a whole number from 1 to 1,000,000"),
        (2, ("--mode", "rollout", "--replay-sample", "x.npz"), "learns from live towns only"),
        (3, ("--mode", "replay", "--replay-manifest", "nothing.json"), "nothing.json: no such file"),
        (3, ("--config", "nothing.yaml"), "nothing.yaml: no such file"),
        (2, ("--warm-start-epochs", "5"), "--warm-start-epochs: without --warm-start bc nothing is imitated"),
        (2, ("--mode", "rollout", "--capture-towns", "4"), "--capture-towns: no recordings are made here"),
        (2, ("--replay-sample", "x.npz", "--capture-dir", "c"), "--capture-dir: no recordings are made here"),
    ],
)
def test_a_run_that_cannot_begin_leaves_nothing(refused, code, arguments, sentence):
    assert sentence in refused(code, "train", *arguments)


def test_a_folder_that_is_taken_is_refused_and_stays(townlet, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    # --force replaces runs, not folders of something else
    for force, sentence in (((), "already exists"), (("--force",), "holds something else than a run")):
        code, _, stderr = townlet("train", *SMALL, *force, "--output", tmp_path / "mine")
        assert code == 2
        assert sentence in stderr
        assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_a_folder_with_ones_own_settings_is_not_taken_for_a_run(townlet, tmp_path):
    own = tmp_path / "exp" / "config.yaml"
    own.parent.mkdir()
    own.write_text("training: {cycles: 1}\n")
    code, _, stderr = townlet("train", *SMALL, "--config", own, "--output", own.parent)
    assert code == 2
    assert "already exists" in stderr
    assert own.read_text() == "training: {cycles: 1}\n"


def test_a_run_that_was_killed_before_it_began_is_begun_with_the_same_command(townlet, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in (".lock", "config.yaml", ".config.sources.json.0123abcd.tmp"):
        (run / name).touch()
    code, _, stderr = townlet("train", "--resume", run)
    assert code == 2
    assert "no run that began" in stderr
    assert "give again the command that was to begin this one" in stderr
    assert townlet("train", *SMALL, "--output", run, "-q")[0] == 0


def test_a_second_writer_is_refused_with_the_pid_of_the_first(townlet, tmp_path):
    run = tmp_path / "run"
    assert townlet("train", *SMALL, "--output", run, "-q")[0] == 0
    with lock_folder(run):
        code, _, stderr = townlet("train", "--resume", run, "--cycles", "2")
    assert code == 73
    assert "another process is writing here (pid " in stderr


def test_resuming_takes_only_more_cycles(townlet, tmp_path):
    run = tmp_path / "run"
    assert townlet("train", *SMALL, "--output", run, "-q")[0] == 0
    others = (("--gamma", "0.5"), ("--config", "c.yaml"), ("--output", tmp_path / "copy"), ("--force",))
    for option, *value in others:
        code, _, stderr = townlet("train", "--resume", run, option, *value)
        assert code == 2
        assert f"takes only --cycles, --max-seconds and --timeout, not {option[2:]}" in stderr
    assert townlet("train", "--resume", run, "--cycles", "2", "-q")[0] == 0
    assert io.read_json(run / "run.json")["status"] == "finished"


def test_the_cycles_that_a_run_was_last_asked_for_are_not_forgotten(townlet, tmp_path):
    run = tmp_path / "run"
    assert townlet("train", *SMALL, "--output", run, "-q")[0] == 0
    assert townlet("train", "--resume", run, "--cycles", "3", "-q")[0] == 0
    assert reopen_run(run, None).cycles == 3
    assert reopen_run(run, 5).cycles == 5
    _, _, stderr = townlet("train", "--resume", run)
    assert "after cycle 3 of 3" in stderr


def test_a_run_stopped_before_its_first_checkpoint_begins_anew_and_ends_the_same(townlet, tmp_path):
    run = tmp_path / "run"
    straight = json.loads(townlet("train", *SMALL, "--output", run, "--json", "-q")[1])
    shutil.rmtree(run / "checkpoints")
    (run / "samples" / "rollout_sample_manifest.json").unlink()
    code, stdout, _ = townlet("train", "--resume", run, "--json", "-q")
    assert code == 0
    assert json.loads(stdout)["weights_sha256"] == straight["weights_sha256"]


def test_a_run_says_how_to_go_on_and_json_says_the_same(townlet, tmp_path):
    run = tmp_path / "run"
    code, stdout, _ = townlet("train", *SMALL, "--output", run, "--json", "-q")
    told = json.loads(stdout)
    assert code == 0
    assert told["run"] == str(run)
    assert told["cycles"] == 1
    code, stdout, _ = townlet("evaluate", run, "random", "--episodes", "2", "--json", "-q")
    behaviours = [policy["behaviour"] for policy in json.loads(stdout)["policies"]]
    assert code == 0
    assert behaviours == [told["weights_sha256"], "random"]


def test_evaluating_nothing_names_what_it_looked_for(townlet):
    code, _, stderr = townlet("evaluate", "nowhere")
    assert code == 3
    assert "nowhere: no such checkpoint" in stderr


def test_a_checkpoint_of_another_shape_is_refused(townlet, recorded, tmp_path):
    code, _, _ = townlet(
        "train", *SMALL, "--mode", "replay", "--replay-sample", recorded, "--output", tmp_path / "r", "-q"
    )
    assert code == 0  # observation_baseline has the built-in kinds, so it fits queue_conflict
    other = tmp_path / "sauna.yaml"
    other.write_text(
        "name: sauna\nticks: 5\ngrid: {size: [4, 4]}\nagents: [{id: a, position: [0, 0]}]\n"
        "kinds: {sauna: {affordance: sweat, duration_ticks: 3}}\n"
    )
    code, _, stderr = townlet("evaluate", tmp_path / "r", "--scenario", other)
    assert code == 2
    assert "features" in stderr


def test_a_log_that_is_there_is_not_written_over(townlet, tmp_path):
    log = tmp_path / "ppo.jsonl"
    command = ("train", *SMALL, "--ppo-log", log, "-q")
    assert townlet(*command, "--output", tmp_path / "a")[0] == 0
    before = log.read_bytes()
    code, _, stderr = townlet(*command, "--output", tmp_path / "b")
    assert code == 2
    assert f"{log}: already exists" in stderr
    assert log.read_bytes() == before
    assert not (tmp_path / "b").exists()
    assert townlet(*command, "--output", tmp_path / "b", "--force")[0] == 0
    assert len(log.read_bytes().splitlines()) == len(before.splitlines())  # a new log, not a longer one
    log.write_bytes(log.read_bytes().splitlines()[0][:400])  # what a kill may leave
    assert townlet(*command, "--output", tmp_path / "c", "--force")[0] == 0
    log.write_text('{"mine": "about \\"telemetry_version\\""}')
    code, _, stderr = townlet(*command, "--output", tmp_path / "d", "--force")  # only logs are replaced
    assert code == 2
    assert "is not a telemetry log" in stderr
    assert log.read_text().startswith('{"mine"')


def test_an_old_run_stays_until_the_new_ones_input_is_known_to_be_sound(townlet, tmp_path):
    run = tmp_path / "run"
    assert townlet("train", *SMALL, "--mode", "replay", "--output", run, "-q")[0] == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    own = run / "samples" / "rollout_sample_manifest.json"
    for code, manifest, sentence in (
        (3, tmp_path / "typo.json", "no such file"),
        (2, own, f"{own}: lies in {run}, which --force would remove"),
    ):
        replace = ("--mode", "replay", "--replay-manifest", manifest, "--output", run, "--force")
        found, _, stderr = townlet("train", *SMALL, *replace)
        assert found == code
        assert sentence in stderr
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_recordings_of_another_run_are_not_taken_for_ones_own(townlet, tmp_path):
    where = ("--capture-dir", tmp_path / "captures")
    assert townlet("train", *SMALL, *where, "--output", tmp_path / "a", "-q")[0] == 0
    assert townlet("train", *SMALL, *where, "--output", tmp_path / "b", "-q")[0] == 0  # the same again
    for change, sentence in (
        (("--seed", "5"), "seed is 0, expected 5"),
        (("--capture-towns", "2"), "towns is 18, expected 2"),
        (("kitchen_breakfast",), "scenario_sha256 is "),
    ):
        for output, force in ((tmp_path / "c", ()), (tmp_path / "a", ("--force",))):
            code, _, stderr = townlet("train", *change, *SMALL, *where, "--output", output, *force)
            assert code == 2
            assert "holds other recordings than this run would make" in stderr
            assert sentence in stderr
        assert not (tmp_path / "c").exists()
        assert (tmp_path / "a" / "checkpoints" / "latest.json").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--policy", "random"), "behaviour is 'random', expected 'scripted'"),
        (("--epsilon", "0.9"), "epsilon is 0.9, expected 0.0"),
        (("--agent", "anna"), "agents is ['anna'], expected ['anna', 'ben', 'cara']"),
    ],
)
def test_recordings_that_the_script_did_not_make_are_not_taken_for_its_own(
    refused, townlet, tmp_path, options, sentence
):
    capture = ("capture", "queue_conflict", "--towns", "18", "--seed", "0")
    assert townlet(*capture, *options, "--output", tmp_path / "captures", "-q")[0] == 0
    assert sentence in refused(2, "train", *SMALL, "--capture-dir", tmp_path / "captures")


def test_a_run_that_began_meanwhile_is_not_replaced(townlet, tmp_path, monkeypatch):
    run = tmp_path / "run"
    assert townlet("train", *SMALL, "--output", run, "-q")[0] == 0
    before = (run / "run.json").read_bytes()
    # Both had found the folder free; this one looks into it again once it may write there.
    monkeypatch.setattr(session, "choose_folder", lambda output, *rest: output)
    code, _, stderr = townlet("train", *SMALL, "--output", run)
    assert code == 2
    assert "another run has begun here" in stderr
    assert (run / "run.json").read_bytes() == before


def test_recordings_that_changed_are_not_learned_from_any_further(townlet, recorded, tmp_path):
    shutil.copytree(recorded.parent, tmp_path / "capture")
    manifest = tmp_path / "capture" / "rollout_sample_manifest.json"
    run = tmp_path / "run"
    given = ("--mode", "replay", "--replay-manifest", manifest)
    assert townlet("train", *SMALL, *given, "--output", run, "-q")[0] == 0
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    code, _, stderr = townlet("train", "--resume", run, "--cycles", "2")
    assert code == 2
    assert "the recordings have changed since the run began" in stderr
    bare = tmp_path / "capture" / "bare_manifest.json"  # without digests of its own
    bare.write_text('["rollout_sample_iris_001.npz"]')
    given = ("--mode", "replay", "--replay-manifest", bare)
    assert townlet("train", *SMALL, *given, "--output", tmp_path / "other", "-q")[0] == 0
    meta = tmp_path / "capture" / "rollout_sample_iris_001.json"
    meta.write_bytes(meta.read_bytes() + b"\n")
    code, _, stderr = townlet("train", "--resume", tmp_path / "other", "--cycles", "2")
    assert code == 2
    assert "the recordings have changed since the run began" in stderr


EMPTY = """\
name: empty
ticks: 30
grid: {size: [4, 2]}
rules: {needs: {respawn_delay_ticks: 25}}
agents:
"""


def test_a_town_without_agents_is_refused_and_one_that_is_left_ends_the_run(townlet, refused, tmp_path):
    scenario = tmp_path / "empty.yaml"
    scenario.write_text(EMPTY + "  []\n")
    assert "has no agents to train" in refused(2, "train", scenario)
    scenario.write_text(EMPTY + "  - {id: anna, position: [0, 0], needs: {hunger: 0.05}}\n")
    code, _, stderr = townlet(
        "train", scenario, *SMALL, "--mode", "rollout", "--cycles", "3", "--output", tmp_path / "r"
    )
    assert code == 2
    assert "empty: nobody was in town for 5 ticks" in stderr


@pytest.fixture
def run(townlet, tmp_path):
    """A run in a bundled town that is not the default of evaluate."""
    command = ("train", "rivalry_decay", *SMALL, "--mode", "rollout", "--output", tmp_path / "rd", "-q")
    assert townlet(*command)[0] == 0
    return tmp_path / "rd"


def test_a_run_is_evaluated_where_it_was_trained_unless_another_town_is_named(townlet, run):
    for path in (run, run / "checkpoints", run / "checkpoints" / "latest.json"):
        code, stdout, stderr = townlet("evaluate", "scripted", path, "--episodes", 2)
        assert code == 0
        assert "rivalry_decay: 2 episodes" in stdout
        assert "warning" not in stderr
    _, stdout, stderr = townlet("evaluate", run, "--episodes", 2, "--scenario", "kitchen_breakfast")
    assert "kitchen_breakfast: 2 episodes" in stdout
    assert "was trained in rivalry_decay" in stderr
    assert "next: townlet capture kitchen_breakfast --policy" in stderr


def test_a_damaged_run_is_a_sentence(townlet, run):
    (run / "run.json").write_text("[]")
    for command in (("evaluate", run), ("train", "--resume", run)):
        code, _, stderr = townlet(*command)
        assert code == 2
        assert "run.json: is not a JSON object" in stderr


def test_a_run_with_nothing_left_to_do_says_so(townlet, run):
    _, _, stderr = townlet("train", "--resume", run)
    assert "nothing is left to do; --cycles N goes on" in stderr


def test_a_network_is_not_taken_to_a_town_whose_features_mean_something_else(townlet, tmp_path):
    text = "name: {0}\nticks: 9\ngrid: {{size: [4, 2]}}\nagents: [{{id: a, position: [0, 0]}}]\n"
    text += "kinds: {{{0}: {{affordance: look, duration_ticks: 3}}}}\n"
    for name in ("sofa", "oven"):
        (tmp_path / f"{name}.yaml").write_text(text.format(name))
    own = ("train", tmp_path / "sofa.yaml", *SMALL, "--mode", "rollout", "--output", tmp_path / "r", "-q")
    assert townlet(*own)[0] == 0
    code, _, stderr = townlet("evaluate", tmp_path / "r", "--scenario", tmp_path / "oven.yaml")
    assert code == 2
    assert (
        "different features: only in the network: sofa_step_x, sofa_step_y, sofa_distance and 3 more; "
        "only in oven: oven_step_x, oven_step_y, oven_distance and 3 more" in stderr
    )
