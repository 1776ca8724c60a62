"""`townlet telemetry export`: a log as a table, or for TensorBoard."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import command, count, next_step, out, print_json, safe, warn
from townlet_cli.telemetry_options import JsonOption, LogArgument, find_log
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
    log: LogArgument,
    to: Annotated[Form, typer.Option(help="Format to write.")],
    output: Annotated[
        Path | None, typer.Option(help="File to write, or folder for tensorboard; csv by default to stdout.")
    ] = None,
    names: Annotated[Names, typer.Option(help="Whose names the curves in TensorBoard have.")] = Names.sb3,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a log as CSV or Parquet, a row per record, or as TensorBoard event files, a point per update."""
    to_stdout = to is Form.csv and (output is None or str(output) == "-")
    if as_json and to_stdout:
        raise InputError("--json and the CSV would both go to stdout", "give --output FILE")
    if output is None and not to_stdout:
        raise InputError(f"--to {to} needs a place to write to", "give --output")
    path = find_log(log)
    records = _Records(path)
    written = _write(records, to, None if to_stdout else output, names, force)
    if records.damaged:
        lines = count(records.damaged, "damaged line")
        warn(f"{path}: {lines} left out; {command('telemetry', 'validate', log)} lists them")
    for name, times in written.pop("left_out", {}).items():
        warn(f"{path}: {name}: {count(times, 'value')} left out: no such field, or another type")
    if as_json:
        print_json({"format": str(to), "output": str(output), "records": records.count, **written})
    elif not to_stdout:
        points = "".join(
            f", {count(number, f'{mode} point')}" for mode, number in written.get("points", {}).items()
        )
        out.print(f"{safe(output)}: {count(records.count, 'record')}{safe(points)}")
        next_step(_READERS[to].format(dumps(str(output))))


_READERS = {
    Form.csv: "python -c 'import pandas; print(pandas.read_csv({}))'",
    Form.parquet: "python -c 'import pandas; print(pandas.read_parquet({}))'",
    Form.tensorboard: "tensorboard --logdir {}",
}


class _Records:
    """The records of a log, counted; raises InputError at the end if there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
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


def _write(records: _Records, to: Form, output: Path | None, names: Names, force: bool) -> dict[str, Any]:
    """Write the export, None for stdout; return what there is to say of it besides the records."""
    if to is Form.tensorboard and output:
        from townlet_core.telemetry.export_tensorboard import export_tensorboard

        return {"names": str(names), "points": export_tensorboard(records, output, str(names), force)}
    from townlet_core.telemetry import export_columns

    if output is None:
        sys.stdout.flush()
        columns = export_columns.write_csv(records, sys.stdout.buffer.write)
    elif to is Form.csv:
        columns = export_columns.write_csv_file(records, output, force)
    else:
        columns = export_columns.write_parquet_file(records, output, force)
    return {"left_out": columns.left_out}
