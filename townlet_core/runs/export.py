"""Scores of runs as a CSV file, a LaTeX table, and the JSON that marl-eval reads."""

from __future__ import annotations

import csv
import io as memory
from collections.abc import Sequence
from typing import Any

from townlet_core.errors import InputError, count
from townlet_core.estimates import Estimate
from townlet_core.runs.grouping import Group
from townlet_core.runs.scores import METRICS, Point, Scores

ENVIRONMENT = "townlet"
_NAMES = {
    "eval_return_mean": "Return",
    "eval_deterministic_return_mean": "Return, deterministic",
    "eval_conflicts_mean": "Conflicts",
    "eval_deterministic_conflicts_mean": "Conflicts, deterministic",
    "reward_mean": "Reward",
}
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
}


def csv_of_scores(groups: Sequence[Group], points: Sequence[Sequence[Sequence[Point]]]) -> str:
    """Return a row per run and cycle that was scored."""
    text = memory.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("scenario", "algorithm", "seed", "run", "cycle", "env_steps", *METRICS))
    for group, runs in zip(groups, points, strict=True):
        for run, scored in zip(group.runs, runs, strict=True):
            about = (group.task, group.algorithm, run.seed, run.folder)
            for point in scored:
                values = (point.values.get(name) for name in METRICS)
                rows.writerow((*about, point.cycle, point.env_steps, *values))
    return text.getvalue()


def latex_of_scores(scores: Scores) -> str:
    """Return a table for the package booktabs: the mean over seeds of every metric, with its interval."""
    metrics = list(dict.fromkeys(score.metric for score in scores.scores))
    cells = {(one.task, one.algorithm, one.metric): one for one in scores.scores}
    rows = list(dict.fromkeys((one.task, one.algorithm, len(one.values)) for one in scores.scores))
    lines = [
        "% Mean over seeds with its 95 % Student's t interval; needs \\usepackage{booktabs}.",
        f"\\begin{{tabular}}{{ll r{' r' * len(metrics)}}}",
        "\\toprule",
        f"Scenario & Algorithm & Seeds & {' & '.join(_NAMES[name] for name in metrics)} \\\\",
        "\\midrule",
    ]
    for task, algorithm, seeds in rows:
        found = [cells[task, algorithm, metric] for metric in metrics]
        shown = " & ".join(_cell(float(one.values.mean()), one.mean) for one in found)
        lines.append(f"{_escaped(task)} & {_escaped(algorithm)} & {seeds} & {shown} \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _cell(mean: float, estimate: Estimate | None) -> str:
    interval = "" if estimate is None else f" [{estimate.low:.3f}, {estimate.high:.3f}]"
    return f"${mean:.3f}${interval.replace('-', '$-$')}"


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)


def marl_eval_of_scores(
    groups: Sequence[Group], points: Sequence[Sequence[Sequence[Point]]]
) -> dict[str, Any]:
    """Return `{environment: {task: {algorithm: {seed_0: {step_0: …, absolute_metrics: …}}}}}`.

    Steps are the evaluations, or the rollouts where a run was not evaluated. The absolute metrics are those
    of the last step, because the episodes that chose the best checkpoint flatter it.
    Raises InputError if seeds or steps differ between the runs of a task, which marl-eval cannot read.
    Source: the data format of id-marl-eval; Gorsane et al. 2022, arXiv:2209.10485.
    """
    everyone = [run for group in points for run in group]
    are_evaluated = all(any(_is_evaluation(point) for point in run) for run in everyone)
    metrics = [
        name
        for name in METRICS
        if name.startswith("eval_") == are_evaluated and all(_has(run, name) for run in everyone)
    ]
    if not metrics:
        raise InputError("the runs have no metric in common", "train all of them with --eval-every")
    tasks: dict[str, dict[str, Any]] = {}
    for group, runs in zip(groups, points, strict=True):
        found = {
            f"seed_{run.seed}": _run_of([point for point in scored if metrics[0] in point.values], metrics)
            for run, scored in zip(group.runs, runs, strict=True)
        }
        tasks.setdefault(group.task, {})[group.algorithm.replace(",", ";")] = found
    for task, algorithms in tasks.items():
        _refuse_differences(task, algorithms)
    return {ENVIRONMENT: tasks}


def _is_evaluation(point: Point) -> bool:
    return any(name.startswith("eval_") for name in point.values)


def _has(run: Sequence[Point], metric: str) -> bool:
    return any(metric in point.values for point in run)


def _run_of(points: Sequence[Point], metrics: Sequence[str]) -> dict[str, Any]:
    steps: dict[str, Any] = {
        f"step_{n}": {"step_count": point.env_steps, **{name: [point.values[name]] for name in metrics}}
        for n, point in enumerate(points)
    }
    return {**steps, "absolute_metrics": {name: [points[-1].values[name]] for name in metrics}}


def _refuse_differences(task: str, algorithms: dict[str, dict[str, Any]]) -> None:
    first, *others = [(name, list(runs)) for name, runs in algorithms.items()]
    for name, seeds in others:
        if sorted(seeds) != sorted(first[1]):
            raise InputError(
                f"{task}: {name} has {', '.join(seeds)}, and {first[0]} has {', '.join(first[1])}: marl-eval "
                "reads equal seeds of every algorithm",
                "name the same seeds of each, or export --to csv",
            )
    sizes = {
        f"{name}, {seed}": len(run) - 1 for name, runs in algorithms.items() for seed, run in runs.items()
    }
    least, most = min(sizes, key=lambda run: sizes[run]), max(sizes, key=lambda run: sizes[run])
    if sizes[least] != sizes[most]:
        raise InputError(
            f"{task}: {least} was scored {count(sizes[least], 'time')}, and {most} "
            f"{count(sizes[most], 'time')}: marl-eval reads equal steps of every run",
            "finish the runs with the same cycles and --eval-every, or export --to csv",
        )
