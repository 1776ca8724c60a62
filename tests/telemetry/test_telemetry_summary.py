"""A summary holds the right numbers, stays small, and is harmless to look at."""

import json
import math
import random
import tempfile
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_core.errors import InputError
from townlet_core.telemetry.alerts import parse_alert_rule
from townlet_core.telemetry.curves import CURVE_POINTS, Point, bars_of, sparkline
from townlet_core.telemetry.fields import CURVES
from townlet_core.telemetry.follow import read_once
from townlet_core.telemetry.statistics import Statistics
from townlet_core.telemetry.summary import format_number, summarise, summary_json
from townlet_core.telemetry.summary_text import summary_markdown, summary_text
from townlet_core.telemetry.watch import Watch, record_line, seen_json
from townlet_core.telemetry.writer import TelemetryWriter


@pytest.fixture
def log(tmp_path, make_record):
    path = tmp_path / "telemetry.jsonl"
    with TelemetryWriter(path, max_records=2) as writer:
        writer.write(make_record(1, loss_total=3.0, queue_conflict_events=5))
        writer.write(
            make_record(2, loss_total=1.0, data_mode="replay", rollout_ticks=0, queue_conflict_events=2)
        )
        writer.write(make_record(3, loss_total=2.0, queue_conflict_events=1, cycle_id=1))
    return path


@pytest.fixture
def statistics_of(make_record):
    """Statistics of records, each given by what in it is special."""

    def add_all(*changes):
        statistics = Statistics()
        for epoch, change in enumerate(changes, start=1):
            statistics.add({**make_record(epoch), **change})
        return statistics

    return add_all


def test_extremes_come_with_their_epochs(statistics_of):
    found = statistics_of({"lr": 3.0}, {"lr": 1.0}, {"lr": 2.0}).extremes("rollout")["lr"]
    assert found == (2.0, 1.0, 2, 3.0, 1, 2.0)  # latest, minimum at 2, maximum at 1, mean


def test_modes_are_never_taken_together(log):
    summary = summarise(log)
    assert summary.statistics.extremes("rollout")["loss_total"] == (2.0, 2.0, 3, 3.0, 1, 2.5)
    assert summary.statistics.extremes("replay")["loss_total"] == (1.0, 1.0, 2, 1.0, 2, 1.0)
    for text in (summary_text(summary), summary_markdown(summary)):
        assert "Trends of rollout" in text
        assert "Curves of replay" in text
        assert text.index("of rollout") < text.index("of replay")  # so that learning is seen first
    assert summary_json(summary)["modes"]["replay"]["fields"]["loss_total"]["mean"] == 1.0


def test_the_best_reward_is_that_of_a_rollout_and_its_curve_rises(statistics_of):
    records = []
    for cycle in range(3):
        records.append({"cycle_id": cycle, "data_mode": "replay", "rollout_ticks": 0, "reward_mean": 5.0})
        records.append({"cycle_id": cycle, "reward_mean": -1.0 + cycle})
    statistics = statistics_of(*records)
    assert statistics.extremes("rollout")["reward_mean"].maximum == 1.0
    assert [point.mean for point in statistics.curve("reward_mean", "rollout")] == [-1.0, 0.0, 1.0]


def test_a_log_of_one_mode_does_not_repeat_its_name(tmp_path, make_record):
    with TelemetryWriter(tmp_path / "log") as writer:
        writer.write(make_record(1))
    text = summary_text(summarise(tmp_path / "log"))
    assert "\nExtremes, at epochs\n" in text
    assert " of rollout" not in text


REPLAY = {"data_mode": "replay", "rollout_ticks": 0}


def test_events_count_once_per_cycle_and_mode_whatever_the_epochs(statistics_of):
    # Two cycles of three epochs each: 10 and 4 conflicts in the towns, and the same 31 showers recorded.
    records = []
    for cycle, conflicts in enumerate((10, 4)):
        records += [{"cycle_id": cycle, "shower_complete_events": 31, **REPLAY}] * 3
        records += [{"cycle_id": cycle, "queue_conflict_events": conflicts}] * 3
    statistics = statistics_of(*records)
    assert statistics.event_totals("rollout")["queue_conflict_events"] == 14
    assert statistics.events_per_cycle("rollout")["queue_conflict_events"] == 7
    assert statistics.events_per_cycle("replay")["shower_complete_events"] == 31
    assert statistics.event_totals("replay") == {}  # read again in each cycle: a sum of them counts nothing
    assert statistics.cycles("rollout") == statistics.cycles("replay") == (2, 2)


def test_means_of_what_a_batch_was_like_count_it_once(statistics_of):
    # The first cycle stopped after one epoch, the second had three.
    records = [{"cycle_id": 0, "reward_mean": 1.0, "lr": 1.0}]
    records += [{"cycle_id": 1, "reward_mean": 3.0, "lr": 3.0}] * 3
    means = statistics_of(*records).means("rollout")
    assert means["reward_mean"] == 2.0
    assert means["lr"] == 2.5  # one for every epoch


@pytest.mark.parametrize(
    ("records", "conflicts"),
    [
        ([{"run_id": "a"}, {"run_id": "b"}, {"run_id": "a"}], 6),  # two runs, record by record
        ([{"run_id": "a", "epoch": 2}, {"run_id": "a", "epoch": 1}], 6),  # epochs begin again: another run
        ([{"cycle_id": None}, {"cycle_id": None}], 6),  # nobody says which cycle: every record for itself
        ([{"cycle_id": 0.0}, {"cycle_id": 0.0}, {"cycle_id": 1.0}], 6),  # the older implementation's floats
        ([{"epoch": None}, {"epoch": None}], 3),
    ],
)
def test_what_is_one_batch(statistics_of, records, conflicts):
    assert statistics_of(*records).event_totals("rollout")["queue_conflict_events"] == conflicts


def test_the_older_implementation_has_its_events_counted(reference):
    statistics = summarise(reference / "queue_conflict_ppo_mixed.jsonl").statistics
    assert statistics.event_totals("rollout")["queue_conflict_events"] == 32
    assert statistics.events_per_cycle("replay")["shower_complete_events"] == 1


def test_cycles_that_the_log_leaves_out_are_told(tmp_path, make_record):
    with TelemetryWriter(tmp_path / "log", log_every=3) as writer:  # epochs 1, 4, 7, 10 of two a cycle
        for epoch in range(1, 11):
            writer.write(make_record(epoch, cycle_id=(epoch - 1) // 2))
    summary = summarise(tmp_path / "log")
    assert summary.statistics.cycles("rollout") == (4, 5)
    assert "4 of 5" in summary_text(summary)


def test_environment_steps_are_the_axis_and_sample_passes_where_there_are_none(statistics_of):
    played = [{"env_steps": 300, "kl_divergence": 0.1}, {"env_steps": 300, "kl_divergence": 0.3}]
    played.append({"env_steps": 600, "kl_divergence": 0.2})
    statistics = statistics_of(*played)
    assert statistics.axis() == "env_steps"
    points = statistics.curve("kl_divergence", "rollout")
    assert points == [(300, 0.2, 0.1, 0.3), (600, 0.2, 0.2, 0.2)]  # both epochs of one rollout
    for replayed in ({"env_steps": 0}, {}):  # by recordings alone; by an older log
        statistics = statistics_of(*[{**REPLAY, **replayed}] * 2)
        assert statistics.axis() == "steps"
        assert [point.x for point in statistics.curve("loss_total", "replay")] == [64, 128]
    assert statistics_of({"steps": None}).axis() is None


def test_conflicts_are_totalled_by_mode(log):
    modes = summary_json(summarise(log))["modes"]
    assert (modes["rollout"]["records"], modes["rollout"]["cycles"]) == (2, 2)
    assert modes["rollout"]["events"] == {"queue_conflict_events": 6, "queue_conflict_intensity_sum": 9.0}
    assert modes["replay"]["events_per_cycle"]["queue_conflict_events"] == 2
    assert "chat_success_events" not in modes["replay"]["events_per_cycle"]  # nothing wrote it


def test_only_the_last_records_count_when_asked(log):
    summary = summarise(log, last=2)
    assert summary.statistics.records == 2
    assert summary.statistics.extremes("rollout")["loss_total"].maximum == 2.0


def test_drift_from_a_baseline_is_part_of_it(log, tmp_path, make_record):
    with TelemetryWriter(tmp_path / "baseline") as writer:
        writer.write(make_record(1, loss_total=2.0))
    summary = summarise(log, tmp_path / "baseline")
    drifts = {(drift.mode, drift.field): drift for drift in summary.drifts}
    assert drifts["rollout", "loss_total"][2:] == (2.0, 2.5, 0.5, 0.25, 0.5)
    lines = summary_text(summary).split("Drift from the baseline\n")[1].splitlines()
    assert lines[1] == "Rollout"
    assert ["loss_total", "2", "2.5", "+0.5", "+25.0", "%"] in map(str.split, lines)


def test_statistics_equal_a_slow_count_over_more_than_a_chunk():
    draw = random.Random(7)
    statistics, values = Statistics(), []
    for epoch in range(2500):
        value = draw.choice([draw.gauss(0, 1), None, math.nan, "text"])
        statistics.add({"epoch": epoch, "lr": value})
        if type(value) is float and math.isfinite(value):
            values.append((value, epoch))
    found = statistics.extremes("unknown")["lr"]
    assert (found.minimum, found.minimum_epoch) == min(values)
    assert (found.maximum, found.maximum_epoch) == max(values)
    assert found.latest == values[-1][0]
    assert found.mean == pytest.approx(sum(value for value, _ in values) / len(values))


@pytest.mark.parametrize("records", [1, CURVE_POINTS, CURVE_POINTS + 1, 5000])
def test_a_long_curve_joins_neighbours_and_loses_none(records):
    statistics = Statistics()
    for i in range(1, records + 1):
        statistics.add({"steps": i, "loss_total": i * 2.0})
    points = statistics.curve("loss_total", "unknown")
    assert min(records, CURVE_POINTS // 2) <= len(points) <= CURVE_POINTS
    ends = [0, *(point.x for point in points)]
    assert ends[-1] == records
    for (before, end), point in zip(pairwise(ends), points, strict=True):
        assert (point.low, point.mean, point.high) == ((before + 1) * 2, before + 1 + end, end * 2)


def test_the_range_beside_a_curve_is_that_of_its_records(tmp_path, make_record):
    with TelemetryWriter(tmp_path / "log") as writer:
        for i in range(1, 2 * CURVE_POINTS + 2):  # four records to a point, and more points than bars
            writer.write(make_record(i, cycle_id=i, loss_total=100.0 if i == 1001 else float(i % 2)))
    summary = summarise(tmp_path / "log")
    (row,) = [
        line.split() for line in summary_text(summary).split("Means")[0].splitlines() if "loss_total" in line
    ]
    assert len(row[1]) == 18
    assert row[2:] == ["1", "0", "100"]


def test_bars_stand_where_their_records_do_on_the_axis():
    points = [Point(x, value, value, value) for x, value in ((0, 0), (1, 0), (9, 7), (10, 7))]
    assert bars_of(points, 40) == "▁▁▁█"  # a quarter of the axis each; two without a record
    assert bars_of(points, 2) == "▁█"
    assert bars_of(points[:1], 40) == "▄"


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
    found = statistics.extremes("unknown")["lr"]
    assert orjson.loads(orjson.dumps(found._asdict()))["minimum_epoch"] is None


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
PLACES = ("epoch", "data_mode", "run_id", "cycle_id", "env_steps", "steps", "log_stream_offset")
shown = st.sampled_from([*CURVES[:4], *PLACES])
lines = st.dictionaries(shown, values).map(json.dumps) | st.just('{"lr": NaN, "run_id": "\\ud800"}')


@settings(max_examples=100)
@given(st.lists(lines, min_size=1, max_size=5))
def test_no_record_however_odd_makes_watch_or_summary_fail(texts):
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.write_text('{"epoch": 1}\n' + "\n".join(texts) + "\n")
        rules = [parse_alert_rule("reward_mean > 0.5 for 2 in replay")]
        watch = Watch(log, rules)
        for seen in filter(None, map(watch.take, read_once(log))):
            assert "\n" not in record_line(seen)
            record_line(seen).encode()
            orjson.dumps(seen_json(seen))
        summary = summarise(log)
        orjson.dumps(summary_json(summary))
        for text in (summary_text(summary), summary_markdown(summary)):
            text.encode()
