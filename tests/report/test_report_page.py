"""The page is whole without a network or a script, and what came from outside stays text."""

import base64
import hashlib
import json
import re
import tempfile
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet_core.errors import InputError
from townlet_core.report.page import report_page
from townlet_core.report.report import Reports, make_report
from townlet_core.telemetry.alerts import parse_alert_rule
from townlet_core.telemetry.fields import CURVES, REWARD_TERM_FIELDS

EVIL = "<script>alert(1)</script>\"'{{parts}} \x1b[2J&"


@pytest.fixture(scope="module")
def made(runs, capture):
    rules = [parse_alert_rule("loss_entropy > 0.1"), parse_alert_rule("lr > 9")]
    return make_report([runs], lambda scenario: rules, capture, episodes=4)


@pytest.fixture(scope="module")
def page(made):
    return report_page(made).decode()


def text_of(page):
    """Return what a reader without scripts sees."""
    body = re.sub(r"<(style|script|iframe).*?</\1>", "", page.partition("<body>")[2], flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", " ", body))


def charts_of(page):
    return re.findall(r"<svg.*?</svg>", page, re.DOTALL)


def test_the_title_is_scenario_and_runs_and_the_head_says_how_they_ended(page):
    assert "<title>queue_conflict: fast, s0, s1 · Townlet</title>" in page
    assert (
        "s1: mixed training of a network with 8 units on queue_conflict, seed 1; 3 of 3 cycles, "
        "2,160 environment steps; finished after" in text_of(page)
    )


def test_every_chart_can_be_read_without_a_script(made, page):
    charts = charts_of(page)
    assert len(charts) == len(made.charts) + 1  # the first one twice, also in a wide form
    for svg in charts:
        drawing = ElementTree.fromstring(svg)
        assert "environment steps" in drawing.get("aria-label")
        assert len(drawing.findall(".//rect/title")) >= 2
        assert {text.get("class") for text in drawing.findall("text")} >= {"number", "label"}
        assert " nan" not in svg.lower()
    titles = re.findall(r"<figcaption>([^<]+)", page)
    assert {"Episode return", "Policy loss", "Policy entropy", "Clip fraction", "Gradient norm"} <= set(
        titles
    )
    assert {"Approximate KL divergence", "Queue conflicts", "Strongest rivalry, mean"} <= set(titles)


def test_a_value_on_hover_is_that_of_the_log(made, runs, page):
    log = (runs / "fast" / "telemetry.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, log) if record["data_mode"] == "rollout"]
    chart = next(chart for chart in made.charts if chart.name == "loss_value")
    curve = next(one.curve for one in chart.series if one.label == "learning_rate 0.01")
    assert curve.x.tolist() == [record["env_steps"] for record in records]
    assert curve.mean.tolist() == pytest.approx([record["loss_value"] for record in records])
    assert f"learning_rate 0.01 {records[0]['loss_value']:.4g}" in text_of(page)


def test_seeds_have_an_interval_and_the_script_is_a_line_with_its_own(made):
    chart = made.charts[0]
    group, alone = (one for one in chart.series if not one.is_faint)
    assert {group.label, alone.label} == {"learning_rate 0.0003, 2 seeds", "learning_rate 0.01"}
    seeds = max(group, alone, key=lambda one: "seeds" in one.label).curve
    assert (seeds.low < seeds.high).all()
    (level,) = chart.levels
    assert level.label == "scripted"
    assert level[1:4] == made.baselines["queue_conflict"]["return"]
    assert level.low < level.mean < level.high
    assert chart.about.endswith("band: 95 % interval over seeds, thin: single runs")


def test_reward_terms_are_stacked_and_sum_to_the_reward(made):
    stacks = [chart for chart in made.charts if chart.is_stacked]
    assert [chart.name for chart in stacks] == ["reward_terms_1", "reward_terms_2"]
    rewards = next(chart for chart in made.charts if chart.name == "reward_mean")
    for chart in stacks:
        assert {one.label for one in chart.series} <= set(REWARD_TERM_FIELDS)
        summed = sum(one.curve.mean for one in chart.series)
        label = chart.title.partition(": ")[2]
        mean = next(one.curve.mean for one in rewards.series if one.label == label)
        assert summed == pytest.approx(mean, rel=1e-5)


def test_alerts_settings_and_their_differences_are_tables(page):
    shown = re.sub(r"\s+", " ", text_of(page))
    assert "rule run tripped first epoch environment steps last value" in shown
    assert re.search(r"loss_entropy > 0.1 fast \d+ records 1 0 ", shown)
    assert "Rules loss_entropy > 0.1 lr > 9" in shown
    assert (
        "Settings that differ setting learning_rate 0.01 learning_rate 0.0003, 2 seeds learning_rate 0.01"
        in shown
    )
    assert re.search(r"s0 0 finished 3 of 3 2,160 .* cycle \d, g00000\d", shown)


def test_the_player_is_in_a_page_of_its_own(made, page):
    assert made.player.policy == "scripted"
    (inside,) = re.findall(r'<iframe class="player" sandbox="allow-scripts".*?srcdoc="([^"]*)"', page)
    assert unescape(inside) == made.player.page


def test_only_the_scripts_and_styles_of_the_page_and_the_player_may_run(made, page):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        found = [re.findall(rf"<{tag}>(.*?)</{tag}>", one, re.DOTALL) for one in (page, made.player.page)]
        assert [len(one) for one in found] == [1, 1]
        for one in found:
            digest = base64.b64encode(hashlib.sha256(one[0].encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert ' style="' not in page.partition("srcdoc")[0]
    assert not re.search(r"""https?:|src=["']|url\(""", page.replace("http-equiv", ""))


def test_outside_text_is_text(write, record):
    log = write(record(1, scenario=EVIL, run_id=EVIL, env_steps=60), record(2, run_id=EVIL, env_steps=120))
    page = report_page(make_report([log])).decode()
    assert page.count("<script>") == 1
    assert "alert(1)&lt;/script&gt;" in page
    assert "\x1b" not in page
    assert "{{parts}}" in unescape(page)  # not taken for a place of the template
    assert page.count("<h1>") == 1


def test_a_report_of_a_log_alone_has_curves_and_no_settings(write, record):
    made = make_report([write(*(record(n, env_steps=60 * n, loss_total=1 / n) for n in range(1, 4)))])
    assert (made.baselines, made.player) == ({}, None)
    text = text_of(report_page(made).decode())
    assert "Total loss" in text
    assert "No rules were given." in text
    assert "log only" in text


def test_the_last_capture_of_the_scenario_is_played(runs, tmp_path, monkeypatch, capture):
    monkeypatch.chdir(tmp_path)
    assert make_report([runs / "s0"], episodes=0).player.capture.parent == runs / "s0" / "samples"
    (tmp_path / "captures").mkdir()
    (tmp_path / "captures" / "mine").symlink_to(capture)
    (tmp_path / "captures" / "broken").mkdir()
    (tmp_path / "captures" / "broken" / "rollout_sample_manifest.json").write_text("{}")
    assert make_report([runs / "s0"], episodes=0).player.capture.parent == Path("captures/mine")
    with pytest.raises(InputError):
        make_report([runs / "s0"], capture=tmp_path / "captures" / "broken", episodes=0)


def test_a_scenario_that_does_not_load_leaves_the_baseline_out_with_a_warning(runs, tmp_path):
    copy = tmp_path / "s0"
    copy.mkdir()
    for name in ("run.json", "config.yaml", "telemetry.jsonl"):
        (copy / name).write_bytes((runs / "s0" / name).read_bytes())
    (copy / "scenario.yaml").write_text("name: other")
    told = []
    made = make_report([copy], episodes=4, reports=Reports(told.append))
    assert made.baselines == {}
    assert told[0].startswith("no scripted baseline: ")


values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.just([1, "x", None])
)
shown = st.sampled_from(
    [*CURVES[:4], "epoch", "data_mode", "run_id", "scenario", "seed", "env_steps", "steps", "transitions"]
)
lines = st.dictionaries(shown, values).map(json.dumps) | st.just('{"lr": NaN, "run_id": "\\ud800"}')


@settings(max_examples=25)
@given(st.lists(lines, min_size=1, max_size=5))
def test_no_record_however_odd_makes_a_report_fail(texts):
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.write_text('{"epoch": 1}\n' + "\n".join(texts) + "\n")
        page = report_page(
            make_report([log], lambda scenario: [parse_alert_rule("reward_mean > 0.5")])
        ).decode()
        for svg in charts_of(page):
            ElementTree.fromstring(svg)
