"""`townlet train --dry-run` checks the input, says what would be made and removed, and writes nothing."""

import json
import shlex

import pytest

from townlet_core import io
from townlet_core.locks import lock_folder

SMALL = shlex.split(
    "--cycles 1 --num-towns 2 --hidden-size 8 --rollout-ticks 5 --num-epochs 1 --mode rollout"
)


def everything(folder):
    return sorted((str(path), path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")])


@pytest.fixture
def run(townlet, tmp_path, monkeypatch):
    """A run with a log elsewhere and a note of its user's, in the working folder."""
    monkeypatch.chdir(tmp_path)
    assert townlet("train", *SMALL, "-o", "run", "--ppo-log", "ppo.jsonl", "-q")[0] == 0
    io.write_file(tmp_path / "run" / "notes.md", b"mine")
    return tmp_path / "run"


def test_what_would_go_is_what_goes(townlet, run, tmp_path):
    before = everything(tmp_path)
    again = ("train", *SMALL, "-o", "run", "--ppo-log", "ppo.jsonl", "--force")
    code, out, err = townlet(*again, "--dry-run")
    assert (code, everything(tmp_path)) == (0, before)
    found = json.loads(townlet(*again, "--dry-run", "--json")[1])
    assert everything(tmp_path) == before
    removed = ", ".join(found["removed"])
    assert f"would remove the run that is there: {removed}" in out
    assert "would keep what is not of it: notes.md" in out
    assert f"would remove the log that is there: {tmp_path / 'ppo.jsonl'}" in out
    assert "nothing was written" in err
    assert found["removed_log"] == [str(tmp_path / "ppo.jsonl")]
    assert f"removed from run: {removed}" in townlet(*again)[2]


def test_settings_recordings_and_memory_are_told(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = townlet("train", "queue_conflict", "--seed", 7, "--gamma", 0.5, "-n", "--json")
    found = json.loads(out)
    assert (code, found["run"], found["resumes"]) == (0, "runs/queue_conflict-s7-1", False)
    assert (found["settings"]["training"]["seed"], found["settings"]["ppo"]["gamma"]) == (7, 0.5)
    samples = "runs/queue_conflict-s7-1/samples"
    assert found["recordings"] == {"folder": samples, "towns": 18, "ticks": 80, "is_there": False}
    assert found["memory_bytes"] == 44 * found["parameters"]
    assert list(tmp_path.iterdir()) == []
    assert "18 towns of 80 ticks into" in townlet("train", "queue_conflict", "--seed", 7, "-n")[1]
    given = json.loads(townlet("train", *SMALL, "-n", "--json")[1])
    assert given["recordings"] is None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-o", "run"), "run: already exists"),
        (("-o", "new", "--ppo-log", "ppo.jsonl"), "ppo.jsonl: already exists"),
        (("-o", "new", "--ppo-log", "run/checkpoints"), "run/checkpoints: is a folder"),
        (("-o", "new", "--set", "training.scenario=nowhere"), "nowhere"),
        (("--resume", "run"), "not dry_run"),
    ],
)
def test_a_mistake_is_found(townlet, run, tmp_path, flags, message):
    small = SMALL[:2] if "--resume" in flags else SMALL
    before = everything(tmp_path)
    code, _, err = townlet("train", *small, *flags, "--dry-run")
    assert (code, message in err) == (2, True)
    assert everything(tmp_path) == before


def test_a_run_that_goes_on_is_not_replaced(townlet, run):
    with lock_folder(run):
        code, _, err = townlet("train", *SMALL, "-o", "run", "--force", "--dry-run")
    assert (code, "another process is writing here" in err) == (73, True)


def test_each_seed_is_told_and_which_would_be_resumed(townlet, tmp_path):
    several = ("train", *SMALL, "--seeds", "0-1", "--output", tmp_path / "set")
    assert townlet("train", *SMALL, "--output", tmp_path / "set" / "s0", "-q")[0] == 0
    before = everything(tmp_path)
    code, out, _ = townlet(*several, "-n", "--json")
    runs = json.loads(out)["runs"]
    assert (code, [run["resumes"] for run in runs]) == (0, [True, False])
    assert [run["run"] for run in runs] == [str(tmp_path / "set" / name) for name in ("s0", "s1")]
    assert "would resume the run in" in townlet(*several, "-n")[1]
    assert [run["resumes"] for run in json.loads(townlet(*several, "-n", "-f", "--json")[1])["runs"]] == [
        False,
        False,
    ]
    assert townlet(*several, "-n", "--gamma", 0.5)[0] == 2
    assert everything(tmp_path) == before
