"""Every problem of every line is reported, good logs pass, and nothing makes the check itself fail."""

import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from townlet_core.errors import InputError
from townlet_core.telemetry.drift import load_baseline, measure_drift
from townlet_core.telemetry.reader import COMPRESSED
from townlet_core.telemetry.statistics import Statistics
from townlet_core.telemetry.validate import LogCheck


def as_line(record, offset=1, version=1.1):
    return orjson.dumps({**record, "telemetry_version": version, "log_stream_offset": offset})


def problems_of(path, text, **options):
    path.write_bytes(text)
    return [
        (problem.line, problem.field, problem.problem) for problem in LogCheck(path, **options).problems()
    ]


def test_every_reference_log_validates(reference):
    logs = sorted(reference.glob("*.jsonl"))
    assert len(logs) == 5
    for log in logs:
        check = LogCheck(log)
        assert list(check.problems()) == []
        assert check.records == len(log.read_text().splitlines())


def test_the_older_generation_is_read_as_1_1_with_fields_of_its_own(tmp_path, make_record):
    floats = {name: float(value) for name, value in make_record().items() if type(value) is int}
    line = as_line({**make_record(), **floats, "anneal_stage": "bc", "anneal_passed": None}, 1.0, 1.2)
    assert problems_of(tmp_path / "log", line + b"\n") == []


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"telemetry_version": 3.0}, "telemetry_version", "is 3.0, expected 1.0, 1.1 or 1.2"),
        ({"telemetry_version": "1.1"}, "telemetry_version", "is text, expected a number"),
        ({"epoch": 1.5}, "epoch", "is 1.5, expected a whole number"),
        ({"epoch": True}, "epoch", "is true or false, expected a whole number"),
        ({"loss_total": None}, "loss_total", "is null, expected a number"),
        ({"loss_total": "1"}, "loss_total", "is text, expected a number"),
        ({"scenario": 1}, "scenario", "is a number, expected text"),
        ({"data_mode": "live"}, "data_mode", "is 'live', expected replay or rollout or mixed"),
        ({"data_mode": "replay"}, "rollout_ticks", "is 20 in replay, expected 0"),
        (
            {"rivalry_max_histogram": [1.5] * 10},
            "rivalry_max_histogram",
            "holds something that is not a count",
        ),
        ({"extra": {"deep": 1}}, "extra", "is an object, expected a flat record"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path, make_record, changes, field, problem):
    good = {**make_record(), "telemetry_version": 1.1, "log_stream_offset": 1}
    text = orjson.dumps(good) + b"\n" + orjson.dumps({**good, "log_stream_offset": 2, **changes}) + b"\n"
    assert problems_of(tmp_path / "log", text) == [(2, field, problem)]


def test_a_problem_is_placed_at_the_value_of_its_field(tmp_path):
    path = tmp_path / "log"
    path.write_text('{"note": "ä,\\"lr\\":", "lr" : "x", "epoch":1.5, "epoch":2.5}\n{"lr": }\n\n[]\n')
    found = {(p.line, p.field): p.column for p in LogCheck(path).problems()}
    assert found[1, "lr"] == 30
    assert found[1, "epoch"] == 56  # the last one counts
    assert found[1, "updates"] == 1  # missing
    assert found[2, ""] == 8
    assert found[3, ""] == found[4, ""] == 1


def test_missing_fields_are_those_of_the_version(tmp_path, make_record):
    record = make_record()
    del record["adv_std"], record["cycle_id"], record["scenario"]
    assert problems_of(tmp_path / "log", as_line(record) + b"\n") == [
        (1, "cycle_id", "missing, required since 1.1"),
        (1, "adv_std", "missing, required since 1.0"),
    ]
    assert problems_of(tmp_path / "log", as_line(record, version=1.0) + b"\n") == [
        (1, "adv_std", "missing, required since 1.0")
    ]


def test_every_number_that_is_not_finite_is_named_beside_other_problems(tmp_path, make_record):
    line = as_line(make_record(updates="one"))
    line = line.replace(b'"loss_total":0.975', b'"loss_total":NaN').replace(b'"lr":0.0003', b'"lr":-Infinity')
    line = line.replace(b'"adv_std":1.0', b'"adv_std":1e999')
    assert problems_of(tmp_path / "log", line + b"\n") == [
        (1, "lr", "-inf is not a number, expected a finite one"),
        (1, "loss_total", "NaN is not a number, expected a finite one"),
        (1, "adv_std", "inf is not a number, expected a finite one"),
        (1, "updates", "is text, expected a whole number"),
    ]


def test_lines_that_hold_no_record_are_told_apart(tmp_path, make_record):
    good = as_line(make_record())
    text = good + b'\n{"a": }\n\n[1, 2]\n' + b"x" * 1_100_000 + b"\n" + b'{"a": "\xff"}\n' + good[:100]
    found = problems_of(tmp_path / "log", text)
    assert [line for line, _, _ in found] == [2, 3, 4, 5, 6, 7]
    assert found[0][2].startswith("column 7: not JSON")
    assert found[1][2] == "blank line"
    assert found[2][2] == "not a JSON object"
    assert found[3][2] == "longer than 1,048,576 bytes"
    assert "not JSON" in found[4][2]
    assert found[5][2].startswith("half-written last line")


def test_offsets_must_increase_across_lines_and_segments(tmp_path, make_record):
    lines = [as_line(make_record(), offset) + b"\n" for offset in (1, 2, 2, 5, 3, 4)]
    (tmp_path / "log.1").write_bytes(b"".join(lines[:4]))
    assert problems_of(tmp_path / "log", b"".join(lines[4:])) == [
        (3, "log_stream_offset", "is 2 after 2, expected it to increase"),
        (1, "log_stream_offset", "is 3 after 5, expected it to increase"),
    ]


def test_an_empty_log_is_a_problem(tmp_path):
    assert problems_of(tmp_path / "log", b"") == [(0, "", "no record in this log")]


def test_a_key_that_comes_twice_is_reported(tmp_path, make_record):
    twice = as_line(make_record())[:-1]
    for again in (b',"lr":0.1}', b', "lr": 0.1}', b',"lr":0.1,"note":"a\\":b"}'):
        found = problems_of(tmp_path / "log", twice + again + b"\n")
        assert found == [(1, "lr", "more than once in one record")]
    assert problems_of(tmp_path / "log", twice + b', "note" : "\\":"}\n') == []


def test_drift_is_the_distance_of_means_within_each_mode_both_have(tmp_path, make_record):
    log, baseline = Statistics(), Statistics()
    for mode, ticks, kl in (("rollout", 20, 0.1), ("rollout", 20, 0.3), ("replay", 0, 9.0)):
        log.add(make_record(data_mode=mode, rollout_ticks=ticks, kl_divergence=kl))
    baseline.add(make_record(kl_divergence=0.16))
    drifts = {(drift.mode, drift.field): drift for drift in measure_drift(log, baseline)}
    found = drifts["rollout", "kl_divergence"]
    assert found.mean == pytest.approx(0.2)
    assert found.drift == pytest.approx(0.04)
    assert found.relative == pytest.approx(0.25)
    assert {mode for mode, _ in drifts} == {"rollout"}
    assert not {"epoch", "epoch_duration_sec", "log_stream_offset"} & {field for _, field in drifts}


def test_modes_that_differ_are_not_compared(tmp_path, make_record):
    baseline = Statistics()
    baseline.add(make_record(data_mode="replay", rollout_ticks=0))
    found = problems_of(tmp_path / "log", as_line(make_record()) + b"\n", baseline=baseline)
    assert found == [
        (0, "data_mode", "the baseline holds records of replay, the log of rollout: nothing to compare")
    ]


def test_a_baseline_that_says_no_mode_stands_for_any(make_record):
    log, baseline = Statistics(), Statistics()
    for mode, ticks, lr in (("replay", 0, 0.1), ("rollout", 20, 0.4)):
        log.add(make_record(data_mode=mode, rollout_ticks=ticks, lr=lr))
    baseline.add({"lr": 0.2})
    drifts = [(drift.mode, drift.mean) for drift in measure_drift(log, baseline)]
    assert drifts == [("rollout", 0.4), ("replay", 0.1)]
    assert [(drift.mode, drift.mean) for drift in measure_drift(baseline, log)] == [
        ("rollout", 0.2),
        ("replay", 0.2),
    ]


def test_drift_relative_to_nothing_is_absolute(make_record):
    log, baseline = Statistics(), Statistics()
    log.add(make_record(adv_mean=0.5))
    baseline.add(make_record(adv_mean=1e-9))
    (found,) = [drift for drift in measure_drift(log, baseline) if drift.field == "adv_mean"]
    assert found.relative == pytest.approx(0.5)


def test_drift_beyond_the_threshold_is_a_problem(tmp_path, make_record):
    baseline = Statistics()
    baseline.add(make_record(loss_value=1.6, grad_norm=0.48))
    line = as_line(make_record()) + b"\n"  # loss_value 2.0, grad_norm .5
    absolute = problems_of(tmp_path / "log", line, baseline=baseline, drift_threshold=0.3)
    assert absolute == [(0, "loss_value", "rollout mean 2, baseline 1.6: drift 0.4 is above 0.3")]
    relative = problems_of(tmp_path / "log", line, baseline=baseline, drift_threshold=0.03, relative=True)
    assert [field for _, field, _ in relative] == ["loss_value", "grad_norm"]
    assert problems_of(tmp_path / "log", line, baseline=baseline, drift_threshold=0.4000001) == []
    assert problems_of(tmp_path / "log", line, baseline=baseline) == []


def test_a_baseline_may_be_one_indented_record(reference):
    baseline = load_baseline(reference / "baseline_rollout.json")
    assert baseline.means("rollout")["queue_conflict_events"] == 32
    log = reference / "queue_conflict_ppo_mixed.jsonl"  # the baseline is its rollout record
    assert list(LogCheck(log, baseline, drift_threshold=0.0).problems()) == []


@pytest.mark.parametrize("text", [b"[]", b"{}", b"", b'{"a": 1}\n{"b', b"\xff\xfe"])
def test_a_baseline_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "baseline").write_bytes(text)
    with pytest.raises(InputError, match="baseline"):
        load_baseline(tmp_path / "baseline")


DAMAGE = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"[" * 5000,
            b'{"a":' * 900 + b"1" + b"}" * 900,
            b'{"a":NaN,"b":' + b"[" * 3000 + b"]" * 3000 + b"}",
            b'{"telemetry_version":{}}',
            b'{"telemetry_version":1e308,"log_stream_offset":1e308,"rollout_ticks":"x","data_mode":[]}',
            b'{"epoch":' + b"9" * 5000 + b',"lr":NaN}',
            b'{"data_mode":"replay","rollout_ticks":{"a":1}}',
            b'{"rivalry_max_histogram":[NaN,1e308,null,"x",[],{},1,2,3,4]}',
            b'{"rivalry_max_histogram":[null,1e308,null,"x",[],{},1,2,3,4]}',
            b'{"\\ud800":1}',
            b'{"a":1,"a":1}',
            b"\x00",
            b"\r\n",
        ]
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=11) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.lists(DAMAGE, max_size=6), st.booleans())
@example([b'\x04"M\x18', b"", b""], False)
def test_no_bytes_make_the_check_fail_and_every_bad_line_is_reported(lines, ended):
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.write_bytes(b"\n".join(lines) + (b"\n" if ended else b""))
        baseline = Statistics()
        baseline.add({"lr": 1.0})
        problems = list(LogCheck(log, baseline, 0.1).problems())
        written = log.read_bytes()
    # A file that begins as compressed data does is told of once: it holds no lines.
    count = 1 if written.startswith(COMPRESSED) else written.count(b"\n")
    assert {problem.line for problem in problems} >= set(range(1, count + 1))
    orjson.dumps([problem._asdict() for problem in problems])


@settings(max_examples=150)
@given(st.data())
def test_no_value_in_any_field_makes_the_check_fail(make_record, data):
    record = {**make_record(), "telemetry_version": 1.1, "log_stream_offset": 1}
    name = data.draw(st.sampled_from(sorted(record)))
    value = data.draw(json_values)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.write_bytes(orjson.dumps({**record, name: value}) + b"\n")
        problems = list(LogCheck(log).problems())
    assert {problem.field for problem in problems} <= {name}
