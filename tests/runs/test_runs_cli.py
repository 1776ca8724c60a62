"""The commands on runs: tables of at most 80 columns for people, one JSON object for machines."""

import json
import re
from pathlib import Path

import pytest

from townlet_core.locks import lock_folder


@pytest.fixture
def runs(make_run, tmp_path, set_age, monkeypatch):
    """Two finished runs and a failed one below runs/, in the current folder."""
    monkeypatch.chdir(tmp_path)
    set_age(make_run("runs/first", settings={"learning_rate": 0.01}), 3)
    set_age(make_run("runs/second"), 2)
    set_age(make_run("runs/third", status="failed", reason="RunFailed: not finite\x1b[31m"), 1)
    return tmp_path / "runs"


def width_of(text):
    return max(map(len, text.splitlines()))


def test_list_shows_every_run_in_80_columns(townlet, runs):
    code, out, err = townlet("runs", "list")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines[1:4]] == ["runs/third", "runs/second", "runs/first"]
    assert [line[1] for line in lines[1:4]] == ["failed", "finished", "finished"]
    assert lines[1][2] == "3/3"
    assert lines[4][:2] == ["3", "runs,"]
    assert width_of(out) <= 80
    assert "next: townlet runs compare runs/third runs/second" in err


def test_list_sorts_and_selects(townlet, runs):
    def listed(*options):
        return [one["run"] for one in json.loads(townlet("runs", "list", "--json", *options)[1])["runs"]]

    assert listed("--sort", "name") == ["runs/first", "runs/second", "runs/third"]
    assert listed("--status", "failed") == ["runs/third"]
    state = json.loads((runs / "first/checkpoints/latest.json").read_text())["generation"]
    path = runs / "first" / "checkpoints" / state / "state.json"
    content = json.loads(path.read_text())
    content["state"]["best_return"] = 5.0
    path.write_text(json.dumps(content))
    assert listed("--sort", "best")[0] == "runs/first"
    assert " return " in townlet("runs", "list")[1].splitlines()[0]


def test_where_there_is_no_run_the_list_says_how_to_make_one(townlet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert townlet("runs", "list") == (0, "no runs, 0.0 MB\n", "next: townlet train\n")
    assert townlet("runs", "list", "missing")[0] == 3


def test_a_damaged_run_is_a_warning_and_in_the_json(townlet, runs):
    (runs / "first" / "run.json").write_bytes(b"{")
    code, out, err = townlet("runs", "list", "--json")
    assert code == 0
    assert "warning: runs/first: " in err
    [unreadable] = json.loads(out)["unreadable"]
    assert unreadable["run"] == "runs/first"


def test_show_tells_settings_with_their_origins(townlet, runs):
    code, out, err = townlet("runs", "show", "runs/second")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["seed", "7", "flag"] in rows
    assert ["cycles", "3", "environment"] in rows
    assert ["num_towns", "3", "config.yaml"] in rows
    assert not any(row[:1] == ["learning_rate"] for row in rows)
    assert width_of(out) <= 80
    assert "next: townlet evaluate runs/second/checkpoints/best.json scripted random" in err
    assert ["learning_rate", "0.0003", "default"] in [
        line.split() for line in townlet("runs", "show", "--all", "runs/second")[1].splitlines()
    ]


def test_show_escapes_what_files_say_and_tells_how_to_go_on(townlet, runs):
    _, out, err = townlet("runs", "show", "runs/third")
    assert "failed: RunFailed: not finite\\x1b[31m" in out
    assert "next: townlet train --resume runs/third" in err
    with lock_folder(runs / "third"):
        _, out, err = townlet("runs", "show", "runs/third")
    assert "status    running" in out
    assert "next: townlet telemetry watch --follow runs/third" in err


def test_show_as_json_holds_every_setting(townlet, runs):
    found = json.loads(townlet("runs", "show", "runs/second", "--json")[1])
    assert found["settings"]["seed"] == {"value": 7, "origin": "flag"}
    assert found["best"]["path"] == "runs/second/checkpoints/best.json"
    assert (found["status"], found["cycles_done"]) == ("finished", 3)


def test_compare_shows_what_differs_and_how_the_runs_ended(townlet, runs):
    code, out, _ = townlet("runs", "compare", "runs/first", "runs/second", "runs/third")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["learning_rate", "0.01", "0.0003", "0.0003"] in rows
    assert ["status", "finished", "finished", "failed"] in rows
    assert not any(row[:1] == ["seed"] for row in rows)
    found = json.loads(townlet("runs", "compare", "runs/first", "runs/second", "--json")[1])
    assert found["settings"] == [{"name": "learning_rate", "values": [0.01, 0.0003]}]
    assert townlet("runs", "compare", "runs/first")[0] == 2


def test_prune_lists_first_and_removes_with_yes(townlet, runs):
    code, out, err = townlet("runs", "prune", "--keep", "1")
    assert code == 0
    assert "2 runs to remove" in out
    assert "repeat the command with --yes" in err
    assert len(list(runs.iterdir())) == 3
    with lock_folder(runs / "first"):
        _, out, err = townlet("runs", "prune", "--keep", "1", "--yes")
    assert "1 run removed" in out
    assert "not touched: runs/first: is running" in err
    assert sorted(path.name for path in runs.iterdir()) == ["first", "third"]


def test_prune_as_json_says_what_goes_and_what_stays(townlet, runs):
    (runs / "first" / "notes.md").write_text("mine")
    assert "stays, not written by a run: runs/first: notes.md" in townlet("runs", "prune", "--keep", "2")[2]
    found = json.loads(townlet("runs", "prune", "--keep", "2", "--yes", "--json")[1])
    assert found["removed"] is True
    assert [one["run"] for one in found["going"]] == ["runs/first"]
    assert found["going"][0]["other_files"] == ["notes.md"]
    assert len(found["staying"]) == 2
    assert (runs / "first" / "notes.md").read_text() == "mine"
    assert townlet("runs", "prune")[0] == 2


def test_compare_gives_scores_over_seeds_with_intervals(townlet, make_run, runs):
    for seed in (8, 9):
        make_run(f"runs/other-{seed}", settings={"seed": seed})
    code, out, err = townlet("runs", "compare", "runs/first", "runs/second", "runs/other-8", "runs/other-9")
    assert code == 0
    assert width_of(out) <= 80
    assert re.search(r"learning_rate 0.0003 +3 +-0\.\d+", out)
    assert re.search(r"learning_rate 0.01 +1 +-0\.\d+ *\n", out)  # one seed: no interval
    assert "the unit is the seed" in err
    found = json.loads(townlet("runs", "compare", "runs/second", "runs/other-8", "--json")[1])
    assert found["scores"][0]["seeds"] == [7, 8]
    assert found["profiles"][0]["fraction"][-1] == 0


def test_export_writes_to_stdout_and_to_files(townlet, runs):
    code, out, _ = townlet("runs", "export", "runs/second", "--to", "csv")
    assert (code, out.splitlines()[1].split(",")[0]) == (0, "queue_conflict")
    assert townlet("runs", "export", "runs/second", "--to", "marl-eval", "-o", "found.json")[0] == 0
    assert "townlet" in json.loads(Path("found.json").read_text())
    assert townlet("runs", "export", "runs/second", "--to", "latex", "-o", "found.json")[0] == 2
    assert townlet("runs", "export", "runs/second", "--to", "latex", "-o", "found.json", "--force")[0] == 0
    assert Path("found.json").read_text().startswith("% Mean over seeds")
