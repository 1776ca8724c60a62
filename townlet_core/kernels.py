"""Compiled functions, kept on the disk: in a folder per version of their sources, each file with its digest.

numba keeps machine code in files that it believes unread, and notices a change only in the file of the
outermost function. Ours lie in a folder named after a digest of every file that can end up in the kernel, so
that no changed rule is run from old code, and each file ends with its own digest: what is damaged is compiled
again. A cache that cannot be written stops nothing, and is told in a TownletWarning.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile

from townlet_core.errors import TownletWarning

config: Any = numba.config
_DIGEST_BYTES = sha256().digest_size
_told: set[str] = set()  # warnings of this process


def kept(folder: Path, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with numba's `options`, and keep the machine code in its sources' `folder`."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if not config.DISABLE_JIT:
            dispatcher._cache = _KernelCache(function, folder)
        return dispatcher

    return decorate


def folder_of(sources: Iterable[Path]) -> Path:
    """Return the folder of what is compiled from these files, all that can end up in it, by this numba."""
    digest = sha256(b"".join(path.read_bytes() for path in sources) + numba.__version__.encode())
    return cache_home() / f"kernels-{digest.hexdigest()[:16]}"


def cache_home() -> Path:
    """Return the folder that all kernels are kept below: NUMBA_CACHE_DIR, or townlet/ in the user's cache."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return Path(os.environ["NUMBA_CACHE_DIR"])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "townlet"
    try:
        return Path.home() / ".cache" / "townlet"
    except RuntimeError:  # a user without a home, as containers have them
        return Path(os.devnull) / "townlet"  # where nothing can be kept, which is told


def is_kept(function: str, folder: Path) -> bool:
    """Whether machine code of this function is in the folder, so that nobody waits for its first call."""
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    return bool(config.DISABLE_JIT) or any(
        f".{function}-" in name and name.endswith(".nbc") for name in names
    )


def warn_if_unwritable() -> None:
    """Tell at once, before anybody waits for the compiler, if what it makes cannot be kept."""
    try:
        os.makedirs(cache_home(), exist_ok=True)
        with tempfile.TemporaryFile(dir=cache_home(), buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        _warn(error)


def _warn(error: OSError) -> None:
    text = (
        f"{cache_home()}: compiled rules can't be kept here ({error.strerror or error}), so every command "
        "compiles them again, about a minute long; let XDG_CACHE_HOME name a folder that can be written"
    )
    if (
        text not in _told
    ):  # Python forgets what it has shown whenever somebody changes a filter, as numba does
        _told.add(text)
        warnings.warn(text, TownletWarning, stacklevel=1)


class _KernelCache(FunctionCache):
    """numba's cache of one function, in our folder, with checked files, and in peace with any disk."""

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
    """numba's way of packing machine code; only the place is ours."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Place(folder, self._lineno)
        name = f"{function.__module__}.{function.__qualname__}"
        self._filename_base = self.get_filename_base(name, sys.abiflags)


class _Place:
    """Where the files of a function are; what numba asks of a locator."""

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
    """numba's index and data files, each followed by its digest, which unpickling does not read."""

    def _load_index(self) -> Any:
        return super()._load_index() if _is_whole(self._index_path) else {}

    def _load_data(self, name: str) -> Any:
        if not _is_whole(self._data_path(name)):
            raise FileNotFoundError(name)  # which numba takes for an entry that is not there
        return super()._load_data(name)

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[Any]:
        with super()._open_for_write(filepath) as file:
            content = BytesIO()
            yield content
            file.write(content.getvalue() + sha256(content.getvalue()).digest())


def _is_whole(path: str) -> bool:
    """Whether a file ends with the digest of what stands before it."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return False
    return sha256(data[:-_DIGEST_BYTES]).digest() == data[-_DIGEST_BYTES:]
