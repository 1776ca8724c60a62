"""`townlet runs export`, and what `runs compare` says of scores over seeds."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import count, note, out, safe, table, to_json, warn, write_output
from townlet_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from townlet_core.estimates import Estimate
    from townlet_core.runs.grouping import Group
    from townlet_core.runs.reading import Run
    from townlet_core.runs.scores import Contrast, Point, Score, Scores

STDOUT = Path("-")


class Form(enum.StrEnum):
    """Format of an export."""

    csv = "csv"
    latex = "latex"
    marl_eval = "marl-eval"


def export(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories.")],
    to: Annotated[Form, typer.Option(help="Format to write.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write to, also .gz; by default stdout.")
    ] = STDOUT,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write what runs scored as CSV, as a LaTeX table, or as the JSON that marl-eval reads."""
    from townlet_core.io import refuse_existing
    from townlet_core.runs.export import csv_of_scores, latex_of_scores, marl_eval_of_scores
    from townlet_core.runs.reading import read_run_folder
    from townlet_core.runs.scores import compare_scores

    if output != STDOUT:
        refuse_existing(output, force)
    groups, points = read_scores([read_run_folder(run) for run in runs])
    if not any(point for group in points for run in group for point in run):
        raise InputError(
            "the logs of the runs hold no rollout and no evaluation, so there is nothing to export"
        )
    if to is Form.csv:
        text = csv_of_scores(groups, points)
    elif to is Form.latex:
        text = latex_of_scores(compare_scores(groups, points))
    else:
        text = to_json(marl_eval_of_scores(groups, points)) + "\n"
    said = f"{count(len(runs), 'run')}, {count(len({group.algorithm for group in groups}), 'algorithm')}"
    write_output(output, text.encode(), f"{safe(output)}: {said}")


def read_scores(runs: Sequence[Run]) -> tuple[list[Group], list[list[list[Point]]]]:
    """Group runs by seed and read what each scored."""
    from townlet_core.runs.grouping import group_by_seed
    from townlet_core.runs.scores import read_points

    groups = group_by_seed(runs)
    return groups, [[read_points(run, warn) for run in group.runs] for group in groups]


def scores_json(scores: Scores) -> dict[str, Any]:
    """Return what --json prints of scores."""
    return {
        "scores": [
            {
                **score._asdict(),
                "values": score.values.tolist(),
                "mean": _dict_of(score.mean),
                "iqm": _dict_of(score.iqm),
            }
            for score in scores.scores
        ],
        "contrasts": [
            {
                **one._asdict(),
                "difference": _dict_of(one.difference),
                "improvement": one.improvement._asdict(),
            }
            for one in scores.contrasts
        ],
        "overall": [{**one._asdict(), "iqm": one.iqm._asdict()} for one in scores.overall],
        "profiles": [
            {
                "metric": curve.metric,
                "task": curve.task,
                "algorithm": curve.algorithm,
                **{name: values.tolist() for name, values in curve.profile._asdict().items()},
            }
            for curve in scores.profiles
        ],
    }


def _dict_of(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else estimate._asdict()


def print_scores(scores: Scores) -> None:
    """Print means over seeds and how algorithms differ, if there are several runs of any."""
    if not any(score.mean for score in scores.scores):
        return
    for metric in dict.fromkeys(score.metric for score in scores.scores):
        out.print()
        out.print(_score_table(metric, [score for score in scores.scores if score.metric == metric]))
        contrasts = [one for one in scores.contrasts if one.metric == metric]
        if contrasts:
            out.print()
            out.print(_contrast_table(contrasts))
    for one in scores.overall:
        said = f"IQM over all scenarios, from 0 for the worst run to 1 for the best: {_line(one.iqm)}"
        out.print(f"{one.metric}, {safe(one.algorithm)}: {said}")
    note("[dim]the unit is the seed: intervals cover other seeds of the same algorithm, 95 %[/dim]")


def _score_table(metric: str, scores: Sequence[Score]) -> Any:
    has_tasks = len({score.task for score in scores}) > 1
    rows = table(f"{metric}, last value of each run", "", "seeds", "mean", "interquartile mean")
    for score in scores:
        name = f"{score.task}: {score.algorithm}" if has_tasks else score.algorithm
        mean = f"{score.values.mean():.4g}" if score.mean is None else _cell(score.mean)
        rows.add_row(safe(name), str(len(score.values)), mean, "" if score.iqm is None else _cell(score.iqm))
    return rows


def _contrast_table(contrasts: Sequence[Contrast]) -> Any:
    rows = table("Differences", "", "difference of means", "P(first is better)")
    for one in contrasts:
        place = "" if len({other.task for other in contrasts}) < 2 else f"{one.task or 'all scenarios'}: "
        difference = "" if one.difference is None else _cell(one.difference)
        rows.add_row(
            f"{safe(place + one.first)}\nless {safe(one.second)}", difference, _cell(one.improvement)
        )
    return rows


def _cell(estimate: Estimate) -> str:
    return f"{estimate.mean:.4g}\n[dim]{estimate.low:.4g} … {estimate.high:.4g}[/dim]"


def _line(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} ({estimate.low:.3f} … {estimate.high:.3f})"
