"""Export logs as a table, a row per record: CSV or Parquet, with a column for every field of FIELDS."""

from __future__ import annotations

import csv
import io as memory
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from townlet_core import io
from townlet_core.sink import open_sink
from townlet_core.telemetry.fields import FIELDS, Field
from townlet_core.telemetry.records import Record, whole_number

BLOCK = 4096  # records held in memory and written together
_TYPES = {"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "histogram": pa.list_(pa.int64())}
RUN = Field("run", "str", "", "ours", True, "name of the log that holds the record", "")
# The columns of several logs: their records say in `run` which one they are of.
FIELDS_OF_RUNS = (RUN, *FIELDS)


class Columns:
    """Turns records into columns, and counts what has no place in them."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self.names = [field.name for field in fields]
        self.rows = 0
        self.left_out: dict[str, int] = {}  # unknown fields, and values of another type: how often

    def blocks(self, records: Iterable[Record]) -> Iterator[dict[str, list[Any]]]:
        """Yield the columns of so many records at a time."""
        rest = iter(records)
        while block := list(islice(rest, BLOCK)):
            self.rows += len(block)
            for record in block:
                for name in record.keys() - self.names:
                    self._leave_out(name)
            yield {field.name: [self._value(field, record) for record in block] for field in self.fields}

    def _value(self, field: Field, record: Record) -> Any:
        value = record.get(field.name)
        if value is None:
            return None
        fitting = _fitting(field.type, value)
        if fitting is None:
            self._leave_out(field.name)
        return fitting

    def _leave_out(self, name: str) -> None:
        self.left_out[name] = self.left_out.get(name, 0) + 1


def _fitting(kind: str, value: Any) -> Any:
    """Return a value as its column holds it; None if it is of another type."""
    if kind == "int":
        whole = whole_number(value)
        return whole if whole is not None and abs(whole) < 1 << 63 else None
    if kind == "float":
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "str":
        return value if isinstance(value, str) else None
    counts = [whole_number(one) for one in value] if isinstance(value, list) else [None]
    return None if any(one is None or abs(one) >= 1 << 63 for one in counts) else counts


def write_csv(
    records: Iterable[Record], write: Callable[[bytes], Any], fields: Sequence[Field] = FIELDS
) -> Columns:
    """Write a header and a line per record; a missing value is empty, a histogram is a JSON list."""
    columns = Columns(fields)
    write(_csv_lines([columns.names]))
    for block in columns.blocks(records):
        write(_csv_lines(zip(*(map(_csv_value, block[name]) for name in columns.names), strict=True)))
    return columns


def write_csv_file(
    records: Iterable[Record], output: Path, force: bool, fields: Sequence[Field] = FIELDS
) -> Columns:
    """Write a CSV file, which appears whole. Raises InputError if it is there, DiskError."""
    io.refuse_existing(output, force)
    with io.AtomicFile(output) as file:
        return write_csv(records, file.write, fields)


def write_parquet_file(
    records: Iterable[Record], output: Path, force: bool, fields: Sequence[Field] = FIELDS
) -> Columns:
    """Write a Parquet file, which appears whole. Raises InputError if it is there, DiskError."""
    io.refuse_existing(output, force)
    columns, schema = Columns(fields), _schema(fields)
    with open_sink(output) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for block in columns.blocks(records):
            writer.write_table(pa.table(block, schema=schema))
    return columns


def _schema(fields: Sequence[Field]) -> pa.Schema:
    return pa.schema(
        [
            pa.field(field.name, _TYPES[field.type], metadata={"unit": field.unit, "meaning": field.meaning})
            for field in fields
        ]
    )


def _csv_lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = memory.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _csv_value(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, list) else value
