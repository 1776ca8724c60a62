"""Write a telemetry log: one write per record, offsets that only grow, segments that stay in order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from townlet_core import io
from townlet_core.errors import DiskError, InputError, RunFailed
from townlet_core.telemetry.fields import FIELDS
from townlet_core.telemetry.reader import closed_segments
from townlet_core.telemetry.records import (
    Record,
    check_known,
    check_record,
    not_finite,
    parse_record,
    whole_number,
)
from townlet_core.vocab import TELEMETRY_VERSION

TAIL_BYTES = 1 << 20  # the last offset is looked for in this much of each segment's end


def refuse_existing_log(path: Path, force: bool) -> None:
    """Raise InputError if a new log cannot begin at `path`: with `force`, it may replace a log, nothing else.

    The one who begins it cuts it, with `truncate_to(0)`.
    """
    segments = (Path(path), *closed_segments(path).values())
    if not any(map(_read_tail, segments)):
        return
    if not force:
        raise InputError(f"{path}: already exists", "choose another file, or replace a log with --force")
    # Every record begins like this, also one that a crash cut short.
    if not any(re.search(rb'^\{"telemetry_version"', _read_tail(segment), re.M) for segment in segments):
        raise InputError(
            f"{path}: is not a telemetry log, which --force could replace", "choose another file"
        )


class TelemetryWriter:
    """Append records to the log at `path`, which is continued if it is there.

    path: the live file; its closed segments stand beside it as `path.1`, `path.2`, …
    log_every: write every n-th record; the others only count in `offset`.
    max_bytes, max_records: close the live file before it grows beyond either; None for no limit.
    offset: how many records this log has been given, over all its runs; the last one's log_stream_offset.

    One writer at a time: a run directory's lock sees to it (io.lock_folder). Raises DiskError.
    """

    def __init__(
        self, path: Path, log_every: int = 1, max_bytes: int | None = None, max_records: int | None = None
    ) -> None:
        self.path = Path(path)
        self.log_every = log_every
        self.max_bytes = max_bytes
        self.max_records = max_records
        io.drop_partial_line(self.path)
        self.offset = _last_offset(self.path)
        self._descriptor = io.open_append(self.path)
        self._measure()

    def write(self, record: Mapping[str, Any]) -> bool:
        """Add version and offset to `record` and append it as one line; return whether its turn had come.

        Raises RunFailed if it holds a number that is not finite, a field that FIELDS does not define or a
        wrong type, or lacks a field; then nothing is written and the offset stands.
        """
        line = _to_line(
            {**record, "telemetry_version": TELEMETRY_VERSION, "log_stream_offset": self.offset + 1}
        )
        due = self.offset % self.log_every == 0
        if due:
            if self._is_full(len(line)):
                self._rotate()
            self._append(line)
        self.offset += 1
        return due

    def flush(self) -> None:
        """Return once every record is on the disk itself: call it before a checkpoint names an offset."""
        io.flush(self._descriptor, self.path)

    def truncate_to(self, offset: int) -> None:
        """Drop every record after `offset` and go on from there; a resumed run gives its checkpoint's offset.

        The newest segment goes first, so that a crash in between leaves a log that this call can finish.
        """
        for segment in (self.path, *reversed(closed_segments(self.path).values())):
            keep = _bytes_up_to(segment, offset)
            if keep == 0 and segment != self.path:
                io.remove(segment)
                continue
            io.truncate(segment, keep)
            if keep > 0:
                break  # older segments hold smaller offsets
        self.offset = offset
        self._measure()

    def close(self) -> None:
        """Flush and close the live file; a second call does nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                io.flush(descriptor, self.path)
            finally:
                io.close(descriptor, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        try:
            io.append(self._descriptor, line, self.path)
        except DiskError:
            # A full disk lets half a record through; the next one must not be joined to it.
            io.drop_partial_line(self.path)
            raise
        self._bytes += len(line)
        self._records += 1

    def _is_full(self, added: int) -> bool:
        too_large = self.max_bytes is not None and self._bytes + added > self.max_bytes
        too_many = self.max_records is not None and self._records >= self.max_records
        return self._records > 0 and (too_large or too_many)

    def _rotate(self) -> None:
        """Close the live file under the next free number, and start another."""
        self.close()
        number = max(closed_segments(self.path), default=0) + 1
        io.rename_file(self.path, self.path.with_name(f"{self.path.name}.{number}"))
        self._descriptor = io.open_append(self.path)
        self._measure()

    def _measure(self) -> None:
        self._bytes = self._records = 0
        for line in _read_lines(self.path):
            self._bytes += len(line)
            self._records += 1


def _to_line(record: Record) -> bytes:
    """Serialise in the order of FIELDS. Raises RunFailed with everything that is wrong with the record."""
    place = f"telemetry record of epoch {record.get('epoch')}"
    problems = not_finite(record) + check_known(record) + check_record(record)
    if problems:
        what = "; ".join(f"{name}: {problem}" for name, problem in problems)
        hint = "a number that is not finite means training diverged: lower the learning rate"
        raise RunFailed(f"{place}: {what}", hint)
    ordered = {field.name: record[field.name] for field in FIELDS if field.name in record}
    try:
        return orjson.dumps(ordered, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:  # an integer of more than 64 bits, text that is not UTF-8
        raise RunFailed(f"{place}: {error}") from error


def _last_offset(path: Path) -> int:
    """Return the log_stream_offset of the last record that has one, over all segments; 0 if none has."""
    for segment in (path, *reversed(closed_segments(path).values())):
        for line in reversed(_read_tail(segment).split(b"\n")):
            offset = _offset_of(line)
            if offset is not None:
                return offset
    return 0


def _offset_of(line: bytes) -> int | None:
    try:
        record, _ = parse_record(line)
        return whole_number(record.get("log_stream_offset"))
    except InputError:
        return None  # damaged: validate reports it


def _bytes_up_to(path: Path, offset: int) -> int:
    """Return how many bytes of a segment stand before its first record after `offset`."""
    size = 0
    for line in _read_lines(path):
        found = _offset_of(line)
        if found is not None and found > offset:
            break
        size += len(line)
    return size


def _read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of one segment with their newlines, so that their lengths add up to its size."""
    try:
        with open(path, "rb") as file:
            yield from file
    except OSError as error:
        raise io.disk_error(error, path) from error


def _read_tail(path: Path) -> bytes:
    """Return the last TAIL_BYTES of a segment; nothing if there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise io.disk_error(error, path) from error
