"""The example scenarios load, and keep what they promise under the scripted policy."""

from pathlib import Path

import pytest

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.capture.totals import unmet_expectations
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))
MARKET_DAY = next(path for path in EXAMPLES if path.stem == "market_day")


def totals(scenario, seed, folder):
    settings = CaptureSettings(ticks=scenario.ticks, seed=seed, epsilon=scenario.rules.epsilon)
    return write_capture(scenario, ScriptedPolicy(scenario), settings, folder).totals


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_keeps_its_expectations(path, tmp_path):
    scenario = load_scenario(path)
    assert len(scenario.expect) >= 5
    assert unmet_expectations(scenario, totals(scenario, scenario.seed, tmp_path / "out")) == []


def test_every_market_day_is_another_and_nobody_faints_on_any(tmp_path):
    days = [totals(load_scenario(MARKET_DAY), seed, tmp_path / str(seed)) for seed in range(10)]
    assert {day["utility_outage_events"] for day in days} == {1, 2}  # the power fails on some
    assert {day["faint_events"] for day in days} == {0}
    assert all(day["meeting_attended_events"] in (2, 3) for day in days)
