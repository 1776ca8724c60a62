"""`townlet train --force` replaces a run where it stands and keeps the rest; a refused run leaves nothing."""

import json
import os
import shlex

import pytest

from townlet_core import io
from townlet_core.training import session

SMALL = shlex.split(
    "--cycles 1 --num-towns 2 --hidden-size 8 --rollout-ticks 5 --num-epochs 1 --mode rollout"
)


@pytest.fixture
def run(townlet, tmp_path):
    """A run, with a note and a notebook of its user's."""
    assert townlet("train", *SMALL, "--output", tmp_path / "run", "-q")[0] == 0
    for name in ("notes.md", "plots/look.ipynb"):
        io.write_file(tmp_path / "run" / name, b"mine")
    return tmp_path / "run"


def started(run):
    return io.read_json(run / "run.json")["started"]


def test_what_a_user_put_into_a_run_stays_and_is_named(townlet, run):
    before = started(run)
    code, _, stderr = townlet("train", *SMALL, "--output", run, "--force")
    assert code == 0
    assert started(run) != before
    assert (run / "notes.md").read_bytes() == (run / "plots" / "look.ipynb").read_bytes() == b"mine"
    assert f"removed from {run}: checkpoints, config.sources.json, config.yaml" in stderr
    assert "kept, not recognised as the run's: notes.md, plots" in stderr


def test_the_folder_one_stands_in_can_be_replaced(townlet, run, monkeypatch):
    monkeypatch.chdir(run)
    before = started(run)
    assert townlet("train", *SMALL, "--output", ".", "--force", "-q")[0] == 0
    assert os.getcwd() == str(run)
    assert started(run) != before
    record = json.loads((run / "telemetry.jsonl").read_text().splitlines()[0])
    assert record["run_id"].startswith("run-")


def test_through_a_link_the_run_it_leads_to_is_replaced(townlet, run, tmp_path):
    (tmp_path / "latest").symlink_to(run)
    before = started(run)
    assert townlet("train", *SMALL, "--output", tmp_path / "latest", "--force", "-q")[0] == 0
    assert (tmp_path / "latest").is_symlink()
    assert started(run) != before


def test_a_link_inside_a_run_is_refused_and_the_run_stays(townlet, run, tmp_path):
    (run / "checkpoints").rename(tmp_path / "large disk")
    (run / "checkpoints").symlink_to(tmp_path / "large disk")
    code, _, stderr = townlet("train", *SMALL, "--output", run, "--force")
    assert code == 2
    assert "checkpoints: is a link, which no run wrote and --force does not remove" in stderr
    assert (tmp_path / "large disk" / "latest.json").exists()
    assert (run / "run.json").exists()


def test_a_run_that_only_its_recordings_refuse_leaves_nothing(townlet, tmp_path):
    # Of one tick that does not end for good there is nothing to learn.
    scenario = tmp_path / "faint.yaml"
    scenario.write_text(
        "name: faint\nticks: 1\ngrid: {size: [4, 2]}\nagents: [{id: anna, position: [0, 0]}]\n"
    )
    own = ("--mode", "replay", "--capture-towns", "1")
    code, _, stderr = townlet("train", scenario, *own, "--output", tmp_path / "a" / "run")
    assert code == 2
    assert "nothing to learn" in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["faint.yaml"]


@pytest.mark.parametrize("failing", ["record_script", "Trainer"])
def test_a_disk_that_refuses_before_the_first_checkpoint_leaves_nothing(
    townlet, tmp_path, monkeypatch, failing
):
    def refuse(*arguments):
        raise io.disk_error(OSError(28, "No space left on device"), "somewhere")

    monkeypatch.setattr(session, failing, refuse)
    command = ("train", *SMALL, "--mode", "replay", "--capture-towns", "1", "--output", tmp_path / "run")
    assert townlet(*command)[0] == 5
    assert list(tmp_path.iterdir()) == []


def test_another_run_that_has_begun_here_is_not_taken_back(townlet, run, monkeypatch):
    monkeypatch.setattr(session, "choose_folder", lambda output, *rest: output)
    (run / "checkpoints" / "latest.json").unlink()  # it has only just begun
    code, _, stderr = townlet("train", *SMALL, "--output", run)
    assert code == 2
    assert "another run has begun here" in stderr
    assert (run / "run.json").exists()


def test_a_run_json_of_another_program_makes_no_run(townlet, tmp_path):
    for name, text in (
        ("run.json", '{"job": 7}'),
        ("config.yaml", "mine: true"),
        ("checkpoints/latest.json", "{}"),
    ):
        io.write_file(tmp_path / "job" / name, text.encode())
    code, _, stderr = townlet("train", *SMALL, "--output", tmp_path / "job", "--force")
    assert code == 2
    assert "run.json: status: missing" in stderr
    assert (tmp_path / "job" / "config.yaml").read_text() == "mine: true"


@pytest.mark.parametrize(
    "log", ["config.yaml", "scenario.yaml", "run.json", ".lock", "samples", "samples/log.jsonl"]
)
def test_a_log_in_the_place_of_another_file_of_its_run_is_refused(townlet, tmp_path, log):
    run = tmp_path / "run"
    code, _, stderr = townlet("train", *SMALL, "--output", run, "--ppo-log", run / log)
    assert code == 2
    assert f"--ppo-log {run / log}: is where the run {run} keeps other files" in stderr
    assert not run.exists()


@pytest.mark.parametrize("place", [".", "checkpoints", "checkpoints/deeper"])
def test_recordings_in_the_place_of_other_files_of_their_run_are_refused(townlet, tmp_path, place):
    run = tmp_path / "run"
    own = ("--mode", "replay", "--capture-towns", "1", "--capture-dir", run / place)
    code, _, stderr = townlet("train", *SMALL, *own, "--output", run)
    assert code == 2
    assert f"--capture-dir {run / place}: is where the run {run} keeps other files" in stderr
    assert not run.exists()


@pytest.mark.parametrize("folder", ["run", "elsewhere"])
def test_a_log_that_force_replaces_is_named_and_not_said_to_be_kept(townlet, tmp_path, folder):
    log = tmp_path / folder / "ppo.jsonl"
    command = ("train", *SMALL, "--cycles", "3", "--output", tmp_path / "run", "--ppo-log", log)
    assert townlet(*command, "--log-max-bytes", "1024", "-q")[0] == 0
    code, _, stderr = townlet(*command, "--force")
    assert code == 0
    assert f"replaced the log {log}: ppo.jsonl.1, ppo.jsonl.2, ppo.jsonl\n" in stderr
    assert "kept" not in stderr


def test_force_is_not_offered_where_it_would_be_refused(townlet, tmp_path):
    io.write_file(tmp_path / "run" / "notes.md", b"mine")
    for force in ((), ("--force",)):
        code, _, stderr = townlet("train", *SMALL, "--output", tmp_path / "run", *force)
        assert code == 2
        assert "already exists, and holds something else than a run" in stderr
        assert stderr.endswith("hint: choose another --output\n")
