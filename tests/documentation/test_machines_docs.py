"""The scripts of the page about many machines run, and their shards are merged to what one command prints."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from generate import DOCS

from townlet_core.capture import settings
from townlet_core.vocab import NEEDS

PAGE = (DOCS / "machines.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SMALL = {"--episodes 10000": "--episodes 250", "--towns 10000": "--towns 16 --ticks 3", "/data/": ""}
WHOLE = ("evaluate", "scripted", "random", "--episodes", 250)


def scripts(kind, word):
    """Return the blocks of a language with a word in them, made small."""
    found = [text for language, text in BLOCKS if language == kind and word in text]
    for large, small in SMALL.items():
        found = [text.replace(large, small) for text in found]
    return found


@pytest.fixture
def play(townlet, tmp_path, monkeypatch):
    """Run a script in a shell, note its commands, and run them here; returns what the last one printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "BLOCK_TRANSITIONS", 2 * 3 * 3)  # two towns
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "townlet").write_text('#!/bin/sh\nprintf "%s\\n" "$*" >> lines\n')
    (programs / "townlet").chmod(0o755)

    def run(script, **variables):
        lines = Path("lines")
        lines.unlink(missing_ok=True)
        path = f"{programs}:/usr/bin:/bin"
        subprocess.run(["sh", "-ec", script], env={"PATH": path, **variables}, check=True)
        said = ""
        for line in sorted(lines.read_text().splitlines(), key=lambda line: "merge" in line):
            code, said, talk = townlet(*shlex.split(line))
            assert code == 0, f"{line}\n{talk}"
        return said

    return run


def test_shards_of_an_evaluation_are_merged_in_a_shell(play, townlet):
    (script,) = scripts("sh", "xargs -P 4 -I{} townlet evaluate")
    assert play(script) == townlet(*WHOLE)[1]


def test_shards_of_a_capture_are_merged_in_a_shell(play, townlet):
    (script,) = scripts("sh", "xargs -P 4 -I{} townlet capture")
    for number in range(1, 9):
        Path("captures", f"{number}").mkdir(
            parents=True
        )  # for the shell's pattern; capture makes them as well
    play(script)
    whole = ("capture", "queue_conflict", "--towns", 16, "--ticks", 3, "--format", "arrow", "-o", "one")
    assert townlet(*whole)[0] == 0
    one, joined = (
        {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.name != ".lock"}
        for folder in ("one", "captures/all")
    )
    assert one == joined


def test_shards_of_an_evaluation_are_merged_after_an_array_of_slurm(play, townlet):
    (script,) = scripts("sh", "#SBATCH")
    first, last = map(int, re.search(r"--array=(\d+)-(\d+)", script).groups())
    for task in range(first, last + 1):
        play(script, SLURM_ARRAY_TASK_ID=f"{task}")
    assert townlet("evaluate", "--merge", "parts")[1] == townlet(*WHOLE)[1]


def test_shards_of_an_evaluation_are_merged_after_a_job_of_kubernetes(play, townlet):
    (text,) = scripts("yaml", "kind: Job")
    job = yaml.safe_load(text)["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert (job["completionMode"], container["command"]) == ("Indexed", ["sh", "-c"])
    for index in range(job["completions"]):
        play(container["args"][0], JOB_COMPLETION_INDEX=f"{index}")
    assert townlet("evaluate", "--merge", "parts")[1] == townlet(*WHOLE)[1]


def test_the_three_commands_at_the_top_run_in_order(play, townlet):
    script = scripts("sh", "--shard 1/2")[0]
    assert play(script) == townlet(*WHOLE)[1]


def test_shards_of_an_evaluation_are_merged_after_jobs_of_submitit(townlet, tmp_path):
    pytest.importorskip("submitit")
    (script,) = scripts("python", "import submitit")
    for large, small in (("shards = 8", "shards = 2"), ('folder="jobs"', 'folder="jobs", cluster="local"')):
        assert large in script
        script = script.replace(large, small)
    (tmp_path / "jobs.py").write_text(script)
    (tmp_path / "townlet").write_text(f'#!/bin/sh\nexec {sys.executable} -m townlet_cli "$@"\n')
    (tmp_path / "townlet").chmod(0o755)
    variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "jobs.py"], cwd=tmp_path, env=variables, check=True)
    assert townlet("evaluate", "--merge", tmp_path / "parts")[1] == townlet(*WHOLE)[1]
    assert len(list(tmp_path.glob("jobs/*_result.pkl"))) == 2  # played by submitit


def test_shards_are_played_and_merged_from_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (script,) = scripts("python", "write_shard")
    exec(script, {})
    assert capsys.readouterr().out == "100 True\n"


def test_the_page_names_the_columns_of_a_shard(townlet, tmp_path):
    assert townlet(*WHOLE, "--shard", "8/8", "-o", tmp_path)[0] == 0
    (place,) = tmp_path.glob("*.parquet")
    (text,) = re.findall(
        r"^A shard of an evaluation is a Parquet file.*?\n\n", PAGE, re.MULTILINE | re.DOTALL
    )
    columns = [name for name in pq.read_schema(place).names if name not in NEEDS]
    assert re.findall(r"`(\w+)`", text) == columns
    assert pq.read_table(place)["episode"].to_pylist() == 2 * list(range(224, 250))
