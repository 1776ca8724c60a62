"""Evaluations while training are drawn by policy, with the intervals that the log has."""

import json

from townlet_core.estimates import Estimate
from townlet_core.report.figures import Drawing, common_axis, draw_figure, evaluations
from townlet_core.report.groups import group_runs
from townlet_core.report.run import read_a_run

NAMES = (
    "eval_episodes",
    "eval_return_mean",
    "eval_return_low",
    "eval_return_high",
    "eval_deterministic_return_mean",
    "eval_laps_mean",
)


def test_a_measure_has_one_figure_with_both_policies():
    returns, laps = evaluations(NAMES)
    assert returns.policies == (
        ("sampled", "eval_return_mean"),
        ("deterministic", "eval_deterministic_return_mean"),
    )
    assert (returns.title, returns.measure) == ("Evaluation: return", "return")
    assert (laps.policies, laps.measure) == ((("sampled", "eval_laps_mean"),), None)
    assert set(returns.fields) >= {"eval_return_mean", "eval_return_low", "eval_return_high"}


def test_an_evaluation_is_drawn_where_it_was_made_with_its_interval_and_the_script(tmp_path, record):
    found = {"eval_return_mean": 2.0, "eval_return_low": 1.0, "eval_return_high": 4.0}
    found["eval_deterministic_return_mean"] = 3.0
    lines = [record(n, env_steps=60 * n, **(found if n % 2 == 0 else {})) for n in range(1, 5)]
    (tmp_path / "log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    figure = next(iter(evaluations(NAMES)))
    groups = group_runs([read_a_run(tmp_path / "log", figure.fields)])
    drawing = Drawing(groups, common_axis(groups), {"town": {"return": Estimate(-1.0, -2.0, 0.0)}})
    chart = draw_figure(figure, drawing)
    sampled, deterministic = chart.series
    assert (sampled.label, deterministic.label) == ("sampled", "deterministic")
    assert [array.tolist() for array in sampled.curve] == [[120, 240], [2, 2], [1, 1], [4, 4]]
    assert deterministic.curve.mean.tolist() == [3, 3]
    assert chart.levels[0].mean == -1
    assert chart.about.endswith("band: 95 % interval over episodes")
