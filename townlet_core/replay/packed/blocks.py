"""Record batches for a dataset: all in memory, or those of two windows, the second read ahead."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from townlet_core.replay.packed.layout import Rows
from townlet_core.replay.packed.shard import Shard


class Blocks:
    """The record batches of a dataset, by number: a block is one record batch of one shard.

    keep: hold every block in memory once it is read. Otherwise `plan` says in which order windows of blocks
    are needed; while one window is used, a thread reads the next.
    """

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        self.bytes: list[int] = []  # of each block in memory, before its maps are expanded
        self._places: list[tuple[Shard, int]] = []
        self._held: dict[int, Rows] = {}
        self._ahead: dict[int, Future[Rows]] = {}
        self._windows: Sequence[Sequence[int]] = ()
        self._window_of: dict[int, int] = {}
        self._now = -1  # the window in use
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def add(self, shard: Shard, batch: int) -> int:
        """Add a record batch and return its number."""
        self._places.append((shard, batch))
        self.bytes.append(shard.batches[batch].rows * shard.layout.row_bytes)
        return len(self._places) - 1

    def plan(self, windows: Sequence[Sequence[int]]) -> None:
        """Set the windows of an epoch, in order; blocks of none are read when they are needed."""
        self._stop()
        self._windows = windows
        self._window_of = {block: i for i, window in enumerate(windows) for block in window}

    def rows(self, block: int) -> Rows:
        """Return the rows of a block. Raises SampleError, MissingError or DiskError."""
        if self._process != os.getpid():  # after a fork, where the thread is missing
            self._process, self._pool = os.getpid(), None
            self._ahead, self._now = {}, -1
        if block in self._held:
            return self._held[block]
        window = self._window_of.get(block)
        is_next = window in (0, self._now + 1) or self._now < 0  # in order, from the start or from any window
        if window is not None and not self.keep and window != self._now and is_next:
            self._enter(window)
        if block in self._ahead:
            return self._ahead[block].result()
        rows = self._read(block)
        if not self.keep:
            self._held.clear()  # out of order: keep the last one only
        self._held[block] = rows
        return rows

    def _enter(self, window: int) -> None:
        """Forget other windows, and have this one and the next one read."""
        wanted = [block for blocks in self._windows[window : window + 2] for block in blocks]
        kept = set(wanted)
        for block in [block for block in self._ahead if block not in kept]:
            self._ahead.pop(block).cancel()
        self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        for block in wanted:
            if block not in self._ahead:
                self._ahead[block] = self._pool.submit(self._read, block)
        self._now = window

    def _read(self, block: int) -> Rows:
        shard, batch = self._places[block]
        return shard.read_rows(batch)

    def _stop(self) -> None:
        for future in self._ahead.values():
            future.cancel()
        self._ahead, self._now = {}, -1

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the thread and what it has read, so that a dataset can go to another process."""
        return {**self.__dict__, "_ahead": {}, "_now": -1, "_pool": None}
