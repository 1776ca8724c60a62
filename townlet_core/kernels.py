"""The disk cache of compiled functions: a folder per version of the sources, a digest in every file.

numba loads cached machine code unchecked, and notices changes only in the file of the outermost function.
Here the cache folder is named after a digest of all sources that are compiled into the kernel, so a changed
rule is never run from old code. Each file ends with its own digest; a damaged file is compiled again. A cache
that cannot be written is a TownletWarning, not an error.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numba
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.np.ufunc import parallel

from townlet_core.cpus import available_cpus
from townlet_core.errors import TownletWarning

config: Any = numba.config
_DIGEST_BYTES = sha256().digest_size
_warned: set[str] = set()  # texts, in this process

# numba counts the CPUs of the affinity, also where a quota allows less. A number that the user chose stays, as do
# threads that run.
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
    """Return the cache folder of functions that are compiled from these files by this version of numba."""
    digest = sha256(b"".join(path.read_bytes() for path in sources) + numba.__version__.encode())
    return cache_home() / f"kernels-{digest.hexdigest()[:16]}"


def cache_home() -> Path:
    """Return the parent of all cache folders: NUMBA_CACHE_DIR, or townlet/ in the user's cache."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return Path(os.environ["NUMBA_CACHE_DIR"])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "townlet"
    try:
        return Path.home() / ".cache" / "townlet"
    except RuntimeError:  # a user without a home directory, as in containers
        return Path(os.devnull) / "townlet"  # not writable, which gives a warning


def is_cached(function: str, folder: Path) -> bool:
    """Whether the machine code of this function is in the folder, so that its first call does not compile."""
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    return bool(config.DISABLE_JIT) or any(
        f".{function}-" in name and name.endswith(".nbc") for name in names
    )


def tell_compiled(tell: Callable[[str, float], None]) -> None:
    """From now on, call `tell` with the name of each kernel that was compiled, and the seconds it took."""
    if _COMPILATIONS.tell is None:
        event.register("numba:compile", _COMPILATIONS)
    _COMPILATIONS.tell = tell


def warn_if_unwritable() -> None:
    """Warn before a long compilation if its result cannot be cached."""
    try:
        os.makedirs(cache_home(), exist_ok=True)
        with tempfile.TemporaryFile(dir=cache_home(), buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        _warn(error)


def _warn(error: OSError) -> None:
    text = (
        f"{cache_home()}: compiled rules can't be kept here ({error.strerror or error}), so every command "
        "compiles them again, half a minute long; let XDG_CACHE_HOME name a folder that can be written"
    )
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
    """numba's cache of one function, in our folder, with checked files; a refusing disk is a warning."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        serialiser: Any = partial(_Serialiser, folder=folder)
        self._impl_class = serialiser
        super().__init__(function)
        self._cache_file = _CheckedFiles(str(folder), self._impl.filename_base, folder.name)

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn(error)


class _Serialiser(CompileResultCacheImpl):
    """numba's serialisation of machine code, in our folder."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Place(folder, self._lineno)
        name = f"{function.__module__}.{function.__qualname__}"
        self._filename_base = self.get_filename_base(name, sys.abiflags)


class _Place:
    """The location of a function's cache files, as numba's locator interface has it."""

    def __init__(self, folder: Path, line: int) -> None:
        self.folder, self.line = folder, line

    def get_cache_path(self) -> str:
        return str(self.folder)

    def get_source_stamp(self) -> str:
        return self.folder.name

    def get_disambiguator(self) -> str:
        return str(self.line)

    def ensure_cache_path(self) -> None:
        os.makedirs(self.folder, exist_ok=True)


class _CheckedFiles(IndexDataCacheFile):
    """numba's index and data files, each followed by its digest, which unpickling ignores."""

    def _load_index(self) -> Any:
        return super()._load_index() if _is_whole(self._index_path) else {}

    def _load_data(self, name: str) -> Any:
        if not _is_whole(self._data_path(name)):
            raise FileNotFoundError(name)  # which numba reads as a missing entry
        return super()._load_data(name)

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[Any]:
        with super()._open_for_write(filepath) as file:
            content = BytesIO()
            yield content
            file.write(content.getvalue() + sha256(content.getvalue()).digest())


def _is_whole(path: str) -> bool:
    """Whether a file ends with the digest of the bytes before it."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return False
    return sha256(data[:-_DIGEST_BYTES]).digest() == data[-_DIGEST_BYTES:]
