"""Watching: what the boards hold, what ends a session, and that files are noticed when they change."""

import os
import select
import time
from datetime import UTC, datetime

import orjson
import pytest

from townlet_cli import telemetry_session
from townlet_cli.console import out
from townlet_cli.telemetry_columns import draw_side_by_side
from townlet_cli.telemetry_view import draw_board
from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.telemetry import changes
from townlet_core.telemetry.alerts import load_alert_rules, parse_alert_rule
from townlet_core.telemetry.board import Board
from townlet_core.telemetry.bundled import ANY, bundled_rule_files, bundled_rules
from townlet_core.telemetry.changes import Changes
from townlet_core.telemetry.follow import Found, LogFeed, Missing, read_once
from townlet_core.telemetry.pace import Pace, format_duration, parse_duration
from townlet_core.telemetry.run_status import RunStatus, read_run_status
from townlet_core.telemetry.watch import Watch
from townlet_core.telemetry.writer import TelemetryWriter


def stamp(age):
    """Return the timestamp of a record that was written so many seconds ago."""
    return datetime.fromtimestamp(time.time() - age, UTC).isoformat()


@pytest.fixture
def write(tmp_path, make_record):
    """Write a log of records that are given by what in them is special."""

    def call(*changed, name="telemetry.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with TelemetryWriter(tmp_path / name) as writer:
            for change in changed:
                writer.write(make_record(**{"epoch": writer.offset + 1, **change}))
        return tmp_path / name

    return call


@pytest.fixture
def run(write, tmp_path):
    """Write a run of two records whose run.json says so and so."""

    def call(status, age=0, name="run", **about):
        log = write(
            *({"timestamp": stamp(age), "cycle_id": cycle} for cycle in (0, 1)),
            name=f"{name}/telemetry.jsonl",
        )
        said = {"status": status, "settings": {"training": {}}, **about}
        log.with_name("run.json").write_bytes(orjson.dumps(said))
        return log.parent

    return call


def board_of(log, *rules, **options):
    board = Board(str(log), Watch(log, [parse_alert_rule(rule) for rule in rules]), **options)
    for news in read_once(log):
        seen = board.watch.take(news)
        if isinstance(news, Found):
            board.pace.hear(news.record, time.time())
        if seen:
            board.add(seen)
    return board


def drawn(draw, what, monkeypatch, width=100, height=60):
    monkeypatch.setattr(out, "_width", width)
    monkeypatch.setattr(out, "_height", height)
    with out.capture() as capture:
        out.print(draw(what))
    return capture.get()


def test_replay_and_rollout_are_never_averaged_together(write):
    replay = {"data_mode": "replay", "rollout_ticks": 0}
    board = board_of(write({"loss_total": 1.0}, {"loss_total": 100.0, **replay}, {"loss_total": 2.0}))
    (rollout,) = [m for m in board.table("rollout") if m.name == "loss_total"]
    (recorded,) = [m for m in board.table("replay") if m.name == "loss_total"]
    assert (rollout.values, recorded.values) == ([1.0, 2.0], [100.0])
    assert board.modes() == ["rollout", "replay"]


def test_the_change_is_over_ten_values_and_a_batch_counts_once(write):
    board = board_of(
        write(*({"loss_total": float(n * n), "reward_mean": n // 4, "cycle_id": n // 4} for n in range(16)))
    )
    loss, reward = (
        next(m for m in board.table("rollout") if m.name == name) for name in ("loss_total", "reward_mean")
    )
    assert (loss.latest, loss.change) == (225.0, 225.0 - 25.0)
    assert (reward.values, reward.change) == ([0.0, 1.0, 2.0, 3.0], 3.0)  # four epochs of each batch


def test_a_metric_shows_its_limit_and_how_near_it_is(write):
    kl = [0.1, 0.3, 0.3]
    board = board_of(
        write(*({"kl_divergence": value} for value in kl)),
        "kl_divergence > 0.2 for 3",
        "lr < 1",
        "lr > 2 in replay",
    )
    states = {m.name: (m.limit, m.state) for m in board.table("rollout")}
    assert states["kl_divergence"] == ("up to 0.2", "2 of 3")
    assert states["loss_total"] == ("", "")
    assert board.watch.monitor.standing("lr", "rollout") == ("from 1", "ALERT")
    assert board.watch.monitor.standing("lr", "replay") == ("1 to 2", "ALERT")


def test_the_dashboard_shows_run_metrics_and_alerts_with_their_line(write, monkeypatch):
    log = write(*({"kl_divergence": kl, "scenario": "[red]x[/red]\x1b"} for kl in (0.1, 0.3)))
    with open(log, "a") as file:
        file.write("not json\n")
    board = board_of(log, "kl_divergence > 0.2")
    board.status = RunStatus("running", "", 10)
    shown = drawn(draw_board, board, monkeypatch)
    assert "epoch 2, 2 records, 1 damaged line, scenario [red]x[/red]\\x1b, rollout, cycle 1 of 10" in shown
    assert "running, last record 0 s ago" in shown
    assert "1 alert\nkl_divergence > 0.2: 0.3 at epoch 2, telemetry.jsonl:2\n" in shown
    (row,) = [
        line.split() for line in shown.splitlines() if line.startswith("kl_divergence ") and "ALERT" in line
    ]
    assert row[1:] == ["▁█", "0.3", "+0.2", "up", "to", "0.2", "ALERT"]


def test_a_rule_that_keeps_tripping_is_one_alert_with_a_count(write):
    board = board_of(write({}, {}, {"lr": 2.0}), "grad_norm > 0.1", "lr > 1")
    assert [(one.rule, one.times, one.line.number) for one in board.raised(5)] == [
        ("lr > 1", 1, 3),
        ("grad_norm > 0.1", 3, 3),
    ]
    assert board.raised(5)[1].text == "grad_norm > 0.1 × 3: 0.5 at epoch 3, telemetry.jsonl:3"


def test_a_low_terminal_keeps_the_metrics_that_are_in_alert(write, monkeypatch):
    board = board_of(write({}, {}), "grad_norm > 0.1")
    shown = drawn(draw_board, board, monkeypatch, height=14)
    assert "grad_norm" in shown
    assert "more metrics; a higher terminal or --metric shows others" in shown
    assert len(shown.splitlines()) <= 14


def test_logs_stand_side_by_side(write, monkeypatch):
    first = board_of(write({"loss_total": 1.0}, name="a"), "grad_norm > 0.1")
    second = board_of(write({"loss_total": 2.0, "data_mode": "replay", "rollout_ticks": 0}, name="b"))
    empty = Board("c", Watch(second.watch.path, []))
    empty.note = "waiting for c"
    shown = drawn(draw_side_by_side, [first, second, empty], monkeypatch, width=140)
    rows = [line.split() for line in shown.splitlines()]
    assert [row[1:] for row in rows if row[:1] == ["loss_total"]] == [
        ["▄", "1", "–", "–"],
        ["–", "▄", "2", "–"],
    ]
    assert ["grad_norm", "▄", "0.5", "ALERT", "–", "–"] in rows
    assert "waiting for c" in shown


def test_time_left_follows_from_the_pace_of_the_cycles():
    pace = Pace()
    for cycle in range(4):
        for epoch in range(2):
            pace.hear({"cycle_id": cycle, "timestamp": f"2026-01-01T00:00:{10 * cycle + epoch:02}Z"}, 2e9)
    assert pace.seconds_per_cycle == 10
    assert pace.seconds_left(10) == 60
    assert str(pace.seconds_left(None)) == "nan"
    pace.hear({"cycle_id": 1}, 2e9)  # resumed: the earlier cycles say nothing about the pace
    assert str(pace.seconds_per_cycle) == "nan"


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("60s", 60, "1 min"),
        ("90", 90, "1 min 30 s"),
        ("1.5h", 5400, "1 h 30 min"),
        ("2d", 172800, "2 d"),
        ("5m", 300, "5 min"),
    ],
)
def test_durations_are_read_and_written(text, seconds, shown):
    assert parse_duration(text, "--stale-after") == seconds
    assert format_duration(seconds) == shown


def test_a_status_is_read_beside_a_log_that_is_the_runs(run, write):
    folder = run("finished", cycles=7)
    assert (
        read_run_status(folder) == read_run_status(folder / "telemetry.jsonl") == RunStatus("finished", "", 7)
    )
    assert read_run_status(write({}, name="run/other.jsonl")) is None
    (folder / "run.json").write_text("{")
    assert read_run_status(folder) is None


def test_only_the_metrics_that_match_are_shown(townlet, write):
    log = write({"reward_mean": 0.5})
    line = townlet("telemetry", "watch", log, "--metric", "reward_*", "--metric", "lr")[1]
    assert line == "epoch 1  rollout  lr 0.0003  reward_advantage_corr 0.25  reward_mean 0.5\n"
    record = orjson.loads(townlet("telemetry", "watch", log, "--metric", "lr", "--json")[1])["record"]
    assert {"lr", "epoch", "data_mode"} <= record.keys()
    assert "grad_norm" not in record
    code, _, stderr = townlet("telemetry", "watch", log, "--metric", "reward_meen")
    assert (code, "did you mean 'reward_mean'" in stderr) == (2, True)


def test_watching_starts_where_it_is_told_to(townlet, write):
    log = write({"lr": 5.0}, {}, {})
    arguments = ("telemetry", "watch", log, "--fail-on-alert", "--alert", "lr > 1")
    assert townlet(*arguments)[0] == 1
    code, stdout, _ = townlet(*arguments, "--from", "2")
    assert (code, [line.split()[1] for line in stdout.splitlines()]) == (0, ["2", "3"])
    assert townlet("telemetry", "watch", log, "--from", "end")[0] == 2
    assert townlet("telemetry", "watch", log, "--from", "soon")[0] == 2


def test_from_end_shows_only_what_is_added(townlet, write, make_record, monkeypatch):
    log = write({}, {})

    def add_and_leave(*_):
        with TelemetryWriter(log) as writer:
            writer.write(make_record(3))
        monkeypatch.setattr(telemetry_session, "wait_for_more", lambda *_: False)
        return True

    monkeypatch.setattr(telemetry_session, "wait_for_more", add_and_leave)
    code, stdout, _ = townlet("telemetry", "watch", log, "--follow", "--from", "end")
    assert (code, stdout.split()[:2]) == (0, ["epoch", "3"])


def test_lines_of_several_logs_begin_with_their_names(townlet, write):
    logs = write({}, name="a"), write({}, name="b")
    stdout = townlet("telemetry", "watch", *logs)[1]
    assert [line.split("  ")[:2] for line in stdout.splitlines()] == [[str(log), "epoch 1"] for log in logs]
    stdout = townlet("telemetry", "watch", *logs, "--json")[1]
    assert [orjson.loads(line)["path"] for line in stdout.splitlines()] == [str(log) for log in logs]
    assert townlet("telemetry", "watch", logs[0], logs[0])[0] == 2


@pytest.mark.parametrize(
    ("status", "age", "options", "code", "said"),
    [
        ("running", 100, (), 4, ", more than 1 min: the trainer is dead or stalled"),
        ("running", 10, (), 0, ""),
        ("finished", 100, (), 0, ""),
        ("finished", 100, ("--exit-when-done",), 0, ""),
        ("running", 100, ("--exit-when-done",), 4, "the trainer is dead or stalled"),
        ("failed", 10, ("--exit-when-done",), 4, "the run failed: a reason"),
        ("interrupted", 10, (), 4, "the run was interrupted: a reason"),
    ],
)
def test_a_dead_trainer_exits_4(townlet, run, status, age, options, code, said):
    folder = run(status, age, reason="a reason" if status in ("failed", "interrupted") else None)
    found, stdout, stderr = townlet("telemetry", "watch", folder, "--stale-after", "60s", *options)
    assert (found, len(stdout.splitlines())) == (code, 2)
    assert said in stderr
    assert ("hint: townlet train --resume" in stderr) == (code == 4)


def test_a_run_that_never_writes_is_dead(townlet, tmp_path, monkeypatch):
    monkeypatch.setattr(telemetry_session, "wait_for_more", lambda *_: time.sleep(0.02) or True)
    code, _, stderr = townlet("telemetry", "watch", "--follow", tmp_path / "run", "--stale-after", "0.1s")
    assert code == 4
    assert f"waiting for {tmp_path}/run" in stderr


def test_following_until_done_needs_to_know_when_that_is(townlet, write):
    code, _, stderr = townlet("telemetry", "watch", write({}), "--exit-when-done")
    assert code == 2
    assert "no run.json beside it says when its run is done" in stderr
    assert townlet("telemetry", "watch", write({}, name="b"), "--stale-after", "soon")[0] == 2


def news_of(feed):
    return [news.record["epoch"] for news in feed.news() if isinstance(news, Found)]


def test_a_feed_is_read_to_its_end_as_often_as_wanted(write, tmp_path, make_record):
    feed = LogFeed(tmp_path / "log")
    assert [news.path for news in feed.news() if isinstance(news, Missing)] == [tmp_path / "log"]
    write({}, {}, name="log")
    assert news_of(feed) == [1, 2]
    assert news_of(feed) == []
    write({}, name="new")
    os.replace(tmp_path / "new", tmp_path / "log")  # another log takes its place
    assert news_of(feed) == [1]
    feed.end()
    assert (news_of(feed), feed.has_ended) == ([], True)


def test_a_feed_raises_what_reading_raises(tmp_path):
    (tmp_path / "telemetry.jsonl").mkdir()
    (tmp_path / "run.json").write_text("{")
    feed = LogFeed(tmp_path)
    with pytest.raises(ValueError, match=r"run\.json:1:2: not JSON"):
        list(feed.news())
    assert feed.has_ended


def is_told(watcher, seconds=20):
    told = bool(select.select([watcher.descriptor], [], [], seconds)[0])
    watcher.clear()
    return told


def test_changes_of_files_are_noticed(tmp_path):
    log = tmp_path / "log"
    with Changes([log]) as watcher:
        while not watcher.is_watching:
            time.sleep(0.01)
        log.write_text("1\n")
        assert is_told(watcher)
        (tmp_path / "new").write_text("2\n")
        os.replace(tmp_path / "new", log)
        assert is_told(watcher)
        assert watcher.seconds == changes.SLOW_SECONDS


def test_files_are_looked_at_more_often_where_they_cannot_be_watched(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no more watches")

    monkeypatch.setattr(changes.watchfiles, "watch", refuse)
    with Changes([tmp_path / "log"]) as watcher:
        (tmp_path / "log").write_text("1\n")
        assert not is_told(watcher, 0.05)
        assert watcher.seconds == changes.FAST_SECONDS <= 0.05


def test_rules_are_bundled_for_every_scenario_and_any_other():
    files = bundled_rule_files()
    assert files.keys() == {*bundled_scenarios(), ANY}
    for name, file in files.items():
        rules = load_alert_rules(file)
        assert all(rule.mode and rule.why for rule in rules), name
        assert bundled_rules(name) == rules
    assert bundled_rules("my_town") == bundled_rules(None) == bundled_rules(ANY)


def test_a_log_is_judged_by_the_rules_of_its_scenario_unless_others_are_given(townlet, write):
    log = write({"skipped_updates": 3})
    arguments = ("telemetry", "watch", log)
    assert "ALERT skipped_updates > 0 in rollout (3) at" in townlet(*arguments)[1]
    assert "ALERT" not in townlet(*arguments, "--rules", "none")[1]
    assert "ALERT" not in townlet(*arguments, "--alert", "lr > 1")[1]
    both = townlet(*arguments, "--alert", "lr > 0", "--rules", "bundled", "--json")[1]
    alerts = orjson.loads(both)["alerts"]
    assert [alert["rule"] for alert in alerts if "why" not in alert] == ["lr > 0"]
    assert "skipped_updates > 0 in rollout" in [alert["rule"] for alert in alerts]
    assert townlet(*arguments, "--rules", "bundled", "--fail-on-alert")[0] == 1


def test_the_bundled_rules_are_printed_to_be_copied(townlet, tmp_path):
    code, stdout, _ = townlet("telemetry", "rules", "queue_conflict")
    (tmp_path / "mine.yaml").write_text(stdout)
    assert (code, load_alert_rules(tmp_path / "mine.yaml")) == (0, bundled_rules("queue_conflict"))
    code, _, stderr = townlet("telemetry", "rules", "queue_conflikt")
    assert (code, "did you mean 'queue_conflict'?" in stderr) == (2, True)
