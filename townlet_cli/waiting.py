"""Waiting for more of a log, for as long as somebody reads what is said of it."""

from __future__ import annotations

import select
import sys

POLL_SECONDS = 0.2


def wait_for_more(wake: int | None = None, seconds: float = POLL_SECONDS) -> bool:
    """Flush stdout and wait a moment, or until the descriptor `wake` becomes readable.

    Raises BrokenPipeError once stdout's reader has left. A write would tell that too, but a quiet log gives
    nothing to write.
    """
    sys.stdout.flush()
    poll = select.poll()
    if wake is not None:
        poll.register(wake, select.POLLIN)
    try:
        stdout = sys.stdout.fileno()
        poll.register(stdout, 0)  # an error or a hang-up is told always
    except OSError:  # a stream of Python's own, as in tests
        stdout = None
    if any(descriptor == stdout for descriptor, _ in poll.poll(seconds * 1000)):
        raise BrokenPipeError
    return True
