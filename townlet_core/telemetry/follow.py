"""Read logs as they grow: each in a thread of its own, which runs only while its news are being taken."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.telemetry.reader import Line, read_records
from townlet_core.telemetry.records import Record
from townlet_core.telemetry.segments import find_log, is_there

MAX_QUEUED = 1024  # news that a thread may be ahead


class Found(NamedTuple):
    """A line that holds a record."""

    line: Line
    record: Record


class Damaged(NamedTuple):
    """A line that holds none."""

    line: Line
    problem: str


class Gap(NamedTuple):
    """Records that are missing, or the beginning of another run's."""

    sentence: str


class Missing(NamedTuple):
    """A log, or the folder of its run, that is not there yet."""

    path: Path


News = Found | Damaged | Gap | Missing


class _End(NamedTuple):
    """Stands in the queue after the news there are; is_last if there will be no more."""

    is_last: bool
    error: BaseException | None = None


def read_once(path: Path) -> Iterator[News]:
    """Yield the news of a log as it is now. Raises what reading raises, see read_lines."""
    told: list[News] = []
    records = read_records(
        path,
        lambda line, problem: told.append(Damaged(line, problem)),
        None,
        lambda sentence: told.append(Gap(sentence)),
    )
    for line, record in records:
        yield from told
        told.clear()
        yield Found(line, record)
    yield from told


class LogFeed:
    """The news of one log, taken up to its current end as often as wanted.

    has_ended: a pipe has ended, or `end` was called. log: the log that the path was found to name.
    is_waiting: it is not there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = self.log = path
        self.has_ended = self._is_to_end = False
        self.is_waiting = True
        self._queue: queue.Queue[News | _End] = queue.Queue(MAX_QUEUED)
        self._go = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"log {path}", daemon=True)

    def news(self) -> Iterator[News]:
        """Yield everything up to where the log ends now. Raises what reading raises, see read_lines."""
        if self.has_ended:
            return
        if self._thread.ident is None:
            self._thread.start()
        self._go.set()
        while not isinstance(found := self._queue.get(), _End):
            yield found
        self.has_ended = found.is_last
        if found.error:
            raise found.error

    def end(self) -> None:
        """Take what is there now for all there will be: the next `news` are the last."""
        self._is_to_end = True

    def _run(self) -> None:
        self._go.wait()
        self._go.clear()
        try:
            if self._find():
                self._read()
        except BaseException as error:  # raised again in the thread that takes the news
            self._queue.put(_End(True, error))
        else:
            self._queue.put(_End(True))

    def _find(self) -> bool:
        """Wait until the log is there."""
        told: Path | None = None
        while (found := find_log(self.path)) is None or not is_there(found):
            if told != (found or self.path):
                told = found or self.path
                self._queue.put(Missing(told))
            if not self._wait():
                return False
        self.log, self.is_waiting = found, False
        return True

    def _read(self) -> None:
        put: Callable[[Any], None] = self._queue.put
        records = read_records(
            self.log,
            lambda line, problem: put(Damaged(line, problem)),
            self._wait,
            lambda sentence: put(Gap(sentence)),
        )
        for line, record in records:
            put(Found(line, record))

    def _wait(self) -> bool:
        """Wait, in the thread, for the next call of `news`."""
        if self._is_to_end:
            return False
        self._queue.put(_End(False))
        self._go.wait()
        self._go.clear()
        return True
