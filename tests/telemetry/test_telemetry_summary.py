"""A summary holds the right numbers, stays small, and is harmless to look at."""

import json
import math
import random
import re
import tempfile
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_core.errors import InputError
from townlet_core.telemetry.fields import CURVES
from townlet_core.telemetry.page import summary_page
from townlet_core.telemetry.rules import parse_rule
from townlet_core.telemetry.statistics import CURVE_POINTS, Statistics
from townlet_core.telemetry.summary import (
    format_number,
    summarise,
    summary_json,
    summary_markdown,
    summary_text,
)
from townlet_core.telemetry.watch import Watch, record_line, seen_json, sparkline
from townlet_core.telemetry.writer import TelemetryWriter


@pytest.fixture
def log(tmp_path, make_record):
    path = tmp_path / "telemetry.jsonl"
    with TelemetryWriter(path, max_records=2) as writer:
        writer.write(make_record(1, loss_total=3.0, queue_conflict_events=5))
        writer.write(
            make_record(2, loss_total=1.0, data_mode="replay", rollout_ticks=0, queue_conflict_events=2)
        )
        writer.write(make_record(3, loss_total=2.0, queue_conflict_events=1))
    return path


def test_extremes_come_with_their_epochs(log):
    found = summarise(log).statistics.extremes()["loss_total"]
    assert found == (2.0, 1.0, 2, 3.0, 1, 2.0)  # latest, minimum at 2, maximum at 1, mean


def test_conflicts_are_totalled_by_mode(log):
    modes = summary_json(summarise(log))["modes"]
    assert modes["rollout"]["records"] == 2
    assert modes["rollout"]["queue_conflict_events"] == 6
    assert modes["rollout"]["queue_conflict_intensity_sum"] == 9.0
    assert modes["replay"]["queue_conflict_events"] == 2
    assert "chat_success_events" not in modes["replay"]  # nothing wrote it


def test_only_the_last_records_count_when_asked(log):
    summary = summarise(log, last=2)
    assert summary.statistics.records == 2
    assert summary.statistics.extremes()["loss_total"].maximum == 2.0


def test_drift_from_a_baseline_is_part_of_it(log, tmp_path, make_record):
    with TelemetryWriter(tmp_path / "baseline") as writer:
        writer.write(make_record(1, loss_total=2.0))
    drifts = {
        (drift.mode, drift.field): drift.drift for drift in summarise(log, tmp_path / "baseline").drifts
    }
    assert drifts["rollout", "loss_total"] == 0.5
    assert "rollout loss_total" in summary_text(summarise(log, tmp_path / "baseline"))


def test_statistics_equal_a_slow_count_over_more_than_a_chunk():
    draw = random.Random(7)
    statistics, values = Statistics(), []
    for epoch in range(2500):
        value = draw.choice([draw.gauss(0, 1), None, math.nan, "text"])
        statistics.add({"epoch": epoch, "lr": value})
        if type(value) is float and math.isfinite(value):
            values.append((value, epoch))
    found = statistics.extremes()["lr"]
    assert (found.minimum, found.minimum_epoch) == min(values)
    assert (found.maximum, found.maximum_epoch) == max(values)
    assert found.latest == values[-1][0]
    assert found.mean == pytest.approx(sum(value for value, _ in values) / len(values))


@pytest.mark.parametrize("records", [1, CURVE_POINTS, CURVE_POINTS + 1, 5000])
def test_a_long_curve_is_thinned_evenly(records):
    statistics = Statistics()
    for i in range(records):
        statistics.add({"loss_total": i * 2.0})
    points = statistics.curve("loss_total")
    assert len(points) <= CURVE_POINTS
    assert len(points) >= min(records, CURVE_POINTS // 2)
    assert all(value == i * 2.0 for i, value in points)
    assert len({later - earlier for (earlier, _), (later, _) in pairwise(points)}) <= 1


def test_damaged_lines_are_counted_and_left_out(log):
    with open(log, "a") as file:
        file.write("not json\n")
    summary = summarise(log)
    assert (summary.statistics.records, summary.damaged) == (3, 1)


def test_a_log_without_a_record_has_no_summary(tmp_path):
    (tmp_path / "log").write_text("\n")
    with pytest.raises(InputError, match="no record"):
        summarise(tmp_path / "log")


EVIL = "<script>alert(1)</script> | [red]x[/red] \x1b[2J\n# title `code` &"


def test_a_page_needs_no_network_and_shows_outside_text_as_text(tmp_path, make_record):
    log = tmp_path / "<b>&.jsonl"
    with TelemetryWriter(log) as writer:
        writer.write(make_record(1, run_id=EVIL))
        writer.write(make_record(2, run_id=EVIL))
    page = summary_page(summarise(log))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;" in page
    assert "<b>" not in page
    assert page.count("<polyline") >= 6
    assert not re.search(r"https?:|src=|href=|url\(", page)


def test_markdown_shows_outside_text_as_text(tmp_path, make_record):
    log = tmp_path / "log"
    with TelemetryWriter(log) as writer:
        writer.write(make_record(1, run_id=EVIL))
    page = summary_markdown(summarise(log))
    assert "<script" not in page
    assert "`" not in page
    assert "\x1b" not in page
    assert [line for line in page.splitlines() if line.startswith("# ")] == [page.splitlines()[0]]


def test_numbers_that_are_missing_are_null_in_json():
    statistics = Statistics()
    statistics.add({"lr": 0.5})
    assert orjson.loads(orjson.dumps(statistics.extremes()["lr"]._asdict()))["minimum_epoch"] is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e6, "1000000"), (0.0, "0"), (0.123456, "0.1235"), (1e20, "1e+20"), (math.nan, "–"), (math.inf, "inf")],
)
def test_numbers_are_written_for_people(value, text):
    assert format_number(value) == text


def test_a_sparkline_spans_its_values_and_marks_what_is_no_number():
    assert sparkline([0.0, 7.0, math.nan, 3.0]) == "▁█×▄"
    assert sparkline([5.0, 5.0]) == "▄▄"
    assert sparkline([-1.7e308, 1.7e308]) == "▁█"
    assert sparkline([math.nan]) == "×"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(width=64) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
shown = st.sampled_from([*CURVES[:4], "epoch", "data_mode", "run_id", "log_stream_offset"])
lines = st.dictionaries(shown, values).map(json.dumps) | st.just('{"lr": NaN, "run_id": "\\ud800"}')


@settings(max_examples=100, deadline=None)
@given(st.lists(lines, min_size=1, max_size=5))
def test_no_record_however_odd_makes_watch_or_summary_fail(texts):
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.write_text('{"epoch": 1}\n' + "\n".join(texts) + "\n")
        rules = [parse_rule("reward_mean > 0.5 for 2 in replay")]
        for seen in Watch(log, rules).follow(lambda line, problem: None, lambda sentence: None):
            assert "\n" not in record_line(seen)
            record_line(seen).encode()
            orjson.dumps(seen_json(seen))
        summary = summarise(log)
        orjson.dumps(summary_json(summary))
        for text in (summary_text(summary), summary_markdown(summary), summary_page(summary)):
            text.encode()
