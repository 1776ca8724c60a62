"""A run writes its log alone, goes on in its own only, and says what the log has lost."""

import json
import os
import shlex
import shutil

import orjson
import pytest

from townlet_core import io
from townlet_core.locks import LOCK_NAME
from townlet_core.telemetry.writer import TelemetryWriter

TRAIN = shlex.split(
    "train queue_conflict --mode rollout --num-towns 2 --hidden-size 8 --rollout-ticks 5 --num-epochs 2 -q"
)


@pytest.fixture
def run(townlet, tmp_path):
    """A run of one cycle, two records, with a log outside its folder; returns both."""
    run, log = tmp_path / "a" / "run", tmp_path / "ppo.jsonl"
    assert townlet(*TRAIN, "--cycles", 1, "--output", run, "--ppo-log", log)[0] == 0
    return run, log


def records(log):
    return [orjson.loads(line) for line in log.read_bytes().splitlines()]


def contents(*paths):
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return {file: file.read_bytes() for file in files if file.is_file() and file.name != LOCK_NAME}


def test_the_second_of_two_runs_with_one_log_is_busy_and_leaves_nothing(townlet, tmp_path):
    with TelemetryWriter(tmp_path / "ppo.jsonl"):  # as the first does
        code, _, stderr = townlet(*TRAIN, "--output", tmp_path / "b", "--ppo-log", tmp_path / "ppo.jsonl")
        assert code == 73
        assert f"ppo.jsonl: another process is writing to it (pid {os.getpid()}: " in stderr
        assert sorted(os.listdir(tmp_path)) == [".ppo.jsonl.lock", "ppo.jsonl"]


def test_the_log_is_locked_before_recordings_are_made_and_until_the_run_ends(townlet, tmp_path, monkeypatch):
    log, codes = tmp_path / "ppo.jsonl", []
    real = io.write_file

    def write_file(path, data):
        if not codes and path.name.endswith(".npz"):
            codes.append(None)  # this once
            codes[0] = townlet(*TRAIN, "--output", tmp_path / "b", "--ppo-log", log)[0]
        real(path, data)

    monkeypatch.setattr(io, "write_file", write_file)
    mixed = [word.replace("rollout", "mixed") if word == "rollout" else word for word in TRAIN]
    command = (*mixed, "--cycles", 1, "--capture-towns", 1, "--output", tmp_path / "a", "--ppo-log", log)
    assert townlet(*command)[0] == 0
    assert codes == [73]
    assert sorted(os.listdir(tmp_path)) == ["a", "ppo.jsonl"]
    assert len({record["run_id"] for record in records(log)}) == 1


def test_a_log_that_another_run_has_since_written_is_not_cut(townlet, tmp_path, run):
    folder, log = run
    other = ("--cycles", 2, "--output", tmp_path / "b" / "run", "--ppo-log", log, "--force")
    assert townlet(*TRAIN, *other)[0] == 0
    before = contents(folder, log)
    code, _, stderr = townlet("train", "--resume", folder, "--cycles", 2)
    assert code == 2
    assert f"{log}: holds records of run 'run-" in stderr
    assert contents(folder, log) == before
    log.rename(tmp_path / "other.jsonl")  # as the hint says
    code, _, stderr = townlet("train", "--resume", folder, "--cycles", 2)
    assert code == 0
    assert "the log goes on with a gap" in stderr


def test_two_runs_in_folders_of_one_name_are_two(townlet, tmp_path, run):
    assert townlet(*TRAIN, "--cycles", 1, "--output", tmp_path / "b" / "run")[0] == 0
    first = {record["run_id"] for record in records(run[1])}
    second = {record["run_id"] for record in records(tmp_path / "b" / "run" / "telemetry.jsonl")}
    assert first == {json.loads((run[0] / "run.json").read_text())["run_id"]}
    assert not first & second


def test_a_log_that_lost_its_end_is_told_and_validate_finds_the_gap(townlet, run):
    folder, log = run
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    code, _, stderr = townlet("train", "--resume", folder, "--cycles", 2)
    assert code == 0
    assert "ends with record 1, and the run had written up to 2: the log goes on with a gap" in stderr
    code, stdout, _ = townlet("telemetry", "validate", log)
    assert code == 1
    assert "is 3 after 1, expected 2: records are missing" in stdout


def test_a_moved_run_goes_on_in_its_own_log_and_validates(townlet, tmp_path):
    assert townlet(*TRAIN, "--cycles", 1, "--output", tmp_path / "run")[0] == 0
    shutil.move(tmp_path / "run", tmp_path / "moved")
    assert townlet("train", "--resume", tmp_path / "moved", "--cycles", 2, "-q")[0] == 0
    code, stdout, _ = townlet("telemetry", "validate", tmp_path / "moved")
    assert (code, stdout) == (0, f"{tmp_path}/moved/telemetry.jsonl: 4 records, no problems\n")


def test_a_run_that_began_before_there_were_ids_goes_on(townlet, run):
    folder, log = run
    run_file = json.loads((folder / "run.json").read_text())
    del run_file["run_id"]
    (folder / "run.json").write_text(json.dumps(run_file))
    lines = log.read_text().replace(records(log)[0]["run_id"], "run")
    log.write_text(lines)
    assert townlet("train", "--resume", folder, "--cycles", 2, "-q")[0] == 0
    assert {record["run_id"] for record in records(log)} == {"run"}
    assert townlet("telemetry", "validate", log)[0] == 0


def test_a_run_in_a_folder_whose_name_is_no_text_has_an_id_that_is(townlet, tmp_path):
    folder = tmp_path / os.fsdecode(b"b\xff")
    code, _, stderr = townlet(*TRAIN, "--cycles", 1, "--output", folder)
    assert code == 0, stderr
    assert records(folder / "telemetry.jsonl")[0]["run_id"].startswith("b\\xff-")


def test_a_log_is_written_through_a_link_with_every_segment_beside_the_file(townlet, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "ppo.jsonl")
    rotated = ("--cycles", 3, "--log-max-bytes", 3000, "--ppo-log", tmp_path / "link")
    assert townlet(*TRAIN, *rotated, "--output", tmp_path / "run")[0] == 0
    assert (tmp_path / "link").is_symlink()
    assert len(os.listdir(tmp_path / "disk")) > 2
    for log in (tmp_path / "link", tmp_path / "run"):
        code, stdout, _ = townlet("telemetry", "validate", log)
        assert code == 0
        assert "6 records, no problems" in stdout
