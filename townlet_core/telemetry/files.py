"""The files of a log for its writer: find the last record, and truncate after a record."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from io import BufferedIOBase, BufferedReader
from pathlib import Path

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.telemetry.records import Record, parse_record, whole_number
from townlet_core.telemetry.segments import (
    GZIP,
    UNREAD,
    closed_segments,
    log_name,
    open_segment,
)

TAIL_BYTES = 1 << 20  # of each segment's end are searched for the last offset


def newest_first(path: Path) -> list[Path]:
    """Return the existing segments of a log, the live file first."""
    live = [log_name(path)] if io.kind_of(log_name(path)) else []
    return [*live, *reversed(closed_segments(path).values())]


def compressed_copies(path: Path) -> list[Path]:
    """Return the compressed copies of the live file."""
    name = log_name(path)
    copies = [name.with_name(name.name + ending) for ending in (GZIP, *UNREAD)]
    return [file for file in copies if io.kind_of(file) is not None]


def last_offset(path: Path) -> int:
    """Return the log_stream_offset of the last record that has one, over all segments; 0 if none has."""
    return next((found for file in newest_first(path) if (found := last_offset_of(file)) is not None), 0)


def last_offset_of(file: Path) -> int | None:
    """Return the log_stream_offset of the last record of one segment that has one."""
    offsets = map(offset_of, map(parse_leniently, reversed(read_tail(file).split(b"\n"))))
    return next((offset for offset in offsets if offset is not None), None)


def parse_leniently(line: bytes) -> Record:
    """Return the record of a line, or an empty one if it is damaged; `validate` reports damage."""
    try:
        return parse_record(line)[0]
    except InputError:
        return {}


def offset_of(record: Record) -> int | None:
    """Return the record's log_stream_offset."""
    return whole_number(record.get("log_stream_offset"))


def cut_after(path: Path, offset: int) -> None:
    """Drop every record of a log after `offset`.

    The newest segment goes first, so that a crash in between leaves a log that this call can finish.
    """
    for file in newest_first(path):
        keep, is_whole = _bytes_up_to(file, offset)
        if not is_whole:
            _cut(file, keep, may_go=file != log_name(path))
        if keep > 0:
            break  # older segments hold smaller offsets


def _bytes_up_to(path: Path, offset: int) -> tuple[int, bool]:
    """Return how many bytes of a segment hold records up to `offset`, and whether that is all of it."""
    size = 0
    for line in read_segment(path):
        found = offset_of(parse_leniently(line))
        if found is not None and found > offset:
            return size, False
        size += len(line)
    return size, size > 0


def _cut(file: Path, keep: int, may_go: bool) -> None:
    """Truncate a segment to its first bytes; a compressed one is replaced by a plain file."""
    plain = file.with_suffix("") if file.suffix == GZIP else file
    if keep == 0 and may_go:
        io.remove(file)
    elif plain == file:
        io.truncate(file, keep)
    else:
        with open_to_read(file) as compressed:
            data = compressed.read(keep)
        io.write_file(plain, data)
    for ending in (GZIP, *UNREAD) if may_go else ():
        io.remove(plain.with_name(plain.name + ending))


def read_segment(path: Path) -> Iterator[bytes]:
    """Yield the lines of one segment, newlines included, so that their lengths add up to its size."""
    with open_to_read(path) as file:
        yield from file


def read_tail(path: Path) -> bytes:
    """Return the last TAIL_BYTES of a segment."""
    with open_to_read(path) as file:
        if path.suffix == GZIP:
            tail = b""
            while chunk := file.read(TAIL_BYTES):
                tail = (tail + chunk)[-TAIL_BYTES:]
            return tail
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        return file.read()


@contextmanager
def open_to_read(path: Path) -> Iterator[BufferedIOBase]:
    """Open a segment, decompressed. Raises InputError if damaged or of an unknown compression, DiskError."""
    if path.suffix in UNREAD:
        raise InputError(f"{path}: is compressed in a way that is not read", "decompress it, or move it away")
    try:
        with open_segment(path) as raw:
            yield GzipFile(fileobj=raw) if path.suffix == GZIP else BufferedReader(raw)
    except (BadGzipFile, EOFError, zlib.error) as error:
        hint = "restore it from a copy, or move it away"
        raise InputError(f"{path}: damaged compressed data: {error}", hint) from error
    except OSError as error:
        raise io.disk_error(error, path) from error
