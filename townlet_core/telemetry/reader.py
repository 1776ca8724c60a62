"""Read a log line by line, through its rotated segments, as it is now or as it grows.

The segments of `log` are `log.1`, `log.2`, … in the order they were closed, then `log` itself, the live file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, MissingError
from townlet_core.telemetry.records import MAX_LINE_BYTES, Record, parse_record

CHUNK_BYTES = 1 << 20


class Line(NamedTuple):
    """One line of one segment, without its newline."""

    path: Path
    number: int  # counted from 1 in its segment
    text: bytes
    whole: bool  # ended by a newline; False only for a half-written last line

    @property
    def place(self) -> str:
        """Say where the line stands, as `file:line`."""
        return f"{self.path}:{self.number}"


def read_records(
    path: Path, on_damage: Callable[[Line, str], None], wait: Callable[[], bool] | None = None
) -> Iterator[tuple[Line, Record]]:
    """Yield each line that holds a record; tell `on_damage` of the others, and what is wrong with them.

    `wait` and errors as in read_lines.
    """
    for line in read_lines(path, wait):
        if not line.whole:
            on_damage(line, "half-written last line")
            continue
        try:
            record, _ = parse_record(line.text)
        except InputError as error:
            on_damage(line, str(error))
        else:
            yield line, record


def read_lines(path: Path, wait: Callable[[], bool] | None = None) -> Iterator[Line]:
    """Yield the lines of a log's segments in order, in bounded memory.

    Without `wait`, the end is the end, and a half-written last line comes with `whole=False`. With it, `wait`
    is called whenever everything there has been read; True means read on: what was appended since, then
    the file that took the place of a rotated one. A truncated live file is read again from its start.
    A line longer than MAX_LINE_BYTES comes cut, yet longer than that.
    Raises MissingError, InputError for a folder, DiskError.
    """
    path = Path(path)
    refuse_missing(path)
    done = 0  # number of the last closed segment that was read
    while True:
        for number, closed in _segments_after(path, done).items():
            yield from _read_closed(closed)
            done = number
        live = _open(path)
        if _segments_after(path, done):  # rotated between the two looks: what we opened is not the next file
            if live:
                live.file.close()
        elif live:
            with live.file:
                if not (yield from _read_live(live, path, wait)):
                    return
                done = _number_of(live, path)
        elif wait is None or not wait():
            return


def refuse_missing(path: Path) -> None:
    """Raise MissingError where there is no log, and InputError for a folder."""
    path = Path(path)
    kind = io.kind_of(path)
    if kind == "folder":
        raise InputError(f"{path}: is a folder, expected a log", f"try {path / 'telemetry.jsonl'}")
    if kind is None and not closed_segments(path):
        raise MissingError(f"{path}: no such log", "check the path; townlet train writes RUN/telemetry.jsonl")


def closed_segments(path: Path) -> dict[int, Path]:
    """Return the closed segments of a log by number, in order."""
    path = Path(path)
    pattern = re.compile(re.escape(path.name) + r"\.([1-9][0-9]{0,8})")
    try:
        matches = [pattern.fullmatch(name) for name in os.listdir(path.parent)]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise io.disk_error(error, path.parent) from error
    return dict(sorted((int(match[1]), path.with_name(match[0])) for match in matches if match))


def _segments_after(path: Path, done: int) -> dict[int, Path]:
    return {number: closed for number, closed in closed_segments(path).items() if number > done}


class _OpenSegment:
    """A segment being read: the handle, how far it got, and what it read last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by whoever reads it to its end
        self.position = self.number = 0
        self.last = b""  # the last whole line, with its newline
        self.rest = b""  # the bytes after it

    def lines(self) -> Iterator[Line]:
        """Yield the whole lines from here to what is the end now."""
        while chunk := self.read_chunk():
            *lines, self.rest = (self.rest + chunk).split(b"\n")
            self.rest = self.rest[: MAX_LINE_BYTES + 1]
            self.last = lines[-1] + b"\n" if lines else self.last
            for text in lines:
                self.number += 1
                yield Line(self.path, self.number, io.without_mark(text) if self.number == 1 else text, True)

    def read_chunk(self) -> bytes:
        try:
            chunk = self.file.read(CHUNK_BYTES)
        except OSError as error:
            raise io.disk_error(error, self.path) from error
        self.position += len(chunk)
        return chunk

    def last_line(self) -> Iterator[Line]:
        """Yield the half-written line at the end, if there is one."""
        if self.rest:
            yield Line(self.path, self.number + 1, self.rest, False)

    def start_again_if_changed(self) -> None:
        """Go back to the start if what was read last is not there any more: the file was truncated.

        The size alone would miss a file that grew again since.
        """
        if max(len(self.last), len(self.rest)) > MAX_LINE_BYTES:
            return  # they are cut, and tell nothing
        tail = self.last + self.rest
        try:
            found = os.pread(self.file.fileno(), len(tail), self.position - len(tail))
        except OSError as error:
            raise io.disk_error(error, self.path) from error
        if found != tail:
            self.file.seek(0)
            self.position = self.number = 0
            self.last = self.rest = b""

    def is_at(self, path: Path) -> bool:
        """Whether the file at `path` is the one that is open here."""
        try:
            return os.path.samestat(os.fstat(self.file.fileno()), os.stat(path))
        except OSError:  # gone, or out of reach: opening it says which
            return False


def _open(path: Path) -> _OpenSegment | None:
    try:
        return _OpenSegment(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise io.disk_error(error, path) from error


def _read_closed(path: Path) -> Iterator[Line]:
    segment = _open(path)
    if segment is None:
        return  # dropped by a resume since we listed it
    with segment.file:
        yield from segment.lines()
        yield from segment.last_line()


def _read_live(
    live: _OpenSegment, path: Path, wait: Callable[[], bool] | None
) -> Generator[Line, None, bool]:
    """Yield the lines of the live file; return True once another file, or none, stands in its place."""
    while True:
        yield from live.lines()
        if wait is None:
            break
        if not live.is_at(path):
            yield from live.lines()  # written between our last look and the rotation
            yield from live.last_line()
            return True
        if not wait():
            break
        live.start_again_if_changed()
    yield from live.last_line()
    return False


def _number_of(live: _OpenSegment, path: Path) -> int:
    """Return the number a rotated file was closed as; 0, the beginning, if another log took its place."""
    for number, closed in closed_segments(path).items():
        if live.is_at(closed):
            return number
    return 0
