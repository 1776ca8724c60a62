"""Watching: milliseconds from a record's write to its line on stdout, beside `tail -F`."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.figures import Effort, Figure, in_turn
from townlet_core.errors import RunFailed

WATCH = (sys.executable, "-m", "townlet_cli", "telemetry", "watch", "--follow", "--rules", "none", "--json")
TAIL = ("tail", "-n", "+1", "-F")
RECORD = b'{"epoch": 1}\n'
WRITES = 9  # per round; each is followed by a pause, in which both are quiet again
PAUSE_SECONDS = 0.3
LONGEST_SECONDS = 60.0
Write = Callable[[Path], None]


def measure(effort: Effort) -> list[Figure]:
    """Append to a log and replace it, while both commands follow it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        log.write_bytes(RECORD)
        with _following(WATCH, log) as watch, _following(TAIL, log) as tail:
            return [
                _figure("append to line", log, _append, effort, watch, tail),
                _figure("replace to line", log, _replace, effort, watch, tail),
            ]


def _figure(
    name: str,
    log: Path,
    write: Write,
    effort: Effort,
    watch: subprocess.Popen[bytes],
    tail: subprocess.Popen[bytes],
) -> Figure:
    """Measure both in turn; what the other prints meanwhile is read and forgotten."""
    writes = WRITES if effort.full else 1
    rounds = {
        "watch": partial(_milliseconds, log, write, watch, tail, writes),
        "tail": partial(_milliseconds, log, write, tail, watch, writes),
    }
    found = in_turn(effort.rounds, rounds)
    return Figure(f"watch: {name}", found["watch"], "ms", 1, "tail -F", found["tail"])


@contextmanager
def _following(command: tuple[str, ...], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command, and wait until it has printed what is there and has been quiet for a while."""
    process = subprocess.Popen(
        [*command, str(log)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    )
    try:
        _next_line(process)
        time.sleep(PAUSE_SECONDS)
        yield process
    finally:
        process.kill()
        process.communicate()


def _milliseconds(
    log: Path, write: Write, measured: subprocess.Popen[bytes], other: subprocess.Popen[bytes], writes: int
) -> float:
    """Return the mean time from a write to the line of one command."""
    total = 0.0
    for _ in range(writes):
        began = time.perf_counter()
        write(log)
        _next_line(measured)
        total += time.perf_counter() - began
        _next_line(other)
        time.sleep(PAUSE_SECONDS)
    return 1000 * total / writes


def _next_line(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], LONGEST_SECONDS)[0] or not process.stdout.readline():
        raise RunFailed(f"{process.args!r} printed no line")


def _append(log: Path) -> None:
    with open(log, "ab") as file:
        file.write(RECORD)


def _replace(log: Path) -> None:
    new = log.with_suffix(".new")
    new.write_bytes(RECORD)
    os.replace(new, log)
