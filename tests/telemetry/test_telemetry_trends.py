"""A summary says where each field is heading, in groups, with units, on 80 columns."""

import math

import pytest

from townlet_core.telemetry.drift import Drift
from townlet_core.telemetry.fields import FIELDS, NUMBERS
from townlet_core.telemetry.groups import GROUPS, group_of, grouped
from townlet_core.telemetry.statistics import Statistics
from townlet_core.telemetry.summary import Summary, summarise, summary_json
from townlet_core.telemetry.summary_text import drift_table, summary_markdown, summary_text
from townlet_core.telemetry.tables import FIGURE, deviations, figure, percent, signed, wrapped
from townlet_core.telemetry.trends import PARTS
from townlet_core.telemetry.writer import TelemetryWriter


def statistics_of(values, field="loss_total", epochs=1):
    """Statistics of a log with one value per cycle."""
    statistics = Statistics()
    for cycle, value in enumerate(values):
        for epoch in range(epochs):
            place = {"epoch": cycle * epochs + epoch, "cycle_id": cycle}
            statistics.add({**place, "data_mode": "rollout", field: value})
    return statistics


def trend_of(values, **others):
    return statistics_of(values, **others).trend("loss_total", "rollout")


def test_a_trend_compares_the_last_third_of_cycles_with_the_first():
    # First 1 and 3, last 5 and 7: both scatter by √2 about means that differ by 4.
    trend = trend_of([1, 3, 99, 99, 5, 7])
    assert trend[:3] == (2, 6, 4)
    assert trend.deviations == pytest.approx(4 / math.sqrt(2))
    assert trend.direction == "up"
    assert trend_of([7, 5, 99, 99, 3, 1])[2:] == (-4, -trend.deviations, "down")


@pytest.mark.parametrize(
    ("values", "change", "size", "direction"),
    [
        ([1, 3, 0, 0, 2, 2.5], 0.25, 0.25 / math.sqrt((2 + 0.125) / 2), "steady"),  # within the scatter
        ([0.1] * 6, 0, 0, "steady"),
        ([1, 1, 5, 5, 2, 2], 1, math.inf, "up"),  # nothing scatters
        ([1, 5, 2], 1, math.nan, "unknown"),  # one cycle in each third
        ([-1.7e308, -1.7e308, 0, 0, 1.7e308, 1.7e308], math.inf, math.nan, "unknown"),
    ],
)
def test_a_change_is_measured_against_the_scatter_of_cycles(values, change, size, direction):
    trend = trend_of(values)
    assert (trend.change, trend.direction) == (change, direction)
    assert trend.deviations == pytest.approx(size, nan_ok=True)


def test_two_cycles_show_no_trend_whatever_their_epochs():
    assert trend_of([1, 2], epochs=4) is None


def test_epochs_of_a_cycle_count_as_one():
    assert trend_of([1, 3, 9, 9, 5, 7], epochs=3) == trend_of([1, 3, 9, 9, 5, 7])


def test_a_long_log_keeps_its_trend_in_bounded_memory():
    cycles = PARTS * 8
    trend = trend_of([cycle + cycle % 2 for cycle in range(cycles)])
    third = cycles // 3
    assert trend.change == pytest.approx(cycles - third, rel=0.02)
    assert trend.direction == "up"
    spans = statistics_of(range(cycles)).by_cycle("rollout")
    assert len(spans) == PARTS
    assert [span.first_cycle for span in spans] == [8 * n for n in range(PARTS)]
    assert [span.means["loss_total"] for span in spans] == [8 * n + 3.5 for n in range(PARTS)]


def test_means_by_cycle_cover_every_cycle_once():
    spans = statistics_of([1, 3, 5, 7, 9], epochs=2).by_cycle("rollout", 2)
    assert [(span.first_cycle, span.last_cycle) for span in spans] == [(0, 2), (3, 4)]
    assert [span.means for span in spans] == [{"loss_total": 3}, {"loss_total": 8}]


def test_every_field_stands_in_one_group():
    groups = grouped(field.name for field in FIELDS)
    assert list(groups) == list(GROUPS)
    assert sorted(name for names in groups.values() for name in names) == sorted(
        field.name for field in FIELDS
    )
    assert [group_of(name) for name in ("epoch", "lr", "reward_mean", "reward_wages_mean")] == [
        *("run", "update", "learning", "reward terms")
    ]
    assert groups["conflicts and rivalry"][0] == "queue_conflict_events"


@pytest.mark.parametrize(
    ("value", "shown", "difference"),
    [
        (0, "0", "0"),
        (-0.00123456, "-0.00123", "-0.00123"),
        (20296.7, "20297", "+20297"),
        (12345678, "12345678", "+1.2e+07"),
        (-1.7e308, "-2e+308", "-2e+308"),
        (math.nan, "–", "–"),
    ],
)
def test_figures_fit_their_columns(value, shown, difference):
    assert (figure(value), signed(value)) == (shown, difference)
    assert max(map(len, (shown, difference))) <= FIGURE


def test_sizes_show_their_direction():
    assert [deviations(size) for size in (2.34, -1.0, 0.5, 0, math.inf, -500, math.nan)] == [
        *("↑ 2.3", "↓ 1.0", "→ 0.5", "→ 0.0", "↑ ∞", "↓ 5e+02", "–")
    ]
    assert [percent(share) for share in (0.125, -2, 1234.5)] == ["+12.5 %", "-200.0 %", "+123450 %"]


def test_only_an_item_longer_than_a_line_is_broken():
    assert wrapped(["a" * 60, "b" * 30, "c"]) == f"{'a' * 60},\n{'b' * 30}, c"
    assert wrapped(["a", "b" * 100]) == f"a,\n{'b' * 79}\n{'b' * 21}"


@pytest.fixture
def summary():
    """A summary of all modes and fields, whose numbers need all the room that they may take."""
    statistics = Statistics()
    for epoch in range(1, 25):
        mode = ("rollout", "mixed", "replay", None)[epoch % 4]
        values = dict.fromkeys(NUMBERS, -0.000123456 * epoch)
        place = {"epoch": 10_000 + epoch, "cycle_id": epoch, "env_steps": 10**9 * epoch, "lr": 0.0003}
        statistics.add({**values, **place, "data_mode": mode, "skipped_updates": 0, "scenario": "x" * 200})
    return Summary("log", statistics, 0, [])


def test_a_summary_has_80_columns(summary):
    text = summary_text(summary)
    assert max(map(len, text.splitlines())) == 80
    assert "conflict.rivalry_avoid_count_mean_avg        agents  " in text
    assert "Extremes of rollout, at epochs\n" in text


def test_constants_are_told_once_and_changing_fields_by_group_with_their_unit(summary):
    for text in (summary_text(summary), summary_markdown(summary)):
        assert text.count("lr 0.0003") == len(summary.statistics.modes())
        assert text.count("0: skipped_updates") == len(summary.statistics.modes())
        assert text.index("Learning") < text.index("Conflicts and rivalry") < text.index("Reward terms")
    assert "| kl_divergence | nats | " in summary_markdown(summary)


def test_what_differs_by_rounding_is_constant(tmp_path, make_record):
    with TelemetryWriter(tmp_path / "log") as writer:
        for epoch, (lost, kept) in enumerate([(0.5, 0.5), (0.50000001, 0.500001)], start=1):
            writer.write(make_record(epoch, loss_total=lost, grad_norm=kept))
    shown, constant = summary_text(summarise(tmp_path / "log")).split("Constant\n")
    assert "grad_norm " in shown
    assert "loss_total " not in shown
    assert "loss_total 0.5," in constant.replace("\n", " ")


def test_a_drift_table_counts_the_fields_without_drift():
    drifts = [
        Drift("replay", "lr", 0.3, 0.30000001, 1e-8, 3e-8, 1e-8),
        Drift("replay", "loss_total", 2, 1, 1, 0.5, -1),
        Drift("replay", "kl_divergence", 0, 1, 1, 1, 1),
        Drift("replay", "grad_norm", 1, math.nan, math.nan, math.nan, math.nan),
    ]
    assert drift_table("Drift", drifts).rows == [
        ["Replay"],
        ["loss_total", "2", "1", "-1", "-50.0 %"],
        ["kl_divergence", "0", "1", "+1", "–"],
        ["grad_norm", "1", "–", "–", "–"],
        ["no drift in 1 field"],
    ]


def test_a_single_record_has_no_constants(tmp_path, make_record):
    with TelemetryWriter(tmp_path / "log") as writer:
        writer.write(make_record(1))
    text = summary_text(summarise(tmp_path / "log"))
    assert "Constant" not in text
    assert "\nlr  " in text


def test_json_holds_trends_units_groups_and_cycles(summary):
    mode = summary_json(summary)["modes"]["rollout"]
    found = mode["fields"]["kl_divergence"]
    assert (found["unit"], found["group"], found["trend"]["direction"]) == ("nats", "update", "down")
    assert mode["fields"]["epoch"]["trend"] is None
    assert [cycle["first_cycle"] for cycle in mode["by_cycle"]] == [4, 8, 12, 16, 20, 24]
