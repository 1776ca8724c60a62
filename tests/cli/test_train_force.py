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
