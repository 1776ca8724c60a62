"""The telemetry commands print what was asked, exit as documented, and say what to do next."""

import json
import os
import re

import orjson
import pytest

from townlet_core.telemetry.writer import TelemetryWriter


@pytest.fixture
def log(tmp_path, make_record):
    path = tmp_path / "telemetry.jsonl"
    with TelemetryWriter(path) as writer:
        for epoch, kl in enumerate((0.1, 0.3, 0.4), start=1):
            writer.write(make_record(epoch, kl_divergence=kl))
    return path


def test_a_good_log_validates_and_the_next_command_is_named(townlet, log):
    code, stdout, stderr = townlet("telemetry", "validate", log)
    assert code == 0
    assert stdout == f"{log}: 3 records, no problems\n"
    assert f"next: townlet telemetry summary {log}" in stderr


def test_problems_are_listed_with_their_lines_and_exit_1(townlet, log):
    with open(log, "a") as file:
        file.write('{"epoch": 4}\n{"half')
    code, stdout, stderr = townlet("telemetry", "validate", log)
    assert code == 1
    assert f"{log}:4" in stdout
    assert "missing, required since 1.0" in stdout
    assert f"{log}:5" in stdout
    assert "error: 19 problems" in stderr  # 18 other fields of 1.0, and the half-written line


def test_validate_prints_one_json_object(townlet, log, tmp_path):
    (tmp_path / "empty.jsonl").touch()
    code, stdout, _ = townlet("telemetry", "validate", "--json", log, tmp_path / "empty.jsonl")
    assert code == 1
    assert orjson.loads(stdout) == {
        "schema": "townlet.telemetry.validate/1",
        "problems": [
            {
                "path": f"{tmp_path}/empty.jsonl",
                "line": 0,
                "column": 0,
                "field": "",
                "problem": "no record in this log",
            }
        ],
        "logs": [
            {"path": str(log), "records": 3, "problems": 0, "drift": []},
            {"path": f"{tmp_path}/empty.jsonl", "records": 0, "problems": 1, "drift": []},
        ],
    }


def test_drift_beyond_the_threshold_exits_1(townlet, log, tmp_path, make_record):
    with TelemetryWriter(tmp_path / "baseline") as writer:
        writer.write(make_record(1, kl_divergence=0.1))
    arguments = ("telemetry", "validate", log, "--baseline", tmp_path / "baseline")
    code, stdout, _ = townlet(*arguments)
    assert code == 0
    assert ["kl_divergence", "0.1", "0.2667", "+0.1667", "+166.7", "%"] in map(str.split, stdout.splitlines())
    code, stdout, _ = townlet(*arguments, "--drift-threshold", "0.1")
    assert code == 1
    assert "drift 0.1667 is above 0.1" in stdout
    assert townlet(*arguments, "--drift-threshold", "2", "--relative")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["validate", "nothing.jsonl"], 3, "nothing.jsonl: no such log"),
        (["validate", "."], 2, "is a folder"),
        (["validate", "LOG", "--drift-threshold", "1"], 2, "compare with a baseline"),
        (["validate", "LOG", "--baseline", "LOG", "--drift-threshold", "nan"], 2, "expected 0 or more"),
        (["validate", "LOG", "--baseline", "nothing"], 3, "nothing"),
        (["summary", "nothing.jsonl"], 3, "no such log"),
        (["summary", "LOG", "--format", "pdf"], 2, "pdf"),
        (["watch", "nothing.jsonl"], 3, "no such log"),
        (["watch", "LOG", "--alert", "kl > 1"], 2, "unknown field 'kl'"),
        (["watch", "LOG", "--rules", "nothing.yaml"], 3, "no such file"),
        (["watch", "LOG", "--fail-on-alert"], 2, "no rule to fail on"),
    ],
)
def test_bad_input_is_one_sentence_and_the_documented_code(townlet, log, arguments, code, message):
    found, stdout, stderr = townlet("telemetry", *(log if a == "LOG" else a for a in arguments))
    assert (found, stdout) == (code, "")
    assert message in stderr


def test_watch_prints_a_line_per_record_and_marks_alerts(townlet, log):
    code, stdout, _ = townlet("telemetry", "watch", log, "--alert", "kl_divergence > 0.2 for 2")
    lines = stdout.splitlines()
    assert code == 0
    assert [line.split()[1] for line in lines] == ["1", "2", "3"]
    assert ["ALERT" in line for line in lines] == [False, False, True]
    assert "ALERT kl_divergence > 0.2 for 2 (0.4)" in lines[2]


def test_watch_fails_on_an_alert_and_only_then(townlet, log, tmp_path):
    (tmp_path / "rules.yaml").write_text("- alert: kl_divergence > 0.35\n  data_mode: rollout\n")
    arguments = ("telemetry", "watch", log, "--fail-on-alert", "--rules", tmp_path / "rules.yaml")
    code, stdout, stderr = townlet(*arguments)
    assert code == 1
    assert len(stdout.splitlines()) == 3
    assert "1 alert" in stderr
    assert townlet("telemetry", "watch", log, "--fail-on-alert", "--alert", "lr > 1")[0] == 0


def test_following_ends_at_the_first_alert_when_it_may_fail(townlet, log):
    rule = ("--alert", "kl_divergence > 0.2")
    code, stdout, _ = townlet("telemetry", "watch", log, "--follow", "--fail-on-alert", *rule)
    assert code == 1
    assert len(stdout.splitlines()) == 2


def test_watch_prints_ndjson(townlet, log):
    _, stdout, _ = townlet("telemetry", "watch", log, "--json", "--alert", "kl_divergence > 0.35")
    shown = [orjson.loads(line) for line in stdout.splitlines()]
    assert [one["record"]["epoch"] for one in shown] == [1, 2, 3]
    alert = {"rule": "kl_divergence > 0.35", "field": "kl_divergence", "value": 0.4}
    assert [one["alerts"] for one in shown] == [[], [], [alert]]


def test_a_nan_trips_the_rule_and_damage_is_told_on_stderr(townlet, log):
    with open(log, "a") as file:
        file.write('{"epoch": 4, "lr": NaN}\n{"epo\n')
    code, stdout, stderr = townlet("telemetry", "watch", log, "--fail-on-alert", "--alert", "lr > 1 for 9")
    assert code == 1
    assert "ALERT lr > 1 for 9 (–)" in stdout
    assert f"warning: {log}:5: column" in stderr


def test_outside_text_cannot_reach_the_terminal_raw(townlet, tmp_path, make_record):
    log = tmp_path / "log"
    with TelemetryWriter(log) as writer:
        writer.write(make_record(1, scenario="\x1b[2J[red]evil[/red]\nx"))
    code, stdout, _ = townlet("telemetry", "summary", log)
    assert code == 0
    assert "scenario \\x1b[2J[red]evil[/red] x" in stdout.split("\n\n")[0].splitlines()[1]


def test_summary_prints_each_format(townlet, log):
    assert "kl_divergence " in townlet("telemetry", "summary", log)[1]
    assert (
        "| kl_divergence | 0.1 | 1 | 0.4 | 3 |"
        in townlet("telemetry", "summary", log, "--format", "markdown")[1]
    )
    for flag in (["--json"], ["--format", "json"]):
        data = orjson.loads(townlet("telemetry", "summary", log, *flag)[1])
        assert data["modes"]["rollout"]["fields"]["kl_divergence"]["maximum_epoch"] == 3
        assert data["latest"]["epoch"] == 3


def test_reports_of_one_record_speak_of_one_record(tmp_path, make_record, townlet):
    log = tmp_path / "log"
    with TelemetryWriter(log) as writer:
        writer.write(make_record(1, env_steps=1, steps=1))
    with open(log, "a") as file:
        file.write("not a record\n")
    told = [townlet("telemetry", "validate", log), townlet("telemetry", "watch", log)]
    told += [townlet("telemetry", "summary", log, "--format", form) for form in ("text", "markdown")]
    said = "\n".join(stdout + stderr for _, stdout, stderr in told)
    assert said.count("1 record, 1 damaged line, 1 environment step, 1 sample pass") == 2
    assert "1 record, 1 problem" in said
    assert re.findall(r"\b1 (?:[a-z]+ )?(?:records|lines|problems|steps|passes)\b", said) == []


def test_the_object_is_whole_where_a_log_cannot_be_read_to_its_end(townlet, log):
    log.with_name(f"{log.name}.1").mkdir()
    code, stdout, stderr = townlet("telemetry", "validate", "--json", log)
    assert code == 5
    said = orjson.loads(stdout)
    assert said["problems"] == []
    assert said["error"] in stderr


def test_a_file_name_that_is_no_text_is_printed_as_escapes(townlet, log):
    odd = os.fsdecode(os.fsencode(log.parent) + b"/b\xff.jsonl")
    os.rename(log, odd)
    code, stdout, _ = townlet("telemetry", "validate", "--json", odd)
    assert code == 0
    assert json.loads(stdout)["logs"][0]["path"] == odd
    code, stdout, _ = townlet("telemetry", "summary", odd)
    assert code == 0
    assert "b\\udcff.jsonl" in stdout


def test_more_records_than_any_log_has_are_refused(townlet, log):
    assert townlet("telemetry", "summary", "--last", 10**20, log)[0] == 2
