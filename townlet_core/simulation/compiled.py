"""How the rules are compiled: once per version of these files, kept on disk, the same for every process.

`NUMBA_DISABLE_JIT=1` runs the same files as plain Python.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import njit

from townlet_core.kernels import config, folder_of, is_kept, kept

_CORE = Path(__file__).parents[1]
_SOURCES = [
    *sorted(_CORE.glob("simulation/*.py")),
    *sorted(_CORE.glob("policy/*.py")),
    _CORE / "rng.py",
    _CORE / "vocab.py",  # whose ids are compiled in
]
_FOLDER = folder_of(_SOURCES)
_ENTRIES: dict[tuple[Any, Any], Callable[..., Any]] = {}

_RULE_OPTIONS: dict[str, Any] = {"_nrt": False, "error_model": "numpy", "forceinline": True}


def rule(function: Callable[..., Any]) -> Any:
    """Compile a part of one town's tick; it ends up inside the kernel that calls it.

    Rules never allocate, so reference counting is off: with it, every call counted eleven arrays, and two
    threads fought over the counters. Everything is inlined: a call copies all those array headers too.
    Division by zero is excluded where numbers enter, not in the loop.
    """
    return njit(**_RULE_OPTIONS)(function)


def kernel(parallel: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function that Python calls over all towns, and keep the machine code on disk."""
    return kept(_FOLDER, parallel=parallel, error_model="numpy")


def call(function: Any, *arguments: Any, kind: Any = None) -> Any:
    """Call a kernel whose arguments always have the same types, or the same for each `kind` of call.

    Called by itself, a kernel asks for the type of every array of a town, which takes several times as long
    as a tick of a small one. So types are asked for once, and what was compiled for them is kept.
    """
    entry = _ENTRIES.get((function, kind))
    if entry is None:
        entry = function if config.DISABLE_JIT else function.compile(tuple(map(numba.typeof, arguments)))
        _ENTRIES[function, kind] = entry
    return entry(*arguments)


def wrapping() -> AbstractContextManager:
    """Let 64-bit numbers wrap around in plain Python without a warning; compiled, they do."""
    return np.errstate(over="ignore") if config.DISABLE_JIT else nullcontext()


def is_compiled(function: str) -> bool:
    """Whether a kernel of this version is on disk already, so that its first call need not be waited for."""
    return is_kept(function, _FOLDER)
