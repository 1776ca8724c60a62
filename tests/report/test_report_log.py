"""A log is read once: curves by data mode, rates, alerts with their places, damage."""

import json

import pytest

from townlet_core.errors import InputError
from townlet_core.report.log import problems_of, read_log
from townlet_core.telemetry.alerts import parse_alert_rule


@pytest.fixture
def steps(record):
    """Make a record of a rollout after so many environment steps."""
    return lambda epoch, env_steps, **more: record(epoch, env_steps=env_steps, **more)


def test_curves_are_by_mode_and_epochs_of_one_place_are_one_point(write, steps):
    path = write(
        steps(1, 0, data_mode="replay", rollout_ticks=0, loss_total=9.0),
        steps(2, 60, loss_total=1.0),
        steps(3, 60, loss_total=3.0),
        steps(4, 120, loss_total=5.0),
    )
    log = read_log(path, ["loss_total"])
    curve = log.curve("loss_total", "rollout", "env_steps")
    assert [array.tolist() for array in curve] == [[60, 120], [2, 5], [1, 5], [3, 5]]
    assert log.curve("loss_total", "replay", "env_steps").mean.tolist() == [9]
    assert len(log.curve("loss_total", "mixed", "env_steps").x) == 0
    assert log.axes == ("env_steps", "steps", "records")
    assert log.modes == {"replay": 1, "rollout": 3}


def test_conflicts_are_counted_per_thousand_agent_steps(write, steps):
    path = write(steps(1, 64, queue_conflict_events=8, transitions=64))
    log = read_log(path, ["conflicts_per_1000"])
    assert log.curve("conflicts_per_1000", "rollout", "env_steps").mean.tolist() == [125]


def test_an_alert_says_how_often_where_first_and_with_which_value_last(write, steps):
    path = write(*(steps(n, 60 * n, kl_divergence=0.1 * n) for n in range(1, 5)))
    (alert,) = read_log(path, ["lr"], lambda scenario: [parse_alert_rule("kl_divergence > 0.25")]).alerts
    assert (alert.rule, alert.field, alert.times) == ("kl_divergence > 0.25", "kl_divergence", 2)
    assert alert.first == {"env_steps": 180, "steps": 192, "records": 3, "epoch": 3}
    assert alert.last_value == pytest.approx(0.4)
    assert alert.places["env_steps"] == [180, 240]


def test_rules_are_chosen_by_the_scenario_of_the_first_record(write, steps):
    path = write(*(steps(n, 60 * n, scenario="town", lr=float(n)) for n in (1, 2)))
    log = read_log(path, ["lr"], lambda scenario: [parse_alert_rule("lr > 1")] if scenario == "town" else [])
    assert [(alert.rule, alert.times) for alert in log.alerts] == [("lr > 1", 1)]
    assert [rule.text for rule in log.rules] == ["lr > 1"]


def test_without_environment_steps_the_axis_is_another(write, record):
    assert read_log(write(record(1)), ["lr"]).axes == ("steps", "records")


def test_damage_and_gaps_are_told(write, steps):
    path = write(*(steps(n, 60 * n, log_every=1) for n in range(1, 4)))
    first, _, last = path.read_text().splitlines()
    path.write_text(f"{first}\nnot json\n{last}\n")
    problems = problems_of(read_log(path, ["lr"]))
    assert problems[0] == "1 damaged line left out"
    assert "log_stream_offset" in problems[1]


def test_a_log_without_a_record_is_refused(tmp_path):
    (tmp_path / "log").write_text(json.dumps([1]) + "\n")
    with pytest.raises(InputError, match="no record in this log"):
        read_log(tmp_path / "log", ["lr"])
