"""Write a telemetry log: one write per record, increasing offsets, rotated segments in order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from townlet_core import io
from townlet_core.errors import DiskError, InputError, printable
from townlet_core.locks import FileLock
from townlet_core.telemetry.continuity import last_written, next_written
from townlet_core.telemetry.encode import to_line
from townlet_core.telemetry.files import (
    compressed_copies,
    cut_after,
    last_offset,
    last_offset_of,
    newest_first,
    offset_of,
    parse_leniently,
    read_segment,
    read_tail,
)
from townlet_core.telemetry.records import Record, whole_number
from townlet_core.telemetry.segments import GZIP, UNREAD, closed_segments, log_name, segment_files


def lock_log(path: Path) -> FileLock:
    """Take the exclusive writer lock of a log. Raises BusyError, InputError, DiskError."""
    _refuse_unfit(path)
    return FileLock(log_name(path))


def check_log(path: Path, force: bool) -> None:
    """Raise what claim_log raises, except BusyError, and take no lock."""
    _refuse_unfit(path)
    _refuse_existing(path, force)


def _refuse_unfit(path: Path) -> None:
    if Path(path).suffix in (GZIP, *UNREAD):
        raise InputError(f"{path}: a log is not compressed while it is written", "choose another name")
    if io.kind_of(path) in ("folder", "other"):
        raise InputError(f"{path}: is a folder or a device, expected a log", "choose another file")


def claim_log(path: Path, force: bool) -> FileLock:
    """Take the lock of a log that a new run may begin: there is none, or `force` may replace it.

    Raises BusyError while somebody writes it; InputError if it is there, or is something else than a log.
    """
    with ExitStack() as held:
        lock = held.enter_context(lock_log(path))
        _refuse_existing(path, force)
        held.pop_all()
    return lock


def begin_log(path: Path, force: bool) -> FileLock:
    """Claim a log and remove all its records. Raises as claim_log."""
    with ExitStack() as held:
        lock = held.enter_context(claim_log(path, force))
        if io.kind_of(log_name(path)):
            io.truncate(log_name(path), 0)
        for file in (*compressed_copies(path), *(file for _, file in reversed(segment_files(path)))):
            io.remove(file)
        held.pop_all()
    return lock


def take_up_log(path: Path, run_id: str | None, offset: int) -> FileLock:
    """Take the lock of the log in which a run goes on after record `offset`.

    run_id: None for a run that does not know its id. Raises BusyError while somebody writes it; InputError if
    another run's records would be cut or continued: those after `offset`, and the last one before.
    """
    with ExitStack() as held:
        lock = held.enter_context(lock_log(path))
        if run_id is not None:
            _refuse_other_run(path, run_id, offset)
        held.pop_all()
    return lock


def _refuse_existing(path: Path, force: bool) -> None:
    files = [file for _, file in segment_files(path)] + compressed_copies(path)
    files += [log_name(path)] if io.kind_of(path) is not None else []
    for file in files:
        if io.kind_of(file) in ("folder", "other"):
            raise InputError(f"{file}: is a folder or a device, expected a log", "choose another file")
    used = [file for file in files if file.suffix in UNREAD or read_tail(file)]
    if used and not force:
        raise InputError(f"{path}: already exists", "choose another file, or replace a log with --force")
    for file in used:
        # Every record begins like this, even one that a crash truncated.
        if not re.search(rb'^\{"telemetry_version"', read_tail(file), re.M):
            raise InputError(
                f"{file}: is not a telemetry log, which --force could replace", "choose another file"
            )


def _refuse_other_run(path: Path, run_id: str, offset: int) -> None:
    for file in newest_first(path):
        before: Record = {}
        for line in read_segment(file):
            record = parse_leniently(line)
            found = offset_of(record)
            if found is not None and found <= offset:
                before = record
            elif found is not None:
                _refuse_other(file, record, run_id)
        if before:
            _refuse_other(file, before, run_id)
            return  # older segments hold smaller offsets


def _refuse_other(file: Path, record: Record, run_id: str) -> None:
    if record.get("run_id") == run_id:
        return
    whose = f"run '{printable(str(record['run_id']))}'" if "run_id" in record else "another writer"
    raise InputError(
        f"{file}: holds records of {whose} where those of this run, '{run_id}', should be",
        "move that log away with its segments, and resume again: this run's log then goes on with a gap",
    )


class TelemetryWriter:
    """Append records to the log at `path`; an existing log is continued.

    path: the live file; its closed segments stand beside it as `path.1`, `path.2`, …
    log_every: write every n-th record; the others only increase `offset`.
    max_bytes, max_records: close the live file before it grows beyond either; None for no limit.
    lock: from lock_log, which the writer takes over; by default it takes its own.
    offset: how many records this log has been given, over all its runs; the last one's log_stream_offset.

    A log has one writer at a time. Raises BusyError while there is another, InputError, DiskError.
    """

    def __init__(
        self,
        path: Path,
        log_every: int = 1,
        max_bytes: int | None = None,
        max_records: int | None = None,
        lock: FileLock | None = None,
    ) -> None:
        self.path = log_name(path)  # through a link, so that rotation renames the file and not the link
        self.log_every = log_every
        self.max_bytes = max_bytes
        self.max_records = max_records
        self._descriptor = -1
        self._closed = 0  # number of the last closed segment, if it is not to be seen
        self._lock = lock or lock_log(path)
        try:
            if io.kind_of(self.path) is None:
                _refuse_compressed(self.path)
            io.drop_partial_line(self.path)
            self.offset = last_offset(self.path)
            self._descriptor = io.open_append(self.path)
            self._measure()
        except BaseException:
            self.close()
            raise

    def write(self, record: Mapping[str, Any], always: bool = False) -> bool:
        """Add version and offset to `record` and append it as one line; return whether it was written.

        always: write it also where log_every leaves it out.
        Raises RunFailed if it holds a number that is not finite, a field that FIELDS does not define or a
        wrong type, or lacks a field; then nothing is written and the offset stands.
        """
        line = to_line(record, self.offset + 1, self.log_every)
        due = always or self.offset % self.log_every == 0
        if due:
            if self._is_full(len(line)):
                self._rotate()
            if self._records == 0 and self._closed == 0:
                self._closed = _number_before(self.path, parse_leniently(line))
            self._append(line)
        self.offset += 1
        return due

    def flush(self) -> None:
        """Return once every record is on the disk itself: call it before a checkpoint names an offset."""
        io.flush(self._descriptor, self.path)

    def resume(self, offset: int) -> str | None:
        """Continue after a checkpoint's record `offset`; return a warning if earlier records are missing."""
        self.truncate_to(offset)
        last = last_offset(self.path)
        if last >= last_written(offset, self.log_every):
            return None
        end = f"ends with record {last}" if last else "holds no record"
        return f"{self.path}: {end}, and the run had written up to {offset}: the log goes on with a gap"

    def truncate_to(self, offset: int) -> None:
        """Drop every record after `offset` and continue from there."""
        cut_after(self.path, offset)
        self.offset = offset
        self._closed = 0  # the numbers of what was dropped are free again
        self._measure()

    def close(self) -> None:
        """Flush and close the live file and release the lock; a second call does nothing."""
        try:
            self._close_file()
        finally:
            self._lock.release()

    def _close_file(self) -> None:
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
            # On a full disk, half a record may have been written; the next one must not be appended to it.
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
        self._close_file()
        self._closed = max(self._closed, max(closed_segments(self.path), default=0)) + 1
        io.rename_file(self.path, self.path.with_name(f"{self.path.name}.{self._closed}"))
        self._descriptor = io.open_append(self.path)
        self._measure()

    def _measure(self) -> None:
        """Count what the live file holds.

        No number is given twice, also where closed segments were moved away meanwhile: those that are missing
        before the first record cannot have been more than the records that are.
        """
        self._bytes = self._records = 0
        for line in read_segment(self.path):
            if self._records == 0:
                self._closed = max(self._closed, _number_before(self.path, parse_leniently(line)))
            self._bytes += len(line)
            self._records += 1


def _number_before(path: Path, first: Record) -> int:
    """Return the largest number that the segment before the first record of the live file can have had."""
    closed = closed_segments(path)
    offset, every = offset_of(first), whole_number(first.get("log_every"))
    newest = closed[max(closed)] if closed else None
    if offset is None or every is None or every < 1 or (newest and newest.suffix in UNREAD):
        return 0
    before = (newest and last_offset_of(newest)) or 0
    return max(closed, default=0) + max(0, offset - next_written(before, every))


def _refuse_compressed(path: Path) -> None:
    """Raise InputError if all that is left of a live file is compressed: records cannot be added to that."""
    for file in compressed_copies(path):
        raise InputError(
            f"{file}: is compressed, and records cannot be added to it", "decompress it, or move it away"
        )
