"""Locks: a folder or a file has one writer; a refusal names the holder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from townlet_core import io
from townlet_core.errors import BusyError

LOCK_NAME = ".lock"
BUSY_HINT = "wait for it to end, stop it, or write somewhere else"
_SECOND_LOOK = 0.02  # seconds; a reader that asks for the holder keeps the lock for microseconds


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the one writer's lock of a folder for the length of a `with` block.

    Raises BusyError at once, naming the holder's pid and command, if another process holds it. The kernel
    drops the lock when the holder dies, however it dies; the next holder removes its unfinished files.
    """
    folder = Path(folder)
    io.make_folder(folder)
    descriptor = _open_lock(folder / LOCK_NAME, f"{folder}: another process is writing here")
    try:
        for name in filter(io.TEMPORARY.fullmatch, io.list_folder(folder)):
            io.remove(folder / name)
        yield
    finally:
        with contextlib.suppress(OSError):  # the holder's record is obsolete, nothing else is lost
            os.ftruncate(descriptor, 0)
        with contextlib.suppress(OSError):
            os.close(descriptor)


def holder_of(folder: Path) -> str | None:
    """Say who is writing in a folder, as `pid 7: command`; None if nobody is.

    A lock that its holder did not give back is tried for a moment, because only that sees holders on other
    machines and in other containers. A file system that cannot tell counts as held.
    """
    try:
        descriptor = os.open(Path(folder) / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise io.disk_error(error, Path(folder) / LOCK_NAME) from error
    try:
        holder = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").strip()
        if holder:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        return holder
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _open_lock(path: Path, busy: str, goes_with_holder: bool = False) -> int:
    """Open and lock a lock file, and write the holder into it; return its descriptor.

    goes_with_holder: the file is removed when the lock is released, and is not left where the disk refuses.
    Raises BusyError, which begins with `busy` and names the holder, or DiskError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_NOFOLLOW if goes_with_holder else 0)
    try:
        descriptor = os.open(path, flags, 0o644)
        try:
            try:
                _take(descriptor)
            except BlockingIOError as error:
                holder = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").strip() or "unknown"
                raise BusyError(f"{busy} ({holder})", BUSY_HINT) from error
            os.ftruncate(descriptor, 0)
            holder = f"pid {os.getpid()}: {' '.join(sys.argv)}"[:4000]
            io.write_all(descriptor, holder.encode(errors="backslashreplace"))
        except BaseException as error:
            if goes_with_holder and isinstance(error, OSError) and not isinstance(error, BusyError):
                with contextlib.suppress(OSError):
                    path.unlink()
            os.close(descriptor)
            raise
        return descriptor
    except BusyError:  # an OSError as well
        raise
    except OSError as error:
        refusal = io.disk_error(error, path)
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            refusal.hint = "this file system has no locks: choose a folder on another, such as a local disk"
        raise refusal from error


def _take(descriptor: int) -> None:
    """Take an exclusive lock. Raises BlockingIOError if it is held, also at a second look, and OSError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_SECOND_LOOK)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """The one writer's lock of a file that may be renamed while it is held.

    It is held on a file of its own beside it, `.NAME.lock`, which goes when the lock does. Raises BusyError
    at once, naming the holder's pid and command, if it is held already. The kernel drops the lock when the
    holder dies, however it dies.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file = self.path.with_name(f".{self.path.name}{LOCK_NAME}")
        self._owner = os.getpid()
        io.make_folder(self.path.parent)
        self._descriptor = self._take()

    def release(self) -> None:
        """Let others have it; a second call does nothing, and neither does a forked child's."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            if os.getpid() == self._owner:
                with contextlib.suppress(OSError):
                    self._file.unlink()
            with contextlib.suppress(OSError):  # nothing is lost with it, and the holder may have failed
                os.close(descriptor)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()

    def _take(self) -> int:
        while True:
            busy = f"{self.path}: another process is writing to it"
            descriptor = _open_lock(self._file, busy, goes_with_holder=True)
            # The last holder may have removed the file between our two calls: then it locks nothing.
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), os.stat(self._file)):
                    return descriptor
            with contextlib.suppress(OSError):
                os.close(descriptor)
