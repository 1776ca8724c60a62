"""The disk cache of compiled functions: a folder per version and processor, a digest in every file.

numba loads cached machine code unchecked, notices changes only in the file of the outermost function, and
lets two processes that compile for different types write the same file. Here the folder is named after a
digest of all that decides about the machine code: every source that is compiled into the kernel, the
libraries, and the processor. Where the sources are does not count. A file is named after the types, and ends
with its own digest. A damaged one is compiled again, and one that another user could have written is not
read. A cache that cannot be used is a TownletWarning, not an error.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.codegen import get_host_cpu_features
from numba.core.serialize import dumps
from numba.np.ufunc import parallel

from townlet_core.cache import cache_folders, cache_home, distrust, make_folder
from townlet_core.cpus import available_cpus
from townlet_core.errors import DiskError, TownletWarning
from townlet_core.io import write_file

config: Any = numba.config
_DIGEST_BYTES = sha256().digest_size
_warned: set[str] = set()  # texts, in this process

# numba counts the CPUs of the affinity, also where a quota allows less. A number that the user chose stays,
# and so do threads that are running.
if "NUMBA_NUM_THREADS" not in os.environ and not parallel._is_initialized:
    config.NUMBA_NUM_THREADS = min(config.NUMBA_NUM_THREADS, available_cpus())


def cached_njit(folder: Path, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with numba's `options`, and cache its machine code in `folder`."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if not config.DISABLE_JIT:
            dispatcher._cache = _KernelCache(function, folder)
        return dispatcher

    return decorate


def folder_of(sources: Iterable[Path]) -> Path:
    """Return the cache folder of functions that are compiled from these files, here and by these versions."""
    versions = (numba.__version__, llvmlite.__version__, sys.implementation.cache_tag, *_processor())
    digest = sha256(b"".join(path.read_bytes() for path in sources) + repr(versions).encode())
    return cache_home() / f"kernels-{digest.hexdigest()[:16]}"


def _processor() -> tuple[str, str]:
    """Return the name and the features of the processor that numba compiles for."""
    name, features = config.CPU_NAME, config.CPU_FEATURES
    return (
        llvmlite.binding.get_host_cpu_name() if name is None else name,
        get_host_cpu_features() if features is None else features,
    )


def is_cached(function: str, folder: Path) -> bool:
    """Whether the machine code of this function is in the cache, so that its first call does not compile."""
    names = [name for place in _places(folder) for name in _names_in(place)]
    return bool(config.DISABLE_JIT) or any(
        f".{function}-" in name and name.endswith(".nbc") for name in names
    )


def _places(folder: Path) -> list[Path]:
    """Return where this cache folder may be: in the shared cache, and in the user's own."""
    return [*(home / folder.name for home in cache_folders()[:-1]), folder]


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def tell_compiled(tell: Callable[[str, float], None]) -> None:
    """From now on, call `tell` with the name of each kernel that was compiled, and the seconds it took."""
    if _COMPILATIONS.tell is None:
        event.register("numba:compile", _COMPILATIONS)
    _COMPILATIONS.tell = tell


def warn_if_unwritable() -> None:
    """Warn before a long compilation if its result cannot be cached."""
    try:
        find_writable_cache()
    except DiskError as error:
        _warn_once(f"{error}; {error.hint}")


def find_writable_cache() -> Path:
    """Return, and create if missing, the first cache folder that can be written. Raises DiskError."""
    refusal: str | OSError = ""
    for home in cache_folders():
        try:
            refusal = distrust(home) or ""
            if not refusal:
                make_folder(home)
                with tempfile.TemporaryFile(dir=home, buffering=0) as file:
                    file.write(bytes(4096))
                return home
        except OSError as error:
            refusal = error
    raise _unkept(refusal)


def _unkept(refusal: str | OSError) -> DiskError:
    """Explain that no cache folder can be used: why the last one cannot."""
    number = refusal.errno if isinstance(refusal, OSError) else None
    why = (refusal.strerror or refusal) if isinstance(refusal, OSError) else refusal
    return DiskError(
        f"{cache_home()}: compiled rules can't be kept here ({why}), so every command compiles them again, "
        "half a minute long",
        "let XDG_CACHE_HOME name a folder that only you can write",
        number=number,
        filename=str(cache_home()),
    )


def _warn_once(text: str) -> None:
    if text not in _warned:  # Python forgets shown warnings when a filter changes, which numba does
        _warned.add(text)
        warnings.warn(text, TownletWarning, stacklevel=1)


class _Compilations(event.Listener):
    """What numba tells of the functions that it compiles, kernels and the rules within them."""

    tell: Callable[[str, float], None] | None = None
    since = 0.0

    def on_start(self, event: Any) -> None:
        if isinstance(event.data["dispatcher"]._cache, _KernelCache):
            self.since = time.monotonic()

    def on_end(self, event: Any) -> None:
        dispatcher = event.data["dispatcher"]
        if self.tell and isinstance(dispatcher._cache, _KernelCache):
            self.tell(dispatcher.py_func.__name__, time.monotonic() - self.since)


_COMPILATIONS = _Compilations()


class _KernelCache(FunctionCache):
    """numba's cache of one function, in our folders, with checked files."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        serialiser: Any = partial(_Serialiser, folder=folder)
        self._impl_class = serialiser
        super().__init__(function)
        files: Any = _Files(folder, self._impl.filename_base)
        self._cache_file = files


class _Serialiser(CompileResultCacheImpl):
    """numba's serialisation of machine code, in our folder."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._locator = _Place(folder)
        self._filename_base = f"{function.__module__}.{function.__qualname__}"


class _Place:
    """The location of a function's cache files, as numba's locator interface has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get_cache_path(self) -> str:
        return str(self.folder)

    def get_source_stamp(self) -> str:
        return self.folder.name

    def ensure_cache_path(self) -> None:
        """Leave it to _Files, which may need another folder."""


class _Files:
    """The files of one function, one for each combination of types, as numba's interface has them."""

    def __init__(self, folder: Path, function: str) -> None:
        self._folder, self._function = folder, function

    def load(self, key: Any) -> Any:
        """Return what was saved under this key, or None."""
        for place in _places(self._folder):
            data = _read_trusted(place / self._name(key))
            if data is not None:
                return pickle.loads(data)
        return None

    def save(self, key: Any, value: Any) -> None:
        """Save in the first folder that can be written; a refusing disk is a warning."""
        data = dumps(value)
        refusal: str | OSError = ""
        for place in _places(self._folder):
            try:
                refusal = distrust(place) or ""
                if not refusal:
                    make_folder(place)
                    write_file(place / self._name(key), data + sha256(data).digest())
                    return
            except OSError as error:
                refusal = error
        unkept = _unkept(refusal)
        _warn_once(f"{unkept}; {unkept.hint}")

    def _name(self, key: Any) -> str:
        """Name a file after all that distinguishes it: types, processor and bytecode."""
        return f"{self._function}-{sha256(repr(key).encode()).hexdigest()[:16]}.nbc"


def _read_trusted(path: Path) -> bytes | None:
    """Return what a file holds before its digest, or None if it is missing, damaged or foreign."""
    real = Path(os.path.realpath(path))  # a link that somebody changes meanwhile is not followed again
    try:
        suspicion = distrust(real) if real.exists() else None
        data = b"" if suspicion else real.read_bytes()
    except OSError:
        return None
    if suspicion:
        _warn_once(f"{path.parent}: compiled rules that are here are not used: {suspicion}")
    content, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    return content if sha256(content).digest() == digest else None
