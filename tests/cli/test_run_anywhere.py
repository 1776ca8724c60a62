"""A run holds what it began with: it can be moved, and goes on without the files it came from."""

import json
import shlex
import shutil

import pytest

from townlet_core import io
from townlet_core.scenario.catalogue import find_scenario

TINY = shlex.split("--num-towns 2 --hidden-size 8 --rollout-ticks 5 --num-epochs 1")
SMALL = ["--cycles", "1", "--capture-towns", "1", *TINY]


@pytest.fixture
def scenario(tmp_path):
    shutil.copy(find_scenario("kitchen_breakfast"), tmp_path / "own.yaml")
    return tmp_path / "own.yaml"


@pytest.fixture
def run(townlet, scenario, tmp_path):
    """A run in a scenario of one's own, with its log and its recordings inside under names of their own."""
    run = tmp_path / "run"
    inside = ("--ppo-log", run / "logs" / "ppo.jsonl", "--capture-dir", run / "recorded")
    assert townlet("train", scenario, *SMALL, *inside, "--output", run, "-q")[0] == 0
    return run


def about(run):
    return io.read_json(run / "run.json")


def test_a_run_goes_on_where_it_was_moved_to_without_its_scenario(townlet, run, scenario, tmp_path):
    straight = tmp_path / "straight"
    shutil.copytree(run, straight)
    assert townlet("train", "--resume", straight, "--cycles", "2", "-q")[0] == 0
    scenario.unlink()
    moved = run.rename(tmp_path / "elsewhere")
    code, stdout, stderr = townlet("train", "--resume", moved, "--cycles", "2", "--json", "-q")
    assert (code, stderr) == (0, "")
    assert json.loads(stdout)["telemetry"] == str(moved / "logs" / "ppo.jsonl")
    assert not run.exists()
    records = [json.loads(line) for line in (moved / "logs" / "ppo.jsonl").read_text().splitlines()]
    (run_id,) = {record["run_id"] for record in records}
    assert run_id.startswith("run-")
    assert [record["cycle_id"] for record in records] == [0, 0, 1, 1]
    weights = json.loads(stdout)["weights_sha256"]
    assert json.loads(townlet("train", "--resume", straight, "--json", "-q")[1])["weights_sha256"] == weights
    code, stdout, stderr = townlet("evaluate", moved, "--episodes", 2)
    assert code == 0
    assert "kitchen_breakfast: 2 episodes" in stdout
    assert "warning" not in stderr


def test_a_comment_changes_nothing_and_a_change_of_meaning_is_told(townlet, run, scenario):
    assert (run / "scenario.yaml").read_bytes() == scenario.read_bytes()
    scenario.write_text(f"# my kitchen\n{scenario.read_text()}")
    for command in (("train", "--resume", run, "--cycles", "2"), ("evaluate", run, "--episodes", 2)):
        code, _, stderr = townlet(*command)
        assert (code, "warning" in stderr) == (0, False)
    scenario.write_text(scenario.read_text().replace("ticks: 40", "ticks: 30"))
    for command in (("train", "--resume", run, "--cycles", "3"), ("evaluate", run, "--episodes", 2)):
        code, _, stderr = townlet(*command)
        assert code == 0
        assert f"warning: {scenario}: the scenario has changed since {run} began" in stderr
        assert f"its own copy is used, {run / 'scenario.yaml'}" in stderr


def test_a_copy_that_was_changed_is_refused(townlet, run):
    own = run / "scenario.yaml"
    own.write_text(own.read_text().replace("ticks: 40", "ticks: 30"))
    for command in (("train", "--resume", run, "--cycles", "2"), ("evaluate", run)):
        code, _, stderr = townlet(*command)
        assert code == 2
        assert "scenario.yaml: is not the scenario that the run began with" in stderr


def as_of_an_older_version(run):
    """Make a run one of a version that kept no scenario, settings or cycles."""
    (run / "scenario.yaml").unlink()
    kept = {k: v for k, v in about(run).items() if k not in ("run_version", "run_id", "settings", "cycles")}
    io.write_json(run / "run.json", kept)


def test_a_run_of_an_older_version_goes_on(townlet, run, scenario):
    as_of_an_older_version(run)
    assert townlet("train", "--resume", run, "--cycles", "2", "-q")[0] == 0
    scenario.write_text(scenario.read_text().replace("ticks: 40", "ticks: 30"))
    code, _, stderr = townlet("train", "--resume", run, "--cycles", "3")
    assert code == 2
    assert "the scenario has changed since the run began" in stderr
    code, _, stderr = townlet("evaluate", run, "--episodes", 2)
    assert code == 0
    assert "the scenario has changed since" in stderr


def test_two_runs_of_one_scenario_are_not_told_to_be_of_different_ones(townlet, run, scenario, tmp_path):
    shutil.copytree(run, tmp_path / "other")
    scenario.unlink()
    code, _, stderr = townlet("evaluate", run, tmp_path / "other", "--episodes", 2)
    assert (code, "warning" in stderr) == (0, False)


def test_settings_that_were_changed_are_named_and_refused(townlet, run):
    config = run / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("gamma: 0.99", "gamma: 0.5").replace("num_towns: 2", "num_towns: 3"))
    before = (run / "run.json").read_bytes()
    code, _, stderr = townlet("train", "--resume", run, "--cycles", "2")
    assert code == 2
    assert "config.yaml: was changed since the run began: training.num_towns is 3, was 2; ppo.gamma" in stderr
    assert "ppo.gamma is 0.5, was 0.99" in stderr
    assert (run / "run.json").read_bytes() == before
    config.write_text(text.replace("cycles: 1", "cycles: 9"))
    _, _, stderr = townlet("train", "--resume", run)
    assert "training.cycles is 9, was 1" in stderr
    assert "--cycles N is for more cycles" in stderr
    config.write_text(f"# only a comment\n{text}")
    assert townlet("train", "--resume", run, "--cycles", "2", "-q")[0] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": 3}, "status: found 3, expected 'running', 'finished', 'interrupted' or 'failed'"),
        ({"status": "done"}, "status: unknown status 'done', expected "),
        ({"cycles": "ten"}, "cycles: found 'ten', expected a whole number from 1 to 1,000,000 or null"),
        ({"cycles": 0}, "cycles: found 0, expected"),
        ({"resumed": {}}, "resumed: found a block of keys, expected a list"),
        ({"resumed": [3]}, "resumed[0]: found 3, expected a block"),
        ({"versions": {"torch": 2}}, "versions.torch: found 2, expected text"),
        (
            {"scenario_source": ["x"], "command": None},
            'scenario_source: found ["x"], expected text or null',
        ),
        ({"settings": {"ppo": 3}}, "settings.ppo: found 3, expected a block"),
        ({"run_version": "2.0"}, "was written by a newer Townlet: run_version is '2.0', expected 1.0"),
        ({"run_version": 1}, "run_version: found 1, expected text"),
    ],
)
def test_a_wrong_field_of_run_json_is_a_sentence(townlet, run, change, said):
    io.write_json(run / "run.json", {**about(run), **change})
    for command in (("train", "--resume", run, "--cycles", "2"), ("evaluate", run)):
        code, _, stderr = townlet(*command)
        assert code == 2
        assert f"run.json: {said}" in stderr, stderr


def test_a_field_that_is_missing_is_named_and_one_that_is_unknown_is_kept(townlet, run):
    io.write_json(run / "run.json", {**about(run), "colour": {"of": "a newer version"}})
    assert townlet("train", "--resume", run, "--cycles", "2", "-q")[0] == 0
    assert about(run)["colour"] == {"of": "a newer version"}
    io.write_json(run / "run.json", {})
    code, _, stderr = townlet("train", "--resume", run)
    assert code == 2
    assert "run.json: status: missing, expected 'running', " in stderr


def test_a_resume_that_does_nothing_is_not_noted_as_one(townlet, run):
    before = (run / "run.json").read_bytes()
    for more in ((), ("--cycles", "1")):
        code, stdout, stderr = townlet("train", "--resume", run, *more)
        assert code == 0
        assert "nothing is left to do" in stderr
        assert "resuming" not in stderr
        assert f"run: {run}" in stdout
        assert (run / "run.json").read_bytes() == before


def test_a_run_killed_after_its_last_checkpoint_is_finished_and_not_noted_as_resumed(townlet, run):
    io.write_json(run / "run.json", {**about(run), "status": "running", "ended": None})
    assert townlet("train", "--resume", run, "-q")[0] == 0
    assert (about(run)["status"], about(run)["resumed"]) == ("finished", [])


def test_a_resume_that_is_refused_leaves_the_run_as_it_was(townlet, run):
    shutil.rmtree(run / "recorded")
    (run / "recorded").touch()
    before = (run / "run.json").read_bytes()
    assert townlet("train", "--resume", run, "--cycles", "2")[0] != 0
    assert (run / "run.json").read_bytes() == before


def test_the_folder_of_a_run_is_told_once_as_its_result(townlet, tmp_path):
    _, stdout, stderr = townlet(
        "train", *TINY, "--cycles", "1", "--mode", "rollout", "--output", tmp_path / "r"
    )
    assert (stdout + stderr).count(f"run: {tmp_path / 'r'}") == 1


def test_more_cycles_under_a_linear_schedule_say_what_becomes_of_the_learning_rate(townlet, tmp_path):
    run = tmp_path / "linear"
    linear = ("--mode", "rollout", "--lr-schedule", "linear", "--learning-rate", "0.001")
    assert townlet("train", *TINY, "--cycles", "2", *linear, "--output", run, "-q")[0] == 0
    _, _, stderr = townlet("train", "--resume", run, "--cycles", "4", "-q")
    assert (
        "warning: --cycles 4 moves the linear schedule: after cycle 2 the learning rate is 0.0005" in stderr
    )
    assert "with 2 cycles it was 0" in stderr
    _, _, stderr = townlet("train", "--resume", run, "--cycles", "4", "-q")
    assert stderr == ""


@pytest.mark.parametrize("damage", [b"\n", b"{}\n", b"not json\n", b'{"tick": 1'])
def test_a_log_of_events_that_is_damaged_stops_nothing(townlet, run, tmp_path, damage):
    recorded = tmp_path / "capture"
    shutil.copytree(run / "recorded", recorded)
    log = recorded / "rollout_sample_events.jsonl"
    log.write_bytes(log.read_bytes() + damage)
    given = ("--mode", "replay", "--replay-manifest", recorded / "rollout_sample_manifest.json")
    code, _, stderr = townlet("train", *TINY, "--cycles", "1", *given, "--output", tmp_path / "r")
    assert code == 0
    assert ("its events are not counted" in stderr) == (damage != b"\n")


@pytest.mark.parametrize("option", ["--ppo-log", "--capture-dir", "--output"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_begins(townlet, tmp_path, option):
    (tmp_path / "file").touch()
    rest = () if option == "--output" else ("--output", tmp_path / "run")
    code, _, stderr = townlet("train", *SMALL, option, tmp_path / "file" / "x", *rest)
    assert code == 2
    assert f"{tmp_path / 'file'}: is a file, expected a folder" in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
