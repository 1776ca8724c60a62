"""The table of a study: means over seeds, with intervals; equal bytes in whatever order its jobs ran."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core import io
from townlet_core.errors import InputError, count, name_list
from townlet_core.estimates import LEVEL, METHOD, estimate_mean
from townlet_core.study.plan import Plan
from townlet_core.study.results import Result
from townlet_core.study.state import Standing, look_at

SCHEMA = "townlet.study/1"
FILES = ("results.txt", "results.csv", "results.json")
SHOWN = ("return", "conflicts")  # measures in the text


class Mean(NamedTuple):
    """A mean, and its interval if there are several values; None where nothing defines the measure."""

    mean: float | None
    low: float | None
    high: float | None


class Row(NamedTuple):
    """A method, or a script, in a scenario."""

    scenario: str
    method: str
    over: str  # what means and intervals are over: seeds, or for a script episodes
    number: int  # of them
    measures: dict[str, Mean]
    by_seed: dict[int, dict[str, float | None]]  # the mean of each measure over the episodes of a seed


class Table(NamedTuple):
    """The results of a study."""

    study: str
    episodes: int  # per evaluation
    rows: list[Row]
    missing: list[int]  # numbers of the jobs that are not done


def merge(plan: Plan, partial: bool = False) -> Table:
    """Read the results of all jobs. partial: of those that are done.

    Raises InputError if jobs are not done, if none is, or if their versions differ; DiskError.
    """
    standings = [look_at(job) for job in plan.jobs]
    missing = [standing for standing in standings if standing.result is None]
    if len(missing) == len(standings) or (missing and not partial):
        numbers = ",".join(str(standing.job.number) for standing in missing)
        states = [f"job {standing.job.number} is {standing.state}" for standing in missing]
        raise InputError(
            f"{plan.folder}: {len(missing):,} of {count(len(standings), 'job')} are not done: "
            f"{name_list(states)}",
            f"--status says why; --run {numbers if len(numbers) < 80 else 'all'} runs them"
            + ("" if len(missing) == len(standings) else ", and --partial leaves them out"),
        )
    _refuse_versions(standings)
    groups: dict[tuple[str, str], list[Result]] = {}
    for standing in standings:
        if found := standing.result:
            groups.setdefault((found.scenario, found.method), []).append(found)
    rows = [_row(*names, results, plan.episodes) for names, results in groups.items()]
    return Table(plan.name, plan.episodes, rows, [standing.job.number for standing in missing])


def _refuse_versions(standings: Iterable[Standing]) -> None:
    """Raise InputError unless all results are of the same versions; a script's has none of torch."""
    first: dict[str, tuple[str, int]] = {}
    for standing in standings:
        for name, version in standing.result.versions.items() if standing.result else ():
            other, number = first.setdefault(name, (version, standing.job.number))
            if version != other:
                raise InputError(
                    f"jobs {number} and {standing.job.number} were run with different versions: "
                    f"{name} {other} and {version}",
                    "run those of one version again, with --force",
                )


def _row(scenario: str, method: str, results: list[Result], episodes: int) -> Row:
    if results[0].seed is None:
        measures = {name: Mean(**found) for name, found in results[0].measures.items()}
        return Row(scenario, method, "episodes", episodes, measures, {})
    by_seed = {
        result.seed: {name: found["mean"] for name, found in result.measures.items()}
        for result in results
        if result.seed is not None
    }
    measures = {name: _mean([values[name] for values in by_seed.values()]) for name in results[0].measures}
    return Row(scenario, method, "seeds", len(by_seed), measures, by_seed)


def _mean(values: Sequence[float | None]) -> Mean:
    """Estimate the mean over the seeds that define a measure."""
    known = [value for value in values if value is not None]
    if len(known) > 1:
        return Mean(*estimate_mean(np.array(known)))
    return Mean(known[0] if known else None, None, None)


def write_table(folder: Path, table: Table) -> None:
    """Write the table as text, CSV and JSON, each file atomically. Raises DiskError."""
    texts = (as_text(table).encode(), as_csv(table).encode(), io.dump_json(as_json(table)))
    for name, data in zip(FILES, texts, strict=True):
        io.write_file(folder / name, data)


def as_json(table: Table) -> dict[str, Any]:
    """Return the table as JSON."""
    return {
        "schema": SCHEMA,
        "study": table.study,
        "episodes": table.episodes,
        "interval": {"level": LEVEL, "method": METHOD},
        "rows": [
            {
                "scenario": row.scenario,
                "method": row.method,
                "over": row.over,
                "number": row.number,
                "measures": {name: mean._asdict() for name, mean in row.measures.items()},
                "seeds": [{"seed": seed, **values} for seed, values in row.by_seed.items()],
            }
            for row in table.rows
        ],
        "missing": table.missing,
    }


def as_csv(table: Table) -> str:
    """Return a line per scenario, method and measure, with a column for each seed."""
    seeds = list(dict.fromkeys(seed for row in table.rows for seed in row.by_seed))
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("scenario", "method", "measure", "over", "number", "mean", "low", "high")
    writer.writerow([*names, *(f"seed_{seed}" for seed in seeds)])
    for row in table.rows:
        for measure, mean in row.measures.items():
            values = [row.by_seed.get(seed, {}).get(measure) for seed in seeds]
            writer.writerow([row.scenario, row.method, measure, row.over, row.number, *mean, *values])
    return text.getvalue()


def as_text(table: Table) -> str:
    """Return the table for people: returns and conflicts, then those of each seed."""
    title = f"{table.study}: {count(table.episodes, 'episode')} per evaluation, mean and 95 % interval\n"
    if table.missing:
        title += f"not done, and left out: {count(len(table.missing), 'job')}\n"
    rows: list[Sequence[str]] = [("scenario", "method", "over", *SHOWN)]
    for row in table.rows:
        means = (_interval(row.measures[name]) for name in SHOWN)
        rows.append((row.scenario, row.method, f"{row.number} {row.over}", *means))
    single: list[Sequence[str]] = [("scenario", "method", "seed", *SHOWN)]
    for row in table.rows:
        for seed, values in row.by_seed.items():
            single.append((row.scenario, row.method, f"{seed}", *(_number(values[name]) for name in SHOWN)))
    return f"{title}\n{_columns(rows)}\n{_columns(single)}"


def _interval(mean: Mean) -> str:
    return _number(mean.mean) + ("" if mean.low is None else f" [{mean.low:.3f}, {mean.high:.3f}]")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)
