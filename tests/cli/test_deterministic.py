"""`--deterministic`: checkpoints are evaluated and captured with their most probable actions."""

import json

import numpy as np
import pytest


@pytest.fixture
def run(townlet, tmp_path):
    few = ("--cycles", 1, "--epochs", 1, "--num-towns", 2, "--rollout-ticks", 8, "--mode", "rollout")
    assert townlet("train", "rivalry_decay", *few, "--output", tmp_path / "rd", "-q")[0] == 0
    return tmp_path / "rd"


def test_the_most_probable_actions_are_evaluated_and_captured_on_request(townlet, run, tmp_path):
    _, stdout, stderr = townlet("evaluate", run, "scripted", "--episodes", 2, "--deterministic")
    assert "rd (deterministic)" in stdout
    assert "scripted (deterministic)" not in stdout
    assert "--deterministic --output" in stderr
    _, stdout, _ = townlet("evaluate", run, "scripted", "--episodes", 2, "--deterministic", "--json")
    found = json.loads(stdout)
    assert found["interval"] == {"level": 0.95, "method": "student_t", "over": "episodes"}
    assert [policy["deterministic"] for policy in found["policies"]] == [True, False]
    captured = ("capture", "rivalry_decay", "--policy", run, "--deterministic", "--output", tmp_path / "c")
    assert townlet(*captured, "-q")[0] == 0
    for path in (tmp_path / "c").glob("*_0*.npz"):
        assert (np.load(path)["old_log_probs"] == 0).all()
        assert json.loads(path.with_suffix(".json").read_text())["capture"]["deterministic"] is True


@pytest.mark.parametrize("command", [("evaluate", "scripted"), ("capture", "queue_conflict")])
def test_a_script_is_not_asked_to_be_deterministic(townlet, command):
    code, _, stderr = townlet(*command, "--deterministic")
    assert code == 2
    assert "--deterministic is for checkpoints" in stderr
