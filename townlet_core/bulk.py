"""Many files at once: made durable together, moved together, or as a folder that appears whole."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from townlet_core import io
from townlet_core.errors import InputError, MissingFileError, TownletError

FLUSH_THREADS = 8


@contextlib.contextmanager
def whole_folder(output: Path, check_old: Callable[[list[str]], None] | None = None) -> Iterator[Path]:
    """Yield an empty folder that gets the name `output` when the block ends; if it raises, nothing changes.

    check_old: called with the names that `output` holds, if any; raises unless they may all be replaced.
    Without it they may not. A link to a folder stays, and its target is replaced.
    Raises InputError or DiskError.
    """
    names = io.list_folder(output)
    if io.kind_of(output) not in ("folder", None) or (names and check_old is None):
        raise InputError(f"{output}: already exists", "choose another --output, or remove it")
    if names and check_old:
        check_old(names)
    final = Path(os.path.realpath(output))
    hidden = f".{final.name}.{secrets.token_hex(4)}"
    temporary, old = final.with_name(f"{hidden}.tmp"), final.with_name(f"{hidden}.old.tmp")
    try:
        io.make_folder(temporary)
        yield temporary
        _exchange(temporary, final, old if names else None)
    except BaseException as error:
        with contextlib.suppress(TownletError):
            io.remove(temporary)
        if isinstance(error, OSError) and not isinstance(error, TownletError):  # of a library that writes
            raise io.disk_error(error, output) from error
        raise


def output_folder(
    output: Path | str, force: bool, marker: str, names: re.Pattern[str]
) -> contextlib.AbstractContextManager[Path]:
    """Return whole_folder for what a command writes: new, or in the place of what Townlet wrote.

    force: replace a folder that holds `marker` and no entry with a name other than `names`.
    Raises InputError for a folder that may not be replaced, or DiskError.
    """
    io.refuse_existing(Path(output), force)

    def check_old(old: list[str]) -> None:
        if marker not in old or not all(map(names.fullmatch, old)):
            found = next((name for name in old if not names.fullmatch(name)), f"and no {marker}")
            raise InputError(
                f"{output}: holds more than Townlet wrote there ({found})",
                "choose another --output, or remove the folder yourself",
            )

    return whole_folder(Path(output), check_old)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder in the system's place for temporary files; it goes when the block ends."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="townlet-"))
    except OSError as error:
        raise io.disk_error(error, error.filename or "TMPDIR") from error
    try:
        yield folder
    finally:
        with contextlib.suppress(TownletError):
            io.remove(folder)


def _exchange(new: Path, final: Path, old: Path | None) -> None:
    """Give a folder its name. old: where the one of that name waits until it can be removed."""
    if old is None:
        io.rename_folder(new, final)
        return
    io.rename_folder(final, old)
    try:
        io.rename_folder(new, final)
    except BaseException:
        if io.kind_of(final) is None:
            io.rename_folder(old, final)
        raise
    io.remove(old)


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


def flush_tree(folder: Path) -> None:
    """Make the files of a folder and of the folders in it durable, those that a library wrote as well."""
    for parent, _, _ in os.walk(folder):
        flush_files(Path(parent))


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
