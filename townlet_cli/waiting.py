"""Waiting for more of a log, for as long as somebody reads what is said of it."""

from __future__ import annotations

import select
import sys
import time

POLL_SECONDS = 0.2


def wait_for_more() -> bool:
    """Flush stdout and wait a moment. Raises BrokenPipeError once stdout's reader has left.

    A write would tell that too, but a quiet log gives nothing to write.
    """
    sys.stdout.flush()
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # a stream of Python's own, as in tests
        time.sleep(POLL_SECONDS)
        return True
    poll = select.poll()
    poll.register(descriptor, 0)  # an error or a hang-up is told always
    if poll.poll(POLL_SECONDS * 1000):
        raise BrokenPipeError
    return True
