"""What runs scored: evaluations and rollouts of their logs, and statistics over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from townlet_core.estimates import Estimate, estimate_mean
from townlet_core.runs.grouping import Group
from townlet_core.runs.reading import Run
from townlet_core.statistics.aggregates import Profile, estimate_iqm, performance_profile
from townlet_core.statistics.comparison import estimate_difference, probability_of_improvement
from townlet_core.telemetry.reader import read_records

# Fields of telemetry that score a run, and the sign of better.
METRICS = {
    "eval_return_mean": 1,
    "eval_deterministic_return_mean": 1,
    "eval_conflicts_mean": -1,
    "eval_deterministic_conflicts_mean": -1,
    "reward_mean": 1,
}
_OF_ROLLOUTS = ("reward_mean",)  # that of recordings says nothing about the policy
_THRESHOLDS = 21  # of a performance profile


class Point(NamedTuple):
    """What a run scored after a cycle."""

    cycle: int
    env_steps: int
    values: dict[str, float]  # by metric


class Score(NamedTuple):
    """The last values of one metric, of one algorithm's runs in one task. None: of one run, no interval."""

    metric: str
    task: str
    algorithm: str
    seeds: tuple[int | None, ...]
    values: np.ndarray  # by seed
    mean: Estimate | None
    iqm: Estimate | None


class Contrast(NamedTuple):
    """How two algorithms differ, both with several runs. task: None for all tasks together."""

    metric: str
    task: str | None
    first: str
    second: str
    difference: Estimate | None  # first less second; None for all tasks together
    improvement: Estimate  # probability that a run of the first is better


class Overall(NamedTuple):
    """The interquartile mean over all tasks, where 0 is the worst run of a task and 1 the best."""

    metric: str
    algorithm: str
    iqm: Estimate


class Curve(NamedTuple):
    """The performance profile of an algorithm in a task."""

    metric: str
    task: str
    algorithm: str
    profile: Profile


class Scores(NamedTuple):
    """Statistics over seeds."""

    scores: list[Score]
    contrasts: list[Contrast]
    overall: list[Overall]
    profiles: list[Curve]


def read_points(run: Run, on_problem: Callable[[str], Any]) -> list[Point]:
    """Read what a run scored, cycle by cycle; cycles without a metric are left out.

    on_problem: is told what is damaged or missing in the log. Raises MissingFileError, InputError, DiskError.
    """
    points: dict[int, Point] = {}
    records = read_records(
        run.log, lambda line, problem: on_problem(f"{line.place}: {problem}"), on_gap=on_problem
    )
    for _, record in records:
        if record["data_mode"] == "replay":
            names = [name for name in METRICS if name not in _OF_ROLLOUTS]
        else:
            names = list(METRICS)
        values = {name: float(record[name]) for name in names if name in record}
        if values:
            cycle = int(record["cycle_id"])
            before = points[cycle].values if cycle in points else {}
            points[cycle] = Point(cycle, int(record.get("env_steps", 0)), before | values)
    return [points[cycle] for cycle in sorted(points)]


def last_values(points: Sequence[Point]) -> dict[str, float]:
    """Return the last value of each metric."""
    return {name: value for point in points for name, value in point.values.items()}


def compare_scores(groups: Sequence[Group], points: Sequence[Sequence[Sequence[Point]]]) -> Scores:
    """Compare algorithms by the last values of every metric that all runs have; the seed is the unit.

    points: of every run of every group.
    """
    last = [[last_values(run) for run in group] for group in points]
    metrics = [name for name in METRICS if last and all(name in run for group in last for run in group)]
    scores = [
        _score(metric, group, np.array([run[metric] for run in runs]))
        for metric in metrics
        for group, runs in zip(groups, last, strict=True)
    ]
    found = Scores(scores, [], [], [])
    for metric in metrics:
        own = [score for score in scores if score.metric == metric]
        found.contrasts.extend(_contrasts(own))
        found.profiles.extend(_profiles(own))
        overall, together = _over_tasks(own)
        found.overall.extend(overall)
        found.contrasts.extend(together)
    return found


def _score(metric: str, group: Group, values: np.ndarray) -> Score:
    is_alone = len(values) < 2
    return Score(
        metric,
        group.task,
        group.algorithm,
        tuple(run.seed for run in group.runs),
        values,
        None if is_alone else estimate_mean(values),
        None if is_alone else estimate_iqm([values]),
    )


def _contrasts(scores: Sequence[Score]) -> list[Contrast]:
    """Compare every two algorithms that have several runs in the same task."""
    pairs = combinations([score for score in scores if score.mean], 2)
    return [
        Contrast(
            one.metric,
            one.task,
            one.algorithm,
            other.algorithm,
            estimate_difference(one.values, other.values),
            _improvement([(one, other)]),
        )
        for one, other in pairs
        if one.task == other.task
    ]


def _improvement(pairs: Sequence[tuple[Score, Score]]) -> Estimate:
    return probability_of_improvement(
        [(METRICS[one.metric] * one.values, METRICS[other.metric] * other.values) for one, other in pairs]
    )


def _profiles(scores: Sequence[Score]) -> list[Curve]:
    found = []
    for score in scores:
        in_task = np.concatenate([other.values for other in scores if other.task == score.task])
        thresholds = np.linspace(in_task.min(), in_task.max(), _THRESHOLDS)
        profile = performance_profile(score.values, thresholds)
        found += [Curve(score.metric, score.task, score.algorithm, profile)] if score.mean else []
    return found


def _over_tasks(scores: Sequence[Score]) -> tuple[list[Overall], list[Contrast]]:
    """Compare over all tasks, if there are two or more and every algorithm has several runs in each."""
    tasks = list(dict.fromkeys(score.task for score in scores))
    algorithms = list(dict.fromkeys(score.algorithm for score in scores))
    if len(tasks) < 2 or len(scores) < len(tasks) * len(algorithms) or not all(s.mean for s in scores):
        return [], []
    of = {(score.algorithm, score.task): score for score in scores}
    metric = scores[0].metric
    overall = [
        Overall(metric, name, estimate_iqm([_normalised(of[name, task], scores) for task in tasks]))
        for name in algorithms
    ]
    contrasts = [
        Contrast(
            metric, None, one, other, None, _improvement([(of[one, task], of[other, task]) for task in tasks])
        )
        for one, other in combinations(algorithms, 2)
    ]
    return overall, contrasts


def _normalised(score: Score, scores: Sequence[Score]) -> np.ndarray:
    """Scale scores to 0 for the worst run of the task and 1 for the best, of all algorithms."""
    sign = METRICS[score.metric]
    everyone = sign * np.concatenate([other.values for other in scores if other.task == score.task])
    low, width = everyone.min(), np.ptp(everyone)
    return (sign * score.values - low) / width if width else np.full(len(score.values), 0.5)
