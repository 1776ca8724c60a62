"""Play blocks in this process, or in several. Any number of them writes the same files."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from townlet_core.capture.play import Work, play_block
from townlet_core.errors import InputError, RunFailed

_work: Work | None = None  # of a worker process


def play_blocks(
    work: Work,
    blocks: Iterable[tuple[int, Path, int]],
    workers: int,
    after: Callable[[int], Any],
) -> Generator[tuple[int, dict[str, Any]]]:
    """Play blocks and yield the number and record of each as it is finished.

    blocks: number, folder and town-ticks. after: is told how many town-ticks were played since the last call.
    Raises RunFailed if a worker process dies, InputError for a policy that cannot be pickled.
    """
    if workers > 1:
        yield from _play_in_processes(work, list(blocks), workers, after)
        return
    for block, folder, _ in blocks:
        yield block, play_block(work, block, folder, after)


def _play_in_processes(
    work: Work, blocks: list[tuple[int, Path, int]], workers: int, after: Callable[[int], Any]
) -> Generator[tuple[int, dict[str, Any]]]:
    try:
        pickle.dumps(work)
    except Exception as error:  # whatever a policy of somebody else raises
        raise InputError(
            f"the policy cannot be sent to worker processes: {error}", "capture with one worker"
        ) from error
    context = get_context("spawn")  # a fork has none of its parent's threads, and some libraries need theirs
    ends_with_us, ours = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(min(workers, len(blocks)) or 1, context, _begin_worker, (work, ends_with_us))
    try:
        waiting: dict[Future[dict[str, Any]], tuple[int, int]] = {}
        rest = iter(blocks)
        while True:
            for block, folder, ticks in rest:
                waiting[pool.submit(_play_in_worker, block, folder)] = (block, ticks)
                if len(waiting) > workers:  # one block waits, the others are played
                    break
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                block, ticks = waiting.pop(future)
                record = future.result()
                after(ticks)
                yield block, record
    except BrokenProcessPool as error:
        raise RunFailed(
            "a worker process of the capture died: it was killed, or could not start",
            "capture again: finished towns are kept; --workers 1 takes less memory and shows what fails",
        ) from error
    finally:
        ours.close()
        pool.shutdown(cancel_futures=True)
        ends_with_us.close()


def _begin_worker(work: Work, parent: Connection) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted as well, and stops us
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: Connection) -> None:
    """End this process at once when the capture has ended, even if it was killed: then the pipe is closed."""
    parent.poll(None)
    os._exit(1)  # what is half written is removed by the next capture


def _play_in_worker(block: int, folder: Path) -> dict[str, Any]:
    assert _work is not None
    return play_block(_work, block, folder)
