"""Limits are derived as docs/baselines.md says, and the bundled rules are those of that page."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from acceptance.limits import LINEAR, LOG, TEMPLATES, Template, extreme, limit_of
from acceptance.runs import KINDS
from acceptance.sickness import SICKNESSES
from acceptance.verdicts import judge

from townlet_core.telemetry.alerts import AlertMonitor, load_alert_rules, parse_alert_rule
from townlet_core.telemetry.bundled import ANY, bundled_rule_files
from townlet_core.telemetry.drift import load_baseline
from townlet_core.telemetry.fields import NUMBERS

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "baselines.md").read_text()


def rule(side=">", records=1, scale=LOG):
    return Template("grad_norm", ("rollout",), side, records, scale, "why")


@pytest.mark.parametrize("side", [">", "<"])
@pytest.mark.parametrize("records", [1, 2, 3])
def test_a_rule_trips_on_a_run_exactly_where_its_limit_is_within_the_extreme(side, records):
    values = [1.0, 5.0, 4.0, 6.0, 2.0, 2.0, 7.0, 1.0]
    found = extreme(np.array(values), rule(side, records))
    for limit, trips in ((found, False), (found - (0.5 if side == ">" else -0.5), True)):
        monitor = AlertMonitor([parse_alert_rule(f"grad_norm {side} {limit} for {records}")])
        assert any(monitor.check({"grad_norm": value}) for value in values) == trips


def test_a_run_that_is_too_short_for_a_rule_says_nothing_of_its_limit():
    assert math.isnan(extreme(np.array([1.0]), rule(records=2)))
    assert limit_of(rule(records=2), "rollout", {"default": [np.array([1.0])]}) is None


def test_a_limit_lies_a_margin_beyond_the_worst_run_and_five_spreads_beyond_the_mean():
    near = {"default": [np.array([1.0, 2.0]), np.array([2.0, 2.0])]}
    assert limit_of(rule(), "rollout", near).number == pytest.approx(8.0)  # a factor of 4
    apart = {"default": [np.array([1.0]), np.array([16.0])]}
    spread = math.log(16) / math.sqrt(2)
    assert limit_of(rule(), "rollout", apart).number == pytest.approx(math.exp(math.log(4) + 5 * spread))
    linear = {"default": [np.array([-1.0, 1.0]), np.array([-1.0, 1.0])]}
    assert limit_of(rule("<", scale=LINEAR), "rollout", linear).number == pytest.approx(
        -2.0
    )  # half of the range


def test_values_that_are_always_0_leave_no_room_for_a_limit():
    assert limit_of(rule("<"), "rollout", {"default": [np.zeros(9)]}) is None


@pytest.mark.parametrize("name", KINDS)
def test_the_rules_of_a_scenario_are_those_of_the_page(name):
    section = PAGE.split(f"## {name}\n")[1].split("\n## ")[0]
    shown = re.findall(r"^\| `(.*?)` \| (\w+) \|", section, re.MULTILINE)
    rules = load_alert_rules(bundled_rule_files()[name])
    assert [(r.text.removesuffix(f" in {r.mode}"), r.mode) for r in rules] == shown


def test_the_rules_for_any_scenario_allow_what_those_of_each_scenario_allow():
    anywhere = {like(rule): rule.number for rule in load_alert_rules(bundled_rule_files()[ANY])}
    for name in KINDS:
        for rule in load_alert_rules(bundled_rule_files()[name]):
            widest = anywhere.get(like(rule), rule.number)
            assert widest >= rule.number if rule.op == ">" else widest <= rule.number


def like(rule):
    return rule.field, rule.mode, rule.op, rule.records


def test_templates_are_about_fields_and_the_sick_have_names_of_their_own():
    assert {template.field for template in TEMPLATES} <= set(NUMBERS)
    assert len({sickness.name for sickness in SICKNESSES}) == len(SICKNESSES) >= 20


@pytest.mark.parametrize("name", KINDS)
def test_a_baseline_is_a_log_to_compare_with(name):
    assert set(load_baseline(HERE / "baselines" / f"{name}.jsonl").modes()) == {"replay", "rollout"}


def test_a_log_is_judged_by_its_first_alert(tmp_path):
    (tmp_path / "log").write_text(
        '{"epoch": 1, "data_mode": "rollout", "skipped_updates": 0}\n'
        '{"epoch": 2, "data_mode": "rollout", "skipped_updates": 1}\n'
    )
    assert judge(tmp_path / "log") == "skipped_updates > 0 in rollout (1) at epoch 2, 1 in all"
