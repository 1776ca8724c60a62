"""Write a shard: whole samples as rows, and a table of the samples (docs/data.md, Packed data)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, get_args

import orjson
import pyarrow as pa

from townlet_core import io
from townlet_core.errors import InputError, SampleError, count, did_you_mean, shown
from townlet_core.replay.checks import check_sample
from townlet_core.replay.format import warnings
from townlet_core.replay.limits import DEFAULT_LIMITS
from townlet_core.replay.packed.layout import KEY, Layout, layout_of, pack_rows
from townlet_core.replay.packed.message import MAGIC, most_expanded
from townlet_core.replay.packed.table import describe, sample_table
from townlet_core.replay.sample import ReplaySample, raise_first

Compression = Literal["zstd", "lz4", "none"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)
BATCH_BYTES = 1 << 20  # of rows before compression, after which a record batch ends
SHARD_TRANSITIONS = 131_072  # after which a writer of many samples begins the next shard


class ShardWriter:
    """Write one shard, `NAME.arrow` and `NAME_samples.arrow`: add samples, then close it, or abandon it.

    Equal samples give equal bytes (with the same pyarrow). Memory holds one record batch and the table.
    """

    def __init__(self, folder: Path, name: str, compression: str = "zstd") -> None:
        if compression not in COMPRESSIONS:
            near = did_you_mean(compression, COMPRESSIONS)
            raise InputError(f"compression {shown(compression)}: expected {', '.join(COMPRESSIONS)}{near}")
        self.compression = compression
        self.transitions = 0
        self._layout: Layout | None = None
        self._schema = pa.schema([])
        self._rows: list[dict[str, Any]] = []  # of the samples table
        self._waiting: list[ReplaySample] = []  # of the next record batch
        self._waiting_rows = 0
        self._header = ""  # sha256 of what comes before the record batches
        self._batches: list[list[Any]] = []  # offset, bytes, rows, sha256
        self._path = Path(folder) / f"{name}.arrow"
        self._file, self._sink, self._digest = io.AtomicFile(self._path), _Sink(), hashlib.sha256()
        self._writer: Any = None

    @property
    def sample_count(self) -> int:
        """Number of samples added."""
        return len(self._rows)

    def fits(self, sample: ReplaySample) -> bool:
        """Whether the sample can be in this shard: its arrays, names and vocabulary are the same."""
        return self._layout is None or layout_of(sample, self._layout.map_type) == self._layout

    def add(
        self, sample: ReplaySample, name: str | None = None, original: tuple[bytes, bytes] | None = None
    ) -> None:
        """Add a sample. Raises SampleError if it is invalid, InputError if it does not fit.

        name: of the NPZ file; None for the name that the capture's numbering gives. original: the NPZ and the
        JSON file; they are kept as they are where this version would write others.
        """
        place = f"{self._path}/{name or sample.agent_id}"
        findings = check_sample(sample.arrays(), sample.metadata, place, place)
        raise_first(findings)
        if self._layout is None:
            self._begin(layout_of(sample))
        elif not self.fits(sample):
            raise InputError(f"{place}: does not fit the other samples of the shard", "begin another shard")
        weak = [f"{finding.place} {finding.message}" for finding in warnings(findings)]
        self._rows.append(describe(sample, self.transitions, name, weak, original))
        self._waiting.append(sample)
        self._waiting_rows += sample.timesteps
        self.transitions += sample.timesteps
        assert self._layout is not None  # begun above
        if self._waiting_rows * self._layout.packed_row_bytes >= BATCH_BYTES:
            self._write_batch()

    def _begin(self, layout: Layout) -> None:
        self._layout = layout
        self._schema = layout.schema().with_metadata({KEY: orjson.dumps(layout.as_dict())})
        self._file.__enter__()
        self._writer = pa.ipc.new_file(self._sink, self._schema, options=_options(self.compression))

    def _write_batch(self) -> None:
        assert self._layout is not None  # there are samples
        first = len(self._rows) - len(self._waiting)
        batch = pack_rows(self._layout, self._waiting, first, self._schema)
        self._waiting, self._waiting_rows = [], 0
        self._writer.write_batch(batch)
        data = self._sink.take()
        if not self._batches:  # the schema is written with the first batch
            header = len(MAGIC) + self._schema.serialize().size
            self._append(data[:header])
            self._header = io.sha256(data[:header])
            data = data[header:]
        expanded = batch.num_rows * self._layout.sample_row_bytes
        if expanded > (most := most_expanded(len(data), DEFAULT_LIMITS)):
            raise SampleError(
                f"{self._path}: a record batch whose samples take {count(expanded, 'byte')} is packed so "
                f"small, {count(len(data), 'byte')}, that readers refuse it: expected at most {most:,}",
                "write it with --compression none, or cut the samples",
            )
        self._batches.append([self._file.bytes, len(data), batch.num_rows, io.sha256(data)])
        self._append(data)

    def _append(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)

    def close(self) -> dict[str, Any]:
        """Finish both files and return the shard's entry of a manifest. Raises InputError without samples."""
        if self._layout is None:
            raise InputError(f"{self._path}: a shard needs at least one sample")
        if self._waiting:
            self._write_batch()
        self._writer.close()
        self._append(self._sink.take())
        self._file.__exit__(None, None, None)
        about = {**self._layout.as_dict(), "header_sha256": self._header, "batches": self._batches}
        table = sample_table(self._rows).replace_schema_metadata({KEY: orjson.dumps(about)})
        path, buffer = self._path.with_name(f"{self._path.stem}_samples.arrow"), pa.BufferOutputStream()
        with pa.ipc.new_file(buffer, table.schema, options=_options("zstd")) as writer:
            writer.write_batch(table)
        data = buffer.getvalue().to_pybytes()
        io.write_file(path, data)
        return {
            "shard": self._path.name,
            "samples": path.name,
            "sample_count": self.sample_count,
            "transitions": self.transitions,
            "sha256": self._digest.hexdigest(),
            "bytes": self._file.bytes,
            "samples_sha256": io.sha256(data),
            "samples_bytes": len(data),
        }

    def abandon(self) -> None:
        """Leave no file of a shard that was not closed."""
        if self._layout is not None:
            self._file.__exit__(InputError, None, None)


class _Sink:
    """Where the library writes: bytes wait here until a record batch is complete."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._position += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data = b"".join(self._parts)
        self._parts = []
        return data


def _options(compression: str) -> pa.ipc.IpcWriteOptions:
    return pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
