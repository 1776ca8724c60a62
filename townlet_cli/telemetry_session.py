"""A session of watching: logs in, views out, until there is nothing more to wait for."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from townlet_cli.console import command
from townlet_cli.telemetry_view import Dashboard, Lines
from townlet_cli.waiting import wait_for_more
from townlet_core import io
from townlet_core.errors import InputError, RunFailed
from townlet_core.telemetry.board import Board
from townlet_core.telemetry.changes import FAST_SECONDS, Changes
from townlet_core.telemetry.follow import Damaged, Found, Gap, LogFeed, Missing, News, read_once
from townlet_core.telemetry.pace import format_duration
from townlet_core.telemetry.run_status import read_run_status
from townlet_core.telemetry.segments import is_stream

GAVE_UP = {"failed": "the run failed", "interrupted": "the run was interrupted"}


class Ends(NamedTuple):
    """What ends a session before its logs do."""

    at_alert: bool = False
    when_done: bool = False  # with the run, as its run.json says
    stale_after: float | None = None  # seconds without a record


class Session:
    """Reads the log of every board, shows it, and keeps an eye on the clock and on the runs.

    paths: as they were given, one for each board.
    """

    def __init__(
        self, boards: list[Board], paths: list[Path], view: Lines | Dashboard, ends: Ends, skip: bool = False
    ) -> None:
        """skip: show only what is added from now on."""
        self.boards = boards
        self.paths = paths
        self.view = view
        self.ends = ends
        self.skip = skip
        self.began = time.time()
        self.heard = [self.began] * len(boards)  # when there was last a sign of life of each trainer

    def show(self) -> None:
        """Show what is there, log after log."""
        with self.view:
            for i, board in enumerate(self.boards):
                board.status = read_run_status(self.paths[i])
                for news in read_once(board.watch.path):
                    self._take(i, news, is_old=True)
        self._refuse_dead()

    def follow(self) -> None:
        """Show what is there and what comes, until every log ends or something else ends the session.

        Raises RunFailed where a trainer is dead, InputError where nothing can say when its run is done.
        """
        feeds = [LogFeed(path) for path in self.paths]
        with Changes(_files(feeds)) as changes, self.view:
            is_old = True
            while True:
                changes.clear()
                for board, path in zip(self.boards, self.paths, strict=True):
                    board.status = read_run_status(path)  # before the log: it ends with the run
                is_news = False
                for i, feed in enumerate(feeds):
                    for news in feed.news():
                        self._take(i, news, is_old)
                        is_news = True
                        if self.ends.at_alert and self.boards[i].watch.alerts:
                            return
                    self.boards[i].watch.path = feed.log
                changes.files = _files(feeds)
                is_old = False
                self.view.redraw(is_news)
                if all(feed.has_ended for feed in feeds):
                    break
                if self._end_what_is_done(feeds):
                    continue
                self._refuse_dead()
                if not wait_for_more(changes.descriptor, _seconds(changes, feeds)):
                    for feed in feeds:
                        feed.end()
        self._refuse_dead()

    def _take(self, i: int, news: News, is_old: bool) -> None:
        """Show one piece of news. is_old: it was there when the session began."""
        board = self.boards[i]
        if isinstance(news, Missing):
            self.view.missing(board, news.path)
            return
        if isinstance(news, Found):
            self.heard[i] = board.pace.hear(news.record, _written(news.line.path) if is_old else time.time())
            if not is_old:
                self.heard[i] = time.time()  # the trainer's clock may be behind
            if is_old and self.skip:
                return
        seen = board.watch.take(news)
        if isinstance(news, Damaged):
            self.view.damaged(board, news.line, news.problem)
        elif isinstance(news, Gap):
            self.view.gap(board, news.sentence)
        elif seen:
            board.add(seen)
            self.view.seen(board, seen)

    def _end_what_is_done(self, feeds: list[LogFeed]) -> bool:
        """End the feeds of runs that are over, if that was asked for; return whether there was one."""
        if not self.ends.when_done:
            return False
        ended = False
        for board, feed in zip(self.boards, feeds, strict=True):
            if feed.has_ended or feed.is_waiting or is_stream(feed.log):
                continue
            if board.status is None:
                raise InputError(
                    f"{feed.log}: --exit-when-done, and no run.json beside it says when its run is done",
                    "give the run folder",
                )
            if board.status.has_ended:
                feed.end()
                ended = True
        return ended

    def _refuse_dead(self) -> None:
        """Raise RunFailed for a run that failed, or that has been silent for too long."""
        if self.ends.stale_after is None and not self.ends.when_done:
            return
        for board, path, heard in zip(self.boards, self.paths, self.heard, strict=True):
            status, silent = board.status, time.time() - heard
            if status and status.status in GAVE_UP:
                reason = f": {status.reason}" if status.reason else ""
                raise RunFailed(f"{path}: {GAVE_UP[status.status]}{reason}", _resume(path))
            if self.ends.stale_after is None or (status and status.has_ended) or is_stream(path):
                continue
            if silent > self.ends.stale_after:
                allowed = format_duration(self.ends.stale_after)
                what = f"no record for {format_duration(silent)}, more than {allowed}"
                raise RunFailed(f"{path}: {what}: the trainer is dead or stalled", _resume(path))


def _resume(path: Path) -> str:
    """Return the command that continues a run."""
    return command("train", "--resume", path if io.kind_of(path) == "folder" else path.parent)


def _files(feeds: list[LogFeed]) -> list[Path]:
    """Return the files that are worth a look when something changes beside them; a pipe is not."""
    paths = [path for feed in feeds for path in (feed.path, feed.log) if not is_stream(path)]
    return list(dict.fromkeys(paths))


def _seconds(changes: Changes, feeds: list[LogFeed]) -> float:
    """Return how long to wait at most: a pipe tells nobody that it has more."""
    return FAST_SECONDS if any(is_stream(feed.log) for feed in feeds) else changes.seconds


def _written(path: Path) -> float:
    """Return when a file was last written, or now."""
    with suppress(OSError):
        return os.stat(path).st_mtime
    return time.time()
