"""Several logs in one export: a column `run`, or a folder per run."""

import json
import shutil
from pathlib import Path

import polars
import pytest
from event_files import read_events

from townlet_core.errors import InputError
from townlet_core.telemetry.export import names_of_runs
from townlet_core.telemetry.writer import TelemetryWriter


@pytest.fixture
def runs(tmp_path, make_record):
    """A folder of two runs, s0 of three records and s1 of two."""
    for name, epochs in (("s0", 3), ("s1", 2)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        with TelemetryWriter(folder / "telemetry.jsonl") as log:
            for epoch in range(1, epochs + 1):
                log.write(make_record(epoch, cycle_id=epoch, env_steps=20 * epoch))
    return tmp_path / "runs"


@pytest.mark.parametrize(("form", "read"), [("csv", polars.read_csv), ("parquet", polars.read_parquet)])
def test_a_table_says_first_of_which_run_a_row_is(townlet, runs, tmp_path, form, read):
    output = tmp_path / f"both.{form}"
    arguments = ("telemetry", "export", runs / "s0", runs / "s1", "--to", form, "--output", output, "--json")
    code, out, _ = townlet(*arguments)
    table = read(output)
    assert (code, table.columns[0]) == (0, "run")
    assert table["run"].to_list() == ["s0"] * 3 + ["s1"] * 2
    assert table["epoch"].to_list() == [1, 2, 3, 1, 2]
    found = json.loads(out)
    assert found["records"] == 5
    assert found["runs"][1] == {"run": "s1", "log": str(runs / "s1" / "telemetry.jsonl"), "records": 2}


def test_a_folder_of_runs_stands_for_them_and_one_log_has_no_run(townlet, runs):
    both = townlet("telemetry", "export", runs / "s0", runs / "s1", "--to", "csv")[1]
    assert townlet("telemetry", "export", runs, "--to", "csv")[1] == both
    one = townlet("telemetry", "export", runs / "s0", "--to", "csv")[1]
    assert one.splitlines() == [line.partition(",")[2] for line in both.splitlines()[:4]]


def test_tensorboard_has_a_folder_per_run(townlet, runs, tmp_path):
    output = tmp_path / "tb"
    arguments = ("telemetry", "export", runs, "--to", "tensorboard", "--output", output)
    code, out, _ = townlet(*arguments)
    assert (code, "5 records of 2 runs, 5 rollout points" in out) == (0, True)
    assert [step for step, _ in read_events(output / "s0" / "rollout")["train/loss"]] == [20, 40, 60]
    assert [step for step, _ in read_events(output / "s1" / "rollout")["train/loss"]] == [20, 40]


def test_tensorboard_replaces_the_runs_of_an_earlier_export_and_nothing_else(townlet, runs, tmp_path):
    output = tmp_path / "tb"
    arguments = ("telemetry", "export", runs, "--to", "tensorboard", "--output", output)
    townlet(*arguments)
    assert townlet(*arguments)[0] == 2
    shutil.rmtree(runs / "s1")
    assert townlet(*arguments, "--force")[0] == 0
    assert sorted(path.name for path in output.iterdir()) == ["s0", "townlet_export.json"]
    (output / "s1").mkdir()
    code, _, err = townlet(*arguments, "--force")
    assert (code, "holds more than Townlet wrote there (s1)" in err) == (2, True)
    assert (output / "s1").is_dir()


def test_damage_is_told_of_its_log_and_an_empty_log_ends_the_export(townlet, runs, tmp_path):
    with open(runs / "s1" / "telemetry.jsonl", "ab") as file:
        file.write(b"{half\n")
    code, _, err = townlet("telemetry", "export", runs, "--to", "csv", "--output", tmp_path / "x.csv")
    assert code == 0
    assert f"{runs / 's1' / 'telemetry.jsonl'}: 1 damaged line left out" in err
    (runs / "s1" / "telemetry.jsonl").write_bytes(b"")
    for form in ("csv", "parquet", "tensorboard"):
        code, _, err = townlet("telemetry", "export", runs, "--to", form, "--output", tmp_path / "y")
        assert (code, "s1/telemetry.jsonl: holds no record" in err) == (2, True)
        assert not (tmp_path / "y").exists()


def test_runs_of_one_name_are_told_apart_by_their_path():
    assert names_of_runs([Path("runs/a"), Path("more/b.jsonl")]) == ["a", "b.jsonl"]
    assert names_of_runs([Path("x/a/s0"), Path("x/b/s0"), Path("x/c")]) == ["a/s0", "b/s0", "c"]
    assert names_of_runs([Path("x/a"), Path("x/a/a")]) == ["a", "a/a"]
    with pytest.raises(InputError, match="a: named twice"):
        names_of_runs([Path("a"), Path("x/../a")])
