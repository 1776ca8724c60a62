"""An update beside a process that keeps one processor busy, as on a machine that is shared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.figures import Effort, Figure, Measure, in_turn
from benchmarks.peers import Ask

SPIN = "print(flush=True)\nwhile True: pass"
QUIET, BUSY = "quiet", "busy"
ROUNDS = 3  # beside others, an update of threads that spin takes a minute


def measure_beside(
    ours: Measure, ask: Ask | None, peer: str, request: dict[str, int], effort: Effort, threads: int
) -> list[Figure]:
    """Measure an update of ours, and the peer's, with nothing else and beside a busy process."""
    measures: dict[str, Measure] = {QUIET: ours, BUSY: partial(beside, ours)}
    if ask:
        theirs = partial(ask, what="update", seconds=effort.seconds, **request)
        measures |= {f"peer {QUIET}": theirs, f"peer {BUSY}": partial(beside, theirs)}
    medians = in_turn(min(ROUNDS, effort.rounds), measures)
    quiet, busy = medians[QUIET], medians[BUSY]
    peer_quiet, peer_busy = medians.get(f"peer {QUIET}"), medians.get(f"peer {BUSY}")
    name = f"update beside a busy process, {request['transitions']:,} transitions, fp32"
    return [
        Figure(
            name=name,
            value=busy,
            unit="transitions × epochs/s",
            threads=threads,
            peer=f"{peer}, beside the same process" if ask else None,
            peer_value=peer_busy,
            limit="the same update with nothing beside it",
            limit_value=quiet,
        ),
        Figure(
            name=f"{name}, kept of the speed without it",
            value=busy / quiet,
            unit="share",
            threads=threads,
            peer=f"{peer}, beside the same process" if ask else None,
            peer_value=peer_busy / peer_quiet if peer_busy and peer_quiet else None,
        ),
    ]


def beside(measure: Measure) -> float:
    """Measure while another process keeps one processor busy."""
    with busy_process():
        return measure()


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep one processor busy for the length of a block."""
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has started
        try:
            yield
        finally:
            process.kill()
