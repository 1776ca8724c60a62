"""Commands with s3:// addresses, as people type them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.command_line import COMMANDS, call

from townlet_cli.addresses import PARAMETERS
from townlet_core.capture import settings

PLACE = "s3://bucket/runs/one"
MANIFEST = f"{PLACE}/rollout_sample_manifest.json"


@pytest.fixture
def here(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return server


def run(line, code=0):
    found, out, err = call(line)
    assert found == code, err
    return out + err


def test_the_table_names_parameters_that_exist():
    for command, name in PARAMETERS.items():
        assert name in [parameter.name for parameter in COMMANDS[command].params]


def test_a_capture_is_written_validated_and_trained_on_where_it_lies(here):
    said = run(f"capture queue_conflict --ticks 6 -o {PLACE}/")
    assert f"manifest: {MANIFEST}" in said
    assert f"next: townlet train queue_conflict --mode mixed --replay-manifest {MANIFEST}" in said
    assert os.listdir() == []
    assert f"{PLACE}: ok: 1 manifest, 3 samples," in run(f"replay validate {PLACE}")
    assert f"{MANIFEST}: ok: 1 manifest, 3 samples," in run(f"replay validate {MANIFEST}")
    assert "3 samples, 18 transitions" in run(f"replay inspect {PLACE}")
    assert "3 samples" in run(f"replay stats {PLACE}")
    run(f"replay inspect {PLACE} --format html -o page.html")
    tiny = "--mode replay --cycles 1 --num-epochs 1 --hidden-size 8 -o run"
    run(f"train --replay-manifest {MANIFEST} {tiny}")
    assert MANIFEST in Path("run/config.yaml").read_text()


def test_json_names_the_address(here):
    made = json.loads(call(f"capture observation_baseline --ticks 2 -o {PLACE} --json -q")[1])
    assert made["manifest"] == MANIFEST
    plan = json.loads(call(f"capture observation_baseline --ticks 2 -o {PLACE} --force -n --json -q")[1])
    assert (plan["output"], len(plan["removed"])) == (PLACE, 6)
    [report] = json.loads(call(f"replay validate {PLACE} --json -q")[1])["reports"]
    assert (report["path"], report["ok"]) == (PLACE, True)


def test_shards_are_merged_from_where_they_lie(here, monkeypatch):
    monkeypatch.setattr(settings, "BLOCK_TRANSITIONS", 60)
    whole = "queue_conflict --ticks 10 --towns 4"
    for number in (1, 2):
        run(f"capture {whole} --format arrow --shard {number}/2 -o s3://bucket/parts/{number}")
    run(f"capture {whole} --format arrow -o whole")
    run("replay merge s3://bucket/parts/2 s3://bucket/parts/1 -o joined")
    names = [name for name in sorted(os.listdir("whole")) if name[0] != "."]
    assert names == [name for name in sorted(os.listdir("joined")) if name[0] != "."]
    assert all(Path("whole", name).read_bytes() == Path("joined", name).read_bytes() for name in names)


def test_what_would_be_written_beside_the_data_is_refused(here):
    run(f"capture observation_baseline --ticks 2 -o {PLACE} -q")
    for line in (
        f"replay stats {PLACE} --store",
        f"replay stats {PLACE} --card",
        f"replay inspect {PLACE} --format html",
    ):
        assert f"error: {PLACE}: is an address" in run(line, 2)


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("capture queue_conflict -o s3://nowhere/x", 3, "error: s3://nowhere: no such bucket"),
        ("capture queue_conflict -o s3://b", 2, "error: s3://b: is not well formed"),
        ("replay validate s3://bucket/x", 3, "error: s3://bucket/x: no such object or prefix"),
        ("train --mode replay --replay-manifest s3://bucket/x", 3, "error: s3://bucket/x: no such object"),
        ("train --replay-sample s3://bucket/x.npz", 2, "error: s3://bucket/x.npz: is an address"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_leaves_nothing(here, line, code, sentence):
    assert sentence in run(line, code)
    assert [name for name in os.listdir() if name != "cache"] == []


def test_an_address_in_a_variable_is_read(here, monkeypatch):
    run(f"capture queue_conflict --ticks 6 -o {PLACE} -q")
    monkeypatch.setenv("TOWNLET_REPLAY_MANIFEST", MANIFEST)
    assert MANIFEST in run("config show")
    run("train --mode replay --cycles 1 --num-epochs 1 --hidden-size 8 -o run")


def test_a_capture_that_was_killed_while_it_uploaded_shows_nothing(here):
    killed = []

    def kill(method, key, data):
        if method == "PUT" and key.endswith("_metrics.json"):
            killed.append(key)
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()

    here.fault = kill
    words = ["capture", "observation_baseline", "--ticks", "2", "-o", PLACE]
    writer = subprocess.Popen([sys.executable, "-m", "townlet_cli", *words], stderr=subprocess.DEVNULL)
    assert writer.wait() == -signal.SIGKILL
    assert killed
    here.fault = lambda method, key, data: None
    time.sleep(0.1)  # the request that the kill left behind
    assert "error: s3://bucket/runs/one: holds no manifest" in run(f"replay validate {PLACE}", 2)
    line = f"capture observation_baseline --ticks 2 -o {PLACE}"
    assert "another process is writing here, or was interrupted" in run(line, 73)
    run(f"{line} --force")
    run(f"replay validate {PLACE}")
