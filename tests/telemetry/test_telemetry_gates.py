"""A gate that saw no data, or a part of it, has not passed: it exits 1 and says what it did not see."""

import pytest

from townlet_core.telemetry.writer import TelemetryWriter

GATE = ("--fail-on-alert", "--alert", "reward_mean < -9")


@pytest.fixture
def log(tmp_path, make_record):
    path = tmp_path / "log"
    with TelemetryWriter(path, max_records=2) as writer:
        for epoch in range(1, 4):
            writer.write(make_record(epoch, reward_mean=0.5, run_id="a-1"))
    return path


def replay_record(make_record, **changes):
    return make_record(data_mode="replay", rollout_ticks=0, **changes)


def append(log, text):
    with open(log, "a") as file:
        file.write(text)


def test_a_gate_that_saw_a_whole_log_and_no_alert_passes(townlet, log):
    assert townlet("telemetry", "watch", log, *GATE)[0] == 0
    assert townlet("telemetry", "watch", log, *GATE[:-1], "reward_mean < -9 for 3 in rollout")[0] == 0


@pytest.mark.parametrize("content", ["", "\n", "garbage\n", '{"half', "[1]\n[2]\n"])
@pytest.mark.parametrize("follow", [(), ("--follow",)])
def test_a_gate_that_saw_no_record_has_not_passed(townlet, tmp_path, monkeypatch, content, follow):
    (tmp_path / "log").write_text(content)
    monkeypatch.setattr("townlet_cli.telemetry_session.wait_for_more", lambda *_: False)  # the end of a pipe
    code, stdout, stderr = townlet("telemetry", "watch", tmp_path / "log", *GATE, *follow)
    assert (code, stdout) == (1, "")
    assert "no record in this log, so no rule was tried" in stderr


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("ess_fraction < 0.1", "'ess_fraction < 0.1' saw no value of ess_fraction"),
        (
            "reward_mean < -9 in mixed",
            "'reward_mean < -9 in mixed' saw no value of reward_mean in mixed records",
        ),
        ("lr > 1 in replay", "saw no value of lr in replay records"),
        ("reward_mean < -9 for 4", "'reward_mean < -9 for 4' saw only 3, and needs 4 in a row"),
    ],
)
def test_a_rule_that_could_not_have_tripped_has_not_passed(townlet, log, rule, reason):
    code, _, stderr = townlet("telemetry", "watch", log, *GATE, "--alert", rule)
    assert code == 1
    assert reason in stderr
    assert "reward_mean < -9'" not in stderr  # the rule that was tried


def test_an_alert_is_told_before_what_was_not_seen(townlet, log):
    append(log, "garbage\n")
    rules = ("--alert", "reward_mean > 0", "--alert", "ess_fraction < 0.1")
    code, _, stderr = townlet("telemetry", "watch", log, "--fail-on-alert", *rules)
    assert code == 1
    assert "error: " + f"{log}: 3 alerts" in stderr


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda log: append(log, "garbage\n"), "1 line holds no record"),
        (lambda log: append(log, 'garbage\n{"half'), "2 lines hold no record"),
        (lambda log: log.with_name("log.1").unlink(), "it is not one whole log of one run"),
        (lambda log: log.with_name("log.1").rename(log.with_name("log.1.zst")), "it is not one whole log"),
        (
            lambda log: log.write_bytes(log.read_bytes().replace(b'"a-1"', b'"b-2"')),
            "it is not one whole log of one run",
        ),
    ],
)
def test_a_gate_that_saw_a_part_has_not_passed(townlet, log, damage, reason):
    damage(log)
    code, stdout, stderr = townlet("telemetry", "watch", log, *GATE)
    assert code == 1
    assert reason in stderr
    assert "warning: " in stderr  # and what it is
    assert stdout  # the records are shown all the same
    assert townlet("telemetry", "watch", log)[0] == 0  # without a gate nothing is judged


def test_a_gate_on_a_log_that_is_not_there_says_so(townlet, tmp_path):
    assert townlet("telemetry", "watch", tmp_path / "log", *GATE)[0] == 3


def test_summary_says_what_is_missing(townlet, log):
    log.with_name("log.1").rename(log.with_name("log.2"))
    code, _, stderr = townlet("telemetry", "summary", log)
    assert code == 0
    assert f"warning: {log}.1: this segment is missing" in stderr
    log.with_name("log.2").unlink()
    _, _, stderr = townlet("telemetry", "summary", log)
    assert f"{log}:1: log_stream_offset of the first record is 3, expected 1: records are missing" in stderr


def write(path, *records):
    with TelemetryWriter(path) as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.mark.parametrize("threshold", [(), ("--drift-threshold", "99")])
def test_a_baseline_with_nothing_in_common_is_a_problem(townlet, log, tmp_path, threshold):
    (tmp_path / "base.json").write_text(
        '{"telemetry_version": 1.1, "ess_fraction": 0.5, "data_mode": "rollout"}'
    )
    code, stdout, _ = townlet("telemetry", "validate", log, "--baseline", tmp_path / "base.json", *threshold)
    assert code == 1
    assert "has no field in common with the baseline, so nothing was compared" in stdout
    code, _, stderr = townlet("telemetry", "summary", log, "--baseline", tmp_path / "base.json")
    assert code == 0
    assert "has no field in common with" in stderr


def test_a_threshold_that_was_held_to_a_part_of_the_baseline_is_a_problem(
    townlet, log, tmp_path, make_record
):
    both = write(
        tmp_path / "both", make_record(1, ess_fraction=0.5, reward_mean=0.5), replay_record(make_record)
    )
    arguments = ("telemetry", "validate", log, "--baseline", both)
    assert townlet(*arguments)[0] == 0  # measured only
    code, stdout, _ = townlet(*arguments, "--drift-threshold", "99")
    assert code == 1
    assert "no replay record to compare with those of the baseline" in stdout
    assert "no rollout record has it, and the baseline does: it was not compared" in stdout
    assert "ess_fraction" in stdout
    assert f"{log}: 3 records, 2 problems" in stdout


def test_a_log_with_more_than_its_baseline_is_no_problem(townlet, log, tmp_path, make_record):
    base = write(tmp_path / "base", make_record(1))
    assert townlet("telemetry", "validate", log, "--baseline", base, "--drift-threshold", "99")[0] == 0
