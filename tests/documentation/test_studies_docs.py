"""The session, the scripts and the example of the page about studies run, with fewer cycles."""

import json
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from generate import DOCS

from townlet_core.study.results import Result
from townlet_core.study.state import State
from townlet_core.study.table import FILES

PAGE = (DOCS / "studies.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SMALL = "cycles: 1, num_towns: 1, rollout_ticks: 8, hidden_size: 8"


def blocks(language):
    return [text for found, text in BLOCKS if found == language]


def shape(text):
    """Return a text without its numbers, which are those of more cycles, and without its spaces."""
    return re.sub(r"-?[\d.:]*\d", "#", " ".join(text.split()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for all tests here, with the plan of the page, made small."""
    folder = tmp_path_factory.mktemp("study")
    (plan,) = blocks("yaml")
    assert "cycles: 10, num_towns: 8, hidden_size: 32" in plan
    (folder / "plan.yaml").write_text(plan.replace("cycles: 10, num_towns: 8, hidden_size: 32", SMALL))
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def test_the_session_prints_what_the_page_shows(townlet, here):
    jobs, status, table = blocks("text")
    lines = [line for line in blocks("sh")[0].splitlines() if line]
    said = {line.split()[3]: townlet(*shlex.split(line)[1:]) for line in lines}
    assert [code for code, _, _ in said.values()] == [0, 0, 0, 0]
    assert said["--list"][1] == jobs
    assert said["--run"][1].splitlines()[-1] == "job 7  queue_conflict scripted: done"
    assert shape(said["--status"][1]) == shape(status)
    assert shape(said["--merge"][1]) == shape(table)
    assert said["--merge"][1] == Path("studies/rates", FILES[0]).read_text()


def test_the_scripts_run_every_job_and_skip_what_is_done(townlet, here):
    scripts = [text for text in blocks("sh") if "NUM_THREADS" in text]
    for script, word in zip(scripts, ("{}", '"$SLURM_ARRAY_TASK_ID"'), strict=True):
        (line,) = re.findall(r"townlet study plan\.yaml --run .*", script)
        jobs = len(blocks("text")[0].splitlines())
        assert f"seq {jobs}" in script or f"--array=1-{jobs}\n" in script
        for number in (1, jobs):
            code, out, talk = townlet(*shlex.split(line.replace(word, f"{number}"))[1:])
            assert (code, out.endswith(": skipped\n")) == (0, True)
            assert "is done already, and was not run again" in talk


def test_other_commands_take_the_runs_of_a_study(townlet, here):
    code, out, _ = townlet("runs", "list", "studies/rates", "--json")
    assert (code, len(json.loads(out)["runs"])) == (0, 6)
    (pattern,) = re.findall("^townlet report (.*)$", PAGE, re.MULTILINE)
    runs = sorted(here.glob(pattern))
    assert [run.name for run in runs] == ["base-s0", "fast-s0"]


def test_the_table_is_the_same_as_json_and_from_python(townlet, here, capsys):
    code, out, _ = townlet("study", "plan.yaml", "--merge", "--json")
    assert (code, out) == (0, Path("studies/rates", FILES[2]).read_text())
    (script,) = blocks("python")
    exec(script, {})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [
        [row["scenario"], row["method"], str(row["measures"]["return"]["mean"])]
        for row in json.loads(out)["rows"]
    ] == rows


def test_the_page_names_every_state(townlet, here):
    (text,) = re.findall(r"`--status` exits 1 .*?\n\n", PAGE, re.DOTALL)
    assert {*get_args(State)} == {*re.findall(r"`(\w+)`", text)}


def test_the_page_names_what_a_result_holds():
    (text,) = re.findall(r"^`result.json` holds .*?\n\n", PAGE, re.MULTILINE | re.DOTALL)
    named = {*re.findall(r"`(\w+)`", text)} - {"scripted", "random"}
    assert {*Result.__struct_fields__} - {"schema"} == named
