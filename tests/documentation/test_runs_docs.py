"""The sessions of docs/runs.md run in order and print what the page shows, except for measured numbers."""

import re
import shlex
import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "runs"))

from made_runs import edit, make_old, train_small

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "runs.md").read_text("utf-8")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs, the last one killed."""
    folder = train_small(tmp_path_factory.mktemp("trained") / "small")
    here = tmp_path_factory.mktemp("here")
    for seed, (rate, status) in enumerate(((0.001, "finished"), (0.0003, "finished"), (0.0003, "running"))):
        run = here / "runs" / f"queue_conflict-s{seed}-1"
        shutil.copytree(folder, run)
        edit(run / "run.json", status=status, settings={"seed": seed, "learning_rate": rate})
        make_old(run, 3 - seed, time.time())
    return here


def comparable(line):
    """Return a line without what depends on the machine and the moment, and without widths."""
    line = re.sub(r"-?\d+\.\d+(e-\d+)?|small-[0-9a-f]{8}|\d{4}-\d\d-\d\dT\S+", "N", line)
    line = re.sub(r"\d+ (equal )?settings?", "N settings", line)  # there are more in every version
    return re.sub(r" +", " ", line).strip()


def test_every_session_prints_what_the_page_shows(townlet, runs, monkeypatch):
    monkeypatch.chdir(runs)
    blocks = "".join(re.findall(r"^```text\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL))
    parts = re.split(r"^\$ (townlet .*)\n", blocks, flags=re.MULTILINE)[1:]
    assert len(parts) == 10
    for command, text in zip(parts[::2], parts[1::2], strict=True):
        code, out, _ = townlet(*shlex.split(command)[1:])
        assert code == 0
        shown = [comparable(line) for line in text.splitlines()]
        printed = [comparable(line) for line in out.splitlines()]
        if "…" in shown:  # lines are left out there
            cut = shown.index("…")
            printed[cut : len(printed) - len(shown) + cut + 1] = ["…"]
        assert printed == shown, command


def test_the_example_in_python_runs(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs)
    [example] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(example, "docs/runs.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    runs_found = [line for line in lines if line.startswith("runs/queue_conflict-s")]
    assert len(runs_found) in (2, 3)  # whether the sessions above have pruned already
    scores = lines[len(runs_found) :]
    assert scores
    assert all(line.startswith("reward_mean learning_rate") for line in scores)
