"""A log in the formats of other libraries, each read back by its library."""

import csv
import gzip
import json
import math
import re
from pathlib import Path

import orjson
import polars
import pyarrow.parquet as pq
import pytest
from event_files import read_events, read_histogram

from townlet_core.errors import InputError
from townlet_core.telemetry.export import NAMES, Updates
from townlet_core.telemetry.export_columns import BLOCK, write_csv_file, write_parquet_file
from townlet_core.telemetry.export_tensorboard import export_tensorboard
from townlet_core.telemetry.fields import BY_NAME, FIELDS
from townlet_core.telemetry.reader import read_telemetry
from townlet_core.telemetry.writer import TelemetryWriter


def mixed_cycles(make_record, cycles=3, epochs=2, mode=("replay", "rollout")):
    """Yield the records of cycles of a mixed run; a rollout has 60 environment steps."""
    epoch = 0
    for cycle in range(cycles):
        for half in mode:
            for repeat in range(epochs):
                epoch += 1
                live = half == "rollout"
                env_steps = 60 * (cycle + live) if "rollout" in mode else 0
                yield make_record(
                    epoch,
                    cycle_id=cycle,
                    data_mode=half,
                    env_steps=env_steps,
                    rollout_ticks=20 * live,
                    loss_value=1.0 + repeat,
                    loss_entropy=0.5,
                    grad_norm_max=1.0 + repeat,
                    queue_conflict_events=cycle,
                    timestamp="2026-11-28T10:00:00.000+00:00",
                    run_id="run-1",
                )


@pytest.fixture
def log(tmp_path, make_record):
    """A log of three mixed cycles in three segments, the first compressed."""
    path = tmp_path / "ppo.jsonl"
    with TelemetryWriter(path, max_records=5) as writer:
        for record in mixed_cycles(make_record):
            writer.write(record)
    first = tmp_path / "ppo.jsonl.1"
    (tmp_path / "ppo.jsonl.1.gz").write_bytes(gzip.compress(first.read_bytes()))
    first.unlink()
    return path


def test_parquet_holds_every_record_with_the_types_and_units_of_the_fields(log, tmp_path):
    output = tmp_path / "ppo.parquet"
    columns = write_parquet_file(read_telemetry(log), output, force=False)
    table = pq.read_table(output)
    assert (columns.rows, table.num_rows, columns.left_out) == (12, 12, {})
    assert table.column_names == [field.name for field in FIELDS]
    records = list(read_telemetry(log))
    for name in ("epoch", "loss_value", "data_mode", "rivalry_max_histogram"):
        assert table[name].to_pylist() == [record[name] for record in records]
    assert table["reward_mean"].null_count == 12
    assert table.schema.field("kl_divergence").metadata[b"unit"] == b"nats"
    assert polars.read_parquet(output)["env_steps"].to_list() == [record["env_steps"] for record in records]


def test_csv_holds_every_record_and_a_missing_value_is_empty(log, tmp_path):
    output = tmp_path / "ppo.csv"
    write_csv_file(read_telemetry(log), output, force=False)
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    assert {row["reward_mean"] for row in rows} == {""}
    assert json.loads(rows[0]["rivalry_max_histogram"]) == [4, 3, 2, 1, 0, 0, 0, 0, 0, 0]
    assert polars.read_csv(output)["loss_value"].to_list() == [1.0, 2.0] * 6


def test_values_that_do_not_fit_a_column_are_left_out_and_counted(tmp_path):
    records = [
        {"epoch": 1.0, "loss_total": "low", "scenario": 3, "rivalry_max_histogram": [1.5], "mood": 1},
        {"epoch": 1 << 70, "loss_total": math.nan, "lr": True, "mood": 2},
    ]
    columns = write_parquet_file(records, tmp_path / "x.parquet", force=False)
    rows = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert [row["epoch"] for row in rows] == [1, None]
    assert rows[0]["loss_total"] is None
    assert math.isnan(rows[1]["loss_total"])
    left_out = {"mood": 2, "loss_total": 1, "scenario": 1, "rivalry_max_histogram": 1, "epoch": 1, "lr": 1}
    assert columns.left_out == left_out


def test_a_log_of_several_blocks_is_whole(tmp_path, make_record):
    records = ({"epoch": epoch} for epoch in range(BLOCK + 3))
    write_parquet_file(records, tmp_path / "x.parquet", force=False)
    assert pq.read_table(tmp_path / "x.parquet")["epoch"].to_pylist() == list(range(BLOCK + 3))


@pytest.mark.parametrize("write", [write_csv_file, write_parquet_file])
def test_an_export_that_fails_leaves_what_was_there(tmp_path, write):
    def broken():
        yield {"epoch": 1}
        raise InputError("damaged")

    with pytest.raises(InputError, match="damaged"):
        write(broken(), tmp_path / "x", force=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x").write_bytes(b"mine")
    with pytest.raises(InputError, match="already exists"):
        write([{"epoch": 1}], tmp_path / "x", force=False)
    with pytest.raises(InputError, match="damaged"):
        write(broken(), tmp_path / "x", force=True)
    assert (tmp_path / "x").read_bytes() == b"mine"


def test_tensorboard_gets_a_point_per_update_and_mode_under_the_names_of_sb3(log, tmp_path):
    points = export_tensorboard(read_telemetry(log), tmp_path / "tb")
    assert points == {"replay": 3, "rollout": 3}
    rollout = read_events(tmp_path / "tb" / "rollout")
    assert rollout["train/value_loss"] == [(60, 3.0), (120, 3.0), (180, 3.0)]  # 2 × the mean of 1 and 2
    assert rollout["train/entropy_loss"] == [(60, -0.5), (120, -0.5), (180, -0.5)]
    assert rollout["townlet/grad_norm_max"] == [(60, 2.0), (120, 2.0), (180, 2.0)]
    assert rollout["townlet/queue_conflict_events"] == [(60, 0), (120, 1), (180, 2)]
    assert rollout["train/n_updates"] == [(60, 4), (120, 8), (180, 12)]
    assert [step for step, _ in read_events(tmp_path / "tb" / "replay")["train/loss"]] == [0, 60, 120]
    counts = read_histogram(tmp_path / "tb" / "rollout", "townlet/rivalry_max_histogram")
    assert counts == [4, 3, 2, 1, 0, 0, 0, 0, 0, 0]


def test_recordings_alone_are_drawn_over_sample_passes(tmp_path, make_record):
    export_tensorboard(mixed_cycles(make_record, mode=("replay",)), tmp_path / "tb")
    assert [step for step, _ in read_events(tmp_path / "tb" / "replay")["train/loss"]] == [128, 256, 384]
    export_tensorboard(mixed_cycles(make_record, 1, mode=("replay",)), tmp_path / "one")
    assert [step for step, _ in read_events(tmp_path / "one" / "replay")["train/loss"]] == [128]


def test_names_of_cleanrl_and_our_own(log, tmp_path):
    export_tensorboard(read_telemetry(log), tmp_path / "cleanrl", "cleanrl")
    cleanrl = read_events(tmp_path / "cleanrl" / "rollout")
    assert cleanrl["losses/value_loss"][0] == (60, 1.5)
    assert cleanrl["losses/entropy"][0] == (60, 0.5)
    assert "townlet/loss_total" in cleanrl
    export_tensorboard(read_telemetry(log), tmp_path / "own", "townlet")
    assert {tag.partition("/")[0] for tag in read_events(tmp_path / "own" / "rollout")} == {"townlet"}


def test_a_tensorboard_export_replaces_only_an_export(log, tmp_path):
    output = tmp_path / "tb"
    export_tensorboard(read_telemetry(log), output)
    with pytest.raises(InputError, match="already exists"):
        export_tensorboard(read_telemetry(log), output)
    export_tensorboard([{"epoch": 1, "loss_total": 2.0}], output, force=True)
    assert sorted(path.name for path in output.iterdir()) == ["townlet_export.json", "unknown"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"holds more .*notes\.md"):
        export_tensorboard(read_telemetry(log), tmp_path / "mine", force=True)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.md"]
    (output / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"holds more .*notes\.md"):
        export_tensorboard(read_telemetry(log), output, force=True)
    assert (output / "notes.md").read_text() == "mine"


@pytest.mark.parametrize("value", [math.nan, math.inf, "x", None, True, [1], 1e309])
def test_a_value_that_is_no_number_is_no_point(value):
    updates = Updates("sb3")
    updates.add({"epoch": 1, "loss_total": value, "kl_divergence": 0.5, "timestamp": value})
    point = updates.finish()
    assert point.values.keys() >= {"train/approx_kl"}
    assert "train/loss" not in point.values
    assert (point.wall_time, updates.finish()) == (0.0, None)


def test_a_mode_cannot_lead_out_of_the_export(tmp_path):
    with pytest.raises(InputError, match="data_mode"):
        export_tensorboard([{"epoch": 1, "loss_total": 1, "data_mode": "../../x"}], tmp_path / "a" / "b")
    assert not (tmp_path / "x").exists()


def test_every_name_is_of_a_field_and_no_two_share_one():
    for names in NAMES.values():
        tags = [name.name for name in names.values()]
        assert len(set(tags)) == len(tags)
        assert names.keys() <= BY_NAME.keys()


def test_the_command_writes_each_format(townlet, log, tmp_path):
    for form, name in (("parquet", "x.parquet"), ("tensorboard", "tb"), ("csv", "x.csv")):
        code, out, err = townlet("telemetry", "export", log, "--to", form, "--output", tmp_path / name)
        assert (code, "12 records" in out, "next: " in err) == (0, True, True)
        code, _, err = townlet("telemetry", "export", log, "--to", form, "--output", tmp_path / name)
        assert (code, "already exists" in err) == (2, True)
    found = townlet(
        "telemetry", "export", log, "--to", "tensorboard", "--output", tmp_path / "tb", "--force", "--json"
    )[1]
    assert json.loads(found)["points"] == {"replay": 3, "rollout": 3}


def test_csv_goes_to_stdout_without_an_output(townlet, log):
    code, out, err = townlet("telemetry", "export", log, "--to", "csv")
    assert (code, out.count("\n"), err) == (0, 13, "")
    assert townlet("telemetry", "export", log, "--to", "csv", "--output", "-")[1] == out
    assert townlet("telemetry", "export", log, "--to", "csv", "--json")[0] == 2
    assert townlet("telemetry", "export", log, "--to", "parquet")[0] == 2


def test_damaged_lines_are_left_out_and_counted_and_an_empty_log_is_refused(townlet, log, tmp_path):
    with open(log, "ab") as file:
        file.write(b"{half\n" + orjson.dumps({"epoch": 13, "mood": 1}) + b"\n")
    code, out, err = townlet("telemetry", "export", log, "--to", "csv", "--output", tmp_path / "x.csv")
    assert (code, "13 records" in out) == (0, True)
    assert "1 damaged line left out" in err
    assert "mood: 1 value left out" in err
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    for form in ("csv", "parquet", "tensorboard"):
        assert townlet("telemetry", "export", empty, "--to", form, "--output", tmp_path / "e")[0] == 2
        assert not (tmp_path / "e").exists()


def test_the_table_of_the_page_has_the_names_that_are_written():
    page = (Path(__file__).resolve().parents[2] / "docs" / "telemetry.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \| [^|]*\|$", page, re.MULTILINE)
    named = {field: (sb3.strip("`"), cleanrl.strip("`")) for field, sb3, cleanrl in rows}
    for column, library in enumerate(("sb3", "cleanrl")):
        written = {field: name.name for field, name in NAMES[library].items()}
        shown = {field: names[column] for field, names in named.items() if "/" in names[column]}
        assert shown == written
