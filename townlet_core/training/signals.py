"""Ctrl-C, SIGTERM and SIGHUP: a request to stop, honoured between updates or at once. SIGUSR1: to save."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from townlet_core.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAVE = signal.SIGUSR1


class _Stop(BaseException):
    """Leaves the block of at_once; a BaseException, so that no `except Exception` swallows it."""


class StopRequest:
    """Whether a signal requested a stop, and which; and whether one requested a checkpoint."""

    def __init__(self) -> None:
        self.signal_number = 0
        self.wants_checkpoint = False  # one that stays, at the end of the cycle
        self.cuts = False  # whether a signal interrupts at once instead of waiting for check()

    def is_set(self) -> bool:
        """Whether a stop is requested; called between minibatches."""
        return self.signal_number != 0

    def check(self) -> None:
        """Raise Interrupted if a stop was requested; called between ticks and between updates."""
        self._raise_if_asked()

    def pass_on(self, number: int) -> None:
        """Raise Interrupted if this process or another, which got the signal `number`, is to stop."""
        self.signal_number = self.signal_number or number
        self.check()

    def _raise_if_asked(self) -> None:
        if self.signal_number:
            raise Interrupted(self.signal_number, f"stopped by {signal.Signals(self.signal_number).name}")

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal interrupt the block anywhere: for long work without side effects.

        Raises Interrupted. Compiled code is not interrupted: the signal waits until it returns to Python.
        """
        before = self.cuts
        try:
            try:
                self.cuts = True
                self._raise_if_asked()
                yield
            finally:
                self.cuts = before
        except _Stop:
            self.cuts = before  # where the signal came just before it was set back; a second one ends us
        self._raise_if_asked()

    def remember(self, number: int) -> None:
        """Record a signal, and interrupt the block of at_once."""
        self.signal_number = number
        if self.cuts:
            raise _Stop


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a request; the second one ends the process at once.

    SIGUSR1 requests a checkpoint, as often as it comes.

    A signal that is ignored stays so: under nohup, or in the background of a shell without job control.
    Only the main thread hears signals; in any other there is never a request.
    """
    request = StopRequest()
    before: dict[signal.Signals, Any] = {}

    def remember(number: int, _frame: FrameType | None) -> None:
        if number == SAVE:
            request.wants_checkpoint = True
            return
        for name in before.keys() - {SAVE}:
            signal.signal(name, signal.SIG_DFL)
        request.remember(number)

    if threading.current_thread() is threading.main_thread():
        heard = [name for name in (*SIGNALS, SAVE) if signal.getsignal(name) not in (signal.SIG_IGN, None)]
        before = {name: signal.getsignal(name) for name in heard}
        for name in heard:
            signal.signal(name, remember)
    try:
        yield request
    except _Stop:  # a signal at the very end of at_once
        request.check()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
