"""Alert rules say what they mean, count what they should, and never sleep through a NaN."""

import math

import pytest

from townlet_core.errors import InputError, MissingError
from townlet_core.telemetry.alerts import AlertMonitor, AlertRule, load_alert_rules, parse_alert_rule


def test_a_rule_is_field_comparison_number_and_maybe_count_and_mode():
    assert parse_alert_rule("kl_divergence > 0.2") == AlertRule(
        "kl_divergence > 0.2", "kl_divergence", ">", 0.2
    )
    rule = parse_alert_rule(" conflict.rivalry_max_mean_avg>=1e-1 for 3 in rollout ")
    assert rule[1:6] == ("conflict.rivalry_max_mean_avg", ">=", 0.1, 3, "rollout")
    assert parse_alert_rule("reward_mean<-1").number == -1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kl_divergense > 0.2", r"unknown field 'kl_divergense' \(did you mean 'kl_divergence'\?\)"),
        ("data_mode == replay", "unknown field 'data_mode'"),  # text cannot be compared with a number
        ("lr > nan", "'nan' is not a finite number"),
        ("lr > high", "'high' is not a finite number"),
        ("lr > 1 for 0", "'0' is not a number of records"),
        ("lr > 1 for some", "'some' is not a number of records"),
        ("lr > 1 in rolout", r"unknown mode 'rolout' \(did you mean 'rollout'\?\)"),
        ("lr ~ 1", "not a rule"),
        ("", "not a rule"),
        ("lr > 1 in replay in rollout", "not a rule"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_alert_rule(text)


@pytest.mark.parametrize(
    ("op", "tripping"),
    [(">", [3]), (">=", [2, 3]), ("<", [1]), ("<=", [1, 2]), ("==", [2]), ("!=", [1, 3])],
)
def test_each_comparison_compares(op, tripping):
    monitor = AlertMonitor([parse_alert_rule(f"epoch {op} 2")])
    assert [epoch for epoch in (1, 2, 3) if monitor.check({"epoch": epoch})] == tripping


def trips(text, records):
    monitor = AlertMonitor([parse_alert_rule(text)])
    return [bool(monitor.check(record)) for record in records]


def test_a_count_needs_that_many_in_a_row():
    kl = [0.3, 0.3, 0.1, 0.3, 0.3, 0.3, 0.3]
    found = trips("kl_divergence > 0.2 for 3", [{"kl_divergence": value} for value in kl])
    assert found == [False, False, False, False, False, True, True]


def test_other_modes_and_records_without_the_field_neither_count_nor_break_the_count():
    records = [
        {"data_mode": "rollout", "lr": 2},
        {"data_mode": "replay", "lr": 0},
        {"data_mode": "rollout"},
        {"data_mode": "rollout", "lr": 2},
        {"data_mode": "replay", "lr": 2},
    ]
    assert trips("lr > 1 for 2 in rollout", records) == [False, False, False, True, False]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "much"])
def test_what_is_not_a_finite_number_trips_every_rule_on_its_field_at_once(value):
    assert trips("lr > 1 for 5", [{"lr": value}]) == [True]
    assert trips("lr < 1", [{"lr": value}]) == [True]
    assert trips("grad_norm > 1", [{"lr": value}]) == [False]


@pytest.mark.parametrize(
    "text",
    [
        "- lr > 1 for 2\n- alert: kl_divergence > 0.2\n  data_mode: rollout\n",
        '["lr > 1 for 2", {"alert": "kl_divergence > 0.2", "data_mode": "rollout"}]',
    ],
)
def test_rules_are_read_from_yaml_and_json(tmp_path, text):
    (tmp_path / "rules").write_text(text)
    assert [rule[1:6] for rule in load_alert_rules(tmp_path / "rules")] == [
        ("lr", ">", 1.0, 2, None),
        ("kl_divergence", ">", 0.2, 1, "rollout"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- lr > 1\n- lr", "rule 2: alert 'lr': not a rule"),
        ("lr > 1", "expected a list of rules"),
        ("", "the file is empty"),
        ("[]", "expected a list of rules"),
        ("- {rule: lr > 1}", "rule 1: expected a rule, or a mapping"),
        ("- {alert: [1]}", "rule 1: expected text"),
        ("- {alert: lr > 1, alert: lr > 2}", "key 'alert' is here twice"),
        ("- {alert: lr > 1, data_mode: live}", "rule 1: .*unknown mode 'live'"),
        ("- !!python/object:os.system [x]", "tag .* is not used here"),
        ("[" * 1100, "nested more than 16 deep"),
        ("a: b: c", ":1:5: syntax: found ': ' where no key can be"),
        ("\x00", "character .x00 is not allowed in YAML"),
    ],
)
def test_a_rules_file_that_makes_no_sense_is_refused(tmp_path, text, message):
    (tmp_path / "rules").write_text(text)
    with pytest.raises(InputError, match=message):
        load_alert_rules(tmp_path / "rules")


def test_a_missing_rules_file_is_missing(tmp_path):
    with pytest.raises(MissingError, match="no such file"):
        load_alert_rules(tmp_path / "rules")


def test_a_rule_that_goes_on_for_ever_is_refused_in_one_short_line(tmp_path):
    (tmp_path / "rules.json").write_text(f'["lr > {"9" * 100_000}x", "lr > 1"]')
    with pytest.raises(InputError) as caught:
        load_alert_rules(tmp_path / "rules.json")
    assert len(str(caught.value).removeprefix(str(tmp_path))) < 300
