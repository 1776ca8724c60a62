"""Compilation of the rules: once per version of these files, cached on disk for every process.

`NUMBA_DISABLE_JIT=1` runs the same files as plain Python.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numba
import numpy as np

from townlet_core.kernels import cached_njit, config, folder_of, is_cached
from townlet_core.simulation.rule_compiler import compile_into_callers

_CORE = Path(__file__).parents[1]
_SOURCES = [
    *sorted(_CORE.glob("simulation/**/*.py")),
    *sorted(_CORE.glob("policy/*.py")),
    _CORE / "rng.py",
    _CORE / "vocab.py",  # its ids are compiled in
]
_FOLDER = folder_of(_SOURCES)
_ENTRIES: dict[tuple[Any, Any], Callable[..., Any]] = {}
_PROCESS = os.getpid()  # which imported this; a child that was forked later has another
_THREADS = threading.Lock()  # held by the one caller that may use numba's threads


def rule(function: Callable[..., Any]) -> Any:
    """Compile a part of one town's tick; it is inlined into the kernel that calls it.

    A call would copy all array headers.
    """
    return function if config.DISABLE_JIT else compile_into_callers(function)


def kernel(parallel: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function over all towns that Python calls, and cache its machine code on disk."""
    return cached_njit(_FOLDER, parallel=parallel, error_model="numpy")


def call(function: Any, *arguments: Any, kind: Any = None) -> Any:
    """Call a kernel whose arguments always have the same types, or the same for each `kind` of call.

    A direct call looks up the type of every array, which takes several times as long as a tick of a small
    town. Here types are looked up once, and the compiled entry point is stored.
    """
    entry = _ENTRIES.get((function, kind))
    if entry is None:
        entry = function if config.DISABLE_JIT else function.compile(tuple(map(numba.typeof, arguments)))
        _ENTRIES[function, kind] = entry
    return entry(*arguments)


def wrapping() -> AbstractContextManager:
    """Let 64-bit integers wrap around in plain Python without a warning, as in compiled code."""
    return np.errstate(over="ignore") if config.DISABLE_JIT else nullcontext()


def is_forked() -> bool:
    """Whether this process was forked after the import, so that it lacks the parent's threads."""
    return os.getpid() != _PROCESS


@contextmanager
def numba_threads() -> Iterator[bool]:
    """Yield whether the block may call parallel kernels; the serial ones give the same bytes.

    GNU OpenMP terminates a forked process that starts threads. numba's own pool, `workqueue`, terminates a
    process in which two Python threads use it at the same time.
    """
    granted = not is_forked() and _THREADS.acquire(blocking=False)
    try:
        yield granted
    finally:
        if granted:
            _THREADS.release()


def is_compiled(function: str) -> bool:
    """Whether the machine code of this kernel is in the cache, so that its first call does not compile."""
    return is_cached(function, _FOLDER)
