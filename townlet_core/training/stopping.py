"""Ctrl-C and SIGTERM: finish the minibatch, keep what is on disk, say how to go on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from townlet_core.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody asked the run to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal_number = 0

    def is_set(self) -> bool:
        """Whether to stop; asked between minibatches."""
        return self.signal_number != 0

    def check(self) -> None:
        """Raise Interrupted if a stop was requested; called between ticks and between updates."""
        if self.signal_number:
            name = signal.Signals(self.signal_number).name
            raise Interrupted(self.signal_number, f"stopped by {name}; every finished cycle is saved")


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a request; the second one ends the process at once."""
    request = StopRequest()

    def remember(number: int, _frame: FrameType | None) -> None:
        request.signal_number = number
        for name in SIGNALS:
            signal.signal(name, signal.SIG_DFL)

    before = {name: signal.signal(name, remember) for name in SIGNALS}
    try:
        yield request
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
