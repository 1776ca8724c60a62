"""`townlet telemetry export`: logs as a table, or for TensorBoard."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import command, count, next_step, out, print_json, safe, warn
from townlet_cli.telemetry_options import JsonOption, find_log
from townlet_core.errors import InputError

if TYPE_CHECKING:
    from townlet_core.telemetry.reader import Line
    from townlet_core.telemetry.records import Record


class Form(enum.StrEnum):
    """Format of an export."""

    csv = "csv"
    parquet = "parquet"
    tensorboard = "tensorboard"


class Names(enum.StrEnum):
    """Whose names curves have."""

    sb3 = "sb3"
    cleanrl = "cleanrl"
    townlet = "townlet"


def export(
    logs: Annotated[
        list[Path],
        typer.Argument(
            metavar="LOG...", help="Telemetry logs, run folders, folders of runs, or - for stdin."
        ),
    ],
    to: Annotated[Form, typer.Option(help="Format to write.")],
    output: Annotated[
        Path | None, typer.Option(help="File to write, or folder for tensorboard; csv by default to stdout.")
    ] = None,
    names: Annotated[Names, typer.Option(help="Whose names the curves in TensorBoard have.")] = Names.sb3,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write logs as CSV or Parquet, a row per record, or as TensorBoard event files, a point per update."""
    to_stdout = to is Form.csv and (output is None or str(output) == "-")
    if as_json and to_stdout:
        raise InputError("--json and the CSV would both go to stdout", "give --output FILE")
    if output is None and not to_stdout:
        raise InputError(f"--to {to} needs a place to write to", "give --output")
    runs, is_set = _runs_of(logs)
    written = _write(runs, is_set, to, None if to_stdout else output, names, force)
    for run in runs:
        if run.damaged:
            lines = count(run.damaged, "damaged line")
            warn(f"{run.path}: {lines} left out; {command('telemetry', 'validate', run.given)} lists them")
    for name, times in written.pop("left_out", {}).items():
        where = runs[0].path if len(runs) == 1 else count(len(runs), "log")
        warn(f"{where}: {name}: {count(times, 'value')} left out: no such field, or another type")
    records = sum(run.count for run in runs)
    if as_json:
        about = {"runs": [run.about() for run in runs]} if is_set else {}
        print_json({"format": str(to), "output": str(output), "records": records, **about, **written})
    elif not to_stdout:
        points = "".join(
            f", {count(number, f'{mode} point')}" for mode, number in written.get("points", {}).items()
        )
        several = f" of {count(len(runs), 'run')}" if is_set else ""
        out.print(f"{safe(output)}: {count(records, 'record')}{several}{safe(points)}")
        next_step(_READERS[to].format(dumps(str(output))))


_READERS = {
    Form.csv: "python -c 'import pandas; print(pandas.read_csv({}))'",
    Form.parquet: "python -c 'import pandas; print(pandas.read_parquet({}))'",
    Form.tensorboard: "tensorboard --logdir {}",
}


class _Run:
    """The records of a log, counted; raises InputError at the end if there is none."""

    def __init__(self, given: Path, name: str) -> None:
        self.given = given
        self.name = name
        self.path = find_log(given)
        self.count = self.damaged = 0

    def __iter__(self) -> Iterator[Record]:
        from townlet_core.telemetry.reader import read_records

        for _, record in read_records(self.path, self._count_damage, on_gap=warn):
            self.count += 1
            yield record
        if not self.count:
            raise InputError(f"{self.path}: holds no record, so there is nothing to export")

    def _count_damage(self, line: Line, problem: str) -> None:
        self.damaged += 1

    def about(self) -> dict[str, Any]:
        """Return what --json says of one of several logs."""
        return {"run": self.name, "log": str(self.path), "records": self.count}


def _runs_of(logs: Sequence[Path]) -> tuple[list[_Run], bool]:
    """Return the logs, and whether they are exported as several: not where one log is named."""
    from townlet_core.report.run import find_runs
    from townlet_core.telemetry.export import names_of_runs
    from townlet_core.telemetry.segments import is_stream

    found = find_runs(logs)
    names = names_of_runs([Path("stdin") if is_stream(path) else path for path in found])
    return [_Run(path, name) for path, name in zip(found, names, strict=True)], found != list(logs[:1])


def _write(
    runs: list[_Run], is_set: bool, to: Form, output: Path | None, names: Names, force: bool
) -> dict[str, Any]:
    """Write the export, None for stdout; return what there is to say of it besides the records."""
    if to is Form.tensorboard and output:
        return {"names": str(names), "points": _write_events(runs, is_set, output, str(names), force)}
    from townlet_core.telemetry import export_columns

    fields = export_columns.FIELDS_OF_RUNS if is_set else export_columns.FIELDS
    records = _labelled(runs) if is_set else runs[0]
    if output is None:
        sys.stdout.flush()
        columns = export_columns.write_csv(records, sys.stdout.buffer.write, fields)
    elif to is Form.csv:
        columns = export_columns.write_csv_file(records, output, force, fields)
    else:
        columns = export_columns.write_parquet_file(records, output, force, fields)
    return {"left_out": columns.left_out}


def _labelled(runs: list[_Run]) -> Iterator[Record]:
    """Yield the records of all logs, each with the name of its log."""
    for run in runs:
        for record in run:
            yield {**record, "run": run.name}


def _write_events(runs: list[_Run], is_set: bool, output: Path, names: str, force: bool) -> dict[str, int]:
    """Write TensorBoard's files; return the points of each mode, those of all logs together."""
    from townlet_core.telemetry.export_tensorboard import export_runs, export_tensorboard

    if not is_set:
        return export_tensorboard(runs[0], output, names, force)
    points: dict[str, int] = {}
    for found in export_runs({run.name: run for run in runs}, output, names, force).values():
        for mode, number in found.items():
            points[mode] = points.get(mode, 0) + number
    return points
