"""Many files at once: written without waiting for the disk, then made durable together, then moved."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from townlet_core import io
from townlet_core.errors import MissingFileError

FLUSH_THREADS = 8


def write_scratch(path: Path, data: bytes) -> None:
    """Write a new file, neither atomically nor durably, into a folder that is read only after flush_files."""
    try:
        io.make_folder(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            io.write_all(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise io.disk_error(error, path) from error


def flush_files(folder: Path) -> None:
    """Make the files of a folder durable, several at a time: a disk that has many to flush is faster."""
    with ThreadPoolExecutor(FLUSH_THREADS) as pool:
        for _ in pool.map(_flush_file, (folder / name for name in io.list_folder(folder))):
            pass
    try:
        io.sync_folder(folder)
        io.sync_folder(folder.parent)
    except OSError as error:
        raise io.disk_error(error, folder) from error


def _flush_file(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise io.disk_error(error, path) from error


def move_files(moves: Iterable[tuple[Path, str]], folder: Path) -> None:
    """Move finished files into a folder of the same disk under new names, durably, replacing what is there.

    A file that is not at its old place was moved by an earlier call, which was killed. Raises MissingError if
    it is not at its new place either, or DiskError.
    """
    path = folder
    try:
        for path, name in moves:
            if os.path.exists(path):
                os.replace(path, folder / name)
            elif not os.path.exists(folder / name):
                raise MissingFileError(f"{path}: no such file")
        path = folder
        io.sync_folder(folder)
    except MissingFileError:  # an OSError as well
        raise
    except OSError as error:
        raise io.disk_error(error, path) from error
