"""Export recordings as Parquet files: a row per tick, and a row per episode (docs/exchange.md, Parquet)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from townlet_core.exchange.columns import EPISODE, episode_rows, row_schema
from townlet_core.exchange.episodes import Recordings
from townlet_core.exchange.export import write_export
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.sink import open_sink

ROW_GROUP = 16_384  # rows held in memory and written together
PART_ROWS = 1 << 20  # rows after which the next file begins
EPISODES = "episodes.parquet"
_TOGETHER = 1024  # episodes that become one table
_KEY = b"townlet"  # in the metadata of every file: names and sizes, JSON


def export_parquet(
    path: Path | str,
    output: Path | str,
    force: bool = False,
    limits: ReadLimits = DEFAULT_LIMITS,
    after_sample: Callable[[], Any] = lambda: None,
) -> dict[str, Any]:
    """Write the recordings behind `path` as Parquet files, and return what was written.

    Raises SampleError for samples that are damaged or do not fit together, InputError if `output` exists,
    MissingError or DiskError.
    """
    return write_export(Recordings(path, limits, after_sample), output, "parquet", write_parquet, force)


def write_parquet(recordings: Recordings, folder: Path, narrow: bool) -> dict[str, Any]:
    """Write `data/part-00000.parquet` and so on, and `episodes.parquet`, into a folder."""
    about = {_KEY: orjson.dumps(recordings.shared.as_dict())}
    schema = row_schema(recordings.shared, narrow).with_metadata(about)
    facts: list[dict[str, Any]] = []  # of episodes, until some are written together
    with (
        _Parts(folder / "data", schema) as rows,
        _Parts(folder, pa.schema(list(EPISODE.items())).with_metadata(about), EPISODES) as episodes,
    ):
        for episode in recordings.episodes(narrow):
            rows.add(episode_rows(episode, schema))
            facts.append({"episode_index": episode.number, **episode.about})
            if len(facts) == _TOGETHER:
                episodes.add(pa.Table.from_pylist(facts, episodes.schema))
                facts = []
        episodes.add(pa.Table.from_pylist(facts, episodes.schema))
    return {"episodes": episodes.rows, "transitions": rows.rows}


class _Parts:
    """Parquet files with these columns; rows wait until a row group is complete."""

    def __init__(self, folder: Path, schema: pa.Schema, name: str = "part-{:05d}.parquet") -> None:
        self.rows = 0
        self.schema = schema
        self._folder, self._name = folder, name
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._in_part = 0
        self._number = 0
        self._open = contextlib.ExitStack()
        self._writer: Any = None

    def __enter__(self) -> _Parts:
        return self

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        self.rows += table.num_rows
        if self._waiting_rows >= ROW_GROUP:
            self._write()

    def _write(self) -> None:
        if self._writer is None:
            file = self._open.enter_context(open_sink(self._folder / self._name.format(self._number)))
            self._writer = self._open.enter_context(pq.ParquetWriter(file, self.schema, compression="zstd"))
            self._number += 1
        table = pa.concat_tables(self._waiting)
        self._waiting, self._waiting_rows = [], 0
        self._writer.write_table(table, row_group_size=ROW_GROUP)
        self._in_part += table.num_rows
        if self._in_part >= PART_ROWS and "{" in self._name:
            self._open.close()
            self._writer, self._in_part = None, 0

    def __exit__(self, *error: Any) -> None:
        if error[0] is None and self._waiting_rows:
            self._write()
        self._open.__exit__(*error)
