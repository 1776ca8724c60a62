"""Runs are compared with the seed as the unit, and exported for papers and for marl-eval."""

import json

import pytest

from townlet_core.errors import InputError
from townlet_core.estimates import estimate_mean
from townlet_core.runs.export import csv_of_scores, latex_of_scores, marl_eval_of_scores
from townlet_core.runs.grouping import group_by_seed
from townlet_core.runs.reading import read_run_folder
from townlet_core.runs.scores import compare_scores, read_points

SLOW = {7: 0.1, 8: 0.2, 9: 0.4}  # returns by seed
FAST = {7: 0.5, 8: 0.6, 9: 0.9}


@pytest.fixture
def make_scored(make_run):
    """Make a run whose log ends with an evaluation of this return, in a scenario of its own if asked."""

    def make(name, result, **changes):
        folder = make_run(name, **changes)
        log = folder / "telemetry.jsonl"
        records = [json.loads(line) for line in log.read_text().splitlines()]
        for cycle in (0, 2):
            last = [record for record in records if record["cycle_id"] == cycle][-1]
            last |= {"eval_return_mean": result * (cycle / 2), "eval_conflicts_mean": 1 - result}
        log.write_text("".join(json.dumps(record) + "\n" for record in records))
        return folder

    return make


@pytest.fixture
def study(make_scored):
    """Three seeds of each of two learning rates."""
    return [
        make_scored(f"runs/{rate}-{seed}", result, settings={"seed": seed, "learning_rate": rate})
        for rate, results in ((0.001, SLOW), (0.1, FAST))
        for seed, result in results.items()
    ]


def read(folders):
    groups = group_by_seed([read_run_folder(folder) for folder in folders])
    return groups, [[read_points(run, pytest.fail) for run in group.runs] for group in groups]


def compare(folders):
    return compare_scores(*read(folders))


def test_runs_that_differ_in_their_seed_are_one_algorithm(study):
    groups, _ = read(study)
    assert [group.algorithm for group in groups] == ["learning_rate 0.001", "learning_rate 0.1"]
    assert [[run.seed for run in group.runs] for group in groups] == [[7, 8, 9], [7, 8, 9]]


def test_a_seed_again_is_another_algorithm(make_run):
    groups, _ = read([make_run("runs/a"), make_run("runs/b")])
    assert [group.algorithm for group in groups] == ["mode mixed", "mode mixed (2)"]


def test_intervals_are_over_the_seeds_of_the_last_evaluation(study):
    [slow, fast] = [one for one in compare(study).scores if one.metric == "eval_return_mean"]
    assert slow.values.tolist() == list(SLOW.values())
    assert slow.mean == estimate_mean(slow.values)
    assert fast.iqm.mean == pytest.approx(2 / 3)  # of three seeds, the mean


def test_better_means_a_higher_return_and_fewer_conflicts(study):
    found = {one.metric: one for one in compare(study).contrasts}
    assert (found["eval_return_mean"].improvement.mean, found["eval_conflicts_mean"].improvement.mean) == (
        0,
        0,
    )
    assert found["eval_return_mean"].difference.mean == pytest.approx(0.7 / 3 - 2 / 3)
    assert found["eval_conflicts_mean"].difference.mean == pytest.approx(2 / 3 - 0.7 / 3)
    assert found["eval_return_mean"].difference.high < 0


def test_one_seed_has_no_interval(study):
    found = compare([study[0], study[3]])
    assert all((one.mean, one.iqm) == (None, None) for one in found.scores)
    assert found.contrasts == found.profiles == []


def test_over_several_scenarios_the_worst_run_of_each_counts_0_and_the_best_1(study, make_scored):
    other = [
        make_scored(
            f"runs/other-{rate}-{seed}",
            100 * result,
            scenario="other",
            settings={"seed": seed, "learning_rate": rate},
        )
        for rate, results in ((0.001, SLOW), (0.1, FAST))
        for seed, result in results.items()
    ]
    found = compare([*study, *other])
    slow, fast = [one for one in found.overall if one.metric == "eval_return_mean"]
    # Of .1, .2, .4 in a range of .1 to .9, twice: 0, .125 and .375; the middle four of six
    assert slow.iqm.mean == pytest.approx((0 + 0.125 + 0.125 + 0.375) / 4)
    assert fast.iqm.mean == pytest.approx((0.5 + 0.625 + 0.625 + 1) / 4)
    together = next(one for one in found.contrasts if one.task is None)
    assert (together.improvement.mean, together.difference) == (0, None)


def test_csv_has_a_row_per_run_and_cycle(study):
    lines = csv_of_scores(*read(study)).splitlines()
    assert lines[0].startswith("scenario,algorithm,seed,run,cycle,env_steps,eval_return_mean,")
    assert len(lines) == 1 + 6 * 3
    assert lines[3].startswith("queue_conflict,learning_rate 0.001,7,")
    assert lines[3].split(",")[6] == "0.1"
    assert lines[2].split(",")[6] == ""  # not evaluated


def test_latex_has_a_row_per_algorithm_with_intervals_over_seeds(study):
    rows = [line for line in latex_of_scores(compare(study)).splitlines() if line.startswith("queue")]
    mean, low, high = compare(study).scores[0].mean
    assert rows[0].startswith(rf"queue\_conflict & learning\_rate 0.001 & 3 & ${mean:.3f}$ [")
    assert f"[{low:.3f}, {high:.3f}]".replace("-", "$-$") in rows[0]
    assert latex_of_scores(compare(study[:1])).count("[") == 0  # one seed


def test_marl_eval_gets_every_evaluation_and_the_last_as_absolute_metrics(study):
    tasks = marl_eval_of_scores(*read(study))["townlet"]
    run = tasks["queue_conflict"]["learning_rate 0.1"]["seed_9"]
    assert run["step_1"]["eval_return_mean"] == [0.9]
    assert run["step_1"]["step_count"] > run["step_0"]["step_count"] > 0
    assert run["absolute_metrics"] == {"eval_return_mean": [0.9], "eval_conflicts_mean": [pytest.approx(0.1)]}
    assert list(run) == ["step_0", "step_1", "absolute_metrics"]


def test_marl_eval_gets_rollouts_of_runs_that_were_not_evaluated(make_run):
    [runs] = marl_eval_of_scores(*read([make_run("runs/a")]))["townlet"]["queue_conflict"].values()
    assert [len(runs["seed_7"]), list(runs["seed_7"]["step_0"])] == [4, ["step_count", "reward_mean"]]


def test_seeds_that_differ_are_refused_for_marl_eval(study):
    with pytest.raises(InputError, match="reads equal seeds of every algorithm"):
        marl_eval_of_scores(*read(study[:-1]))
