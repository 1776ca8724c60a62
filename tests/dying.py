"""A process that dies at its n-th call to the disk: what a crash at any point leaves behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

DISK_CALLS = ("open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "ftruncate")


def die_at_disk_call(fatal: int, last_words: Callable[[str], Any] = lambda words: None) -> Callable[[], int]:
    """Let this process kill itself at its `fatal`-th call to the disk from now, a write half done.

    fatal: 0 for never.
    last_words: is told the call's number and what it was about to do. Returns a function that says how many
    calls there have been.
    """
    calls = 0

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == fatal:
                fatal_call(name, real, arguments)
            return real(*arguments, **options)

        return call

    def fatal_call(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if name == "write":
            real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        last_words(f"call {fatal}, {name}{about(arguments)}")
        os.kill(os.getpid(), signal.SIGKILL)

    for name in DISK_CALLS:
        setattr(os, name, counted(name, getattr(os, name)))
    return lambda: calls


def about(arguments: tuple[Any, ...]) -> str:
    """What a call to the disk is about: the last two parts of its path, or of the descriptor's."""
    path = arguments[0]
    if isinstance(path, int):
        path = os.readlink(f"/proc/self/fd/{path}") if os.path.exists("/proc/self/fd") else ""
    return " " + "/".join(str(path).split("/")[-2:])
