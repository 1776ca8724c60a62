"""docs/samples is what this version of Townlet makes, and its notebook runs."""

import json
import re
import shlex

import numpy as np
import orjson
from samples import CAPTURE, COMMANDS, LOG, NOTEBOOK, REPORT, SAMPLES, run

NEWER = "docs/samples is out of date; run: make samples"


def words(name):
    return shlex.split(COMMANDS[name])


def test_the_capture_is_what_the_command_captures(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert townlet(*words(CAPTURE))[0] == 0
    ours, fresh = SAMPLES / CAPTURE, tmp_path / CAPTURE
    assert {path.name for path in ours.iterdir()} == {path.name for path in fresh.iterdir()} - {".lock"}, (
        NEWER
    )
    for path in ours.glob("*.npz"):
        with np.load(path) as old, np.load(fresh / path.name) as new:
            assert old.files == new.files, NEWER
            for name in old.files:
                np.testing.assert_array_equal(old[name], new[name], NEWER)
    for path in (*ours.glob("*.jsonl"), *ours.glob("*.yaml"), *ours.glob("*metrics.json")):
        assert path.read_bytes() == (fresh / path.name).read_bytes(), NEWER


def test_the_log_is_valid_and_has_the_fields_that_training_writes(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(SAMPLES)
    assert townlet("telemetry", "validate", LOG)[0] == 0, NEWER
    short = [word if word != "6" else "1" for word in words(LOG)]
    short[short.index("--eval-every") + 1] = "1"
    short[short.index("--output") + 1] = str(tmp_path / "run")
    assert townlet(*short, "--num-epochs", "1", "--rollout-ticks", "80", "--num-towns", "2")[0] == 0
    stored, fresh = (
        [orjson.loads(line) for line in log.read_bytes().splitlines()]
        for log in (SAMPLES / LOG, tmp_path / "run" / LOG)
    )
    for mode in ("replay", "rollout"):
        last = [[record for record in log if record["data_mode"] == mode][-1] for log in (stored, fresh)]
        assert last[0].keys() == last[1].keys(), NEWER


def test_the_report_is_what_the_command_makes_of_the_log(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(SAMPLES)
    made = tmp_path / REPORT
    assert townlet(*[word if word != REPORT else str(made) for word in words(REPORT)])[0] == 0
    # Without the player's recording, whose compression differs between versions of zlib.
    stored, fresh = (
        re.sub(r"[A-Za-z0-9+/=]{200,}", "", path.read_text("utf-8")) for path in (SAMPLES / REPORT, made)
    )
    assert stored == fresh, NEWER


def test_the_notebook_has_the_output_that_its_cells_give():
    notebook = json.loads((SAMPLES / NOTEBOOK).read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] for cell in cells)
    assert run(notebook) == notebook, NEWER
