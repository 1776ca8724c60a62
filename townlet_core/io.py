"""The only door to the disk: atomic files, append-only logs, locks, and bounded reads.

A file appears whole or not at all: it is written under a temporary name in the same folder, flushed to
the disk, renamed, and the folder is flushed too. Every OSError leaves here as a TownletError.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from pathlib import Path
from typing import Any, Literal

import orjson

from townlet_core.addresses import refuse_address
from townlet_core.errors import DISK_HINT, DiskError, InputError, MissingFileError, TownletError

MAX_JSON_BYTES = 64 << 20  # metadata, manifests and metrics; a real one is some kB
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically and durably. Raises DiskError; then `path` is as it was before."""
    with AtomicFile(path) as file:
        file.write(data)


class AtomicFile:
    """A file that is written piece by piece and appears whole, durably, when the `with` block ends.

    If the block raises, `path` is as it was before. Raises DiskError.
    bytes: written so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.bytes = 0
        self._temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.tmp")
        self._descriptor = -1

    def __enter__(self) -> AtomicFile:
        try:
            _create_folder(self.path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self._temporary, flags, 0o644)
        except OSError as error:
            raise disk_error(error, self.path) from error
        return self

    def write(self, data: bytes) -> None:
        """Append to the file."""
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            raise disk_error(error, self.path) from error
        self.bytes += len(data)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        is_whole = False
        try:
            try:
                if kind is None:
                    os.fsync(self._descriptor)
            finally:
                os.close(self._descriptor)
            if kind is None:
                os.replace(self._temporary, self.path)
                is_whole = True
                sync_folder(self.path.parent)
        except OSError as failed:
            raise disk_error(failed, self.path) from failed
        finally:
            if not is_whole:
                with contextlib.suppress(OSError):
                    self._temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with a final newline, atomically."""
    write_file(path, dump_json(value))


def dump_json(value: Any) -> bytes:
    """Serialise to indented JSON in the given key order, with a final newline."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(value, option=options)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte; a short write (how a full disk first shows) is continued until it errs."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _create_folder(folder: Path) -> None:
    """Create a folder and its parents, each of them flushed into the one above it."""
    if not folder.exists():
        refuse_address(f"{folder}/")
        _create_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def kind_of(path: Path) -> Literal["file", "folder", "other"] | None:
    """Return the kind of a path, links followed; None if there is none.

    Raises InputError for an address where no file has its name, or DiskError if denied.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a name with a null byte
        refuse_address(path)
        return None
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            return None
        raise disk_error(error, path) from error
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def read_file(path: Path, max_bytes: int = MAX_JSON_BYTES) -> bytes:
    """Read a whole file. Raises MissingError, InputError if it is larger than `max_bytes`, or DiskError."""
    path = Path(path)
    _require_file(path)
    try:
        with open(path, "rb") as file:
            data = file.read(min(os.fstat(file.fileno()).st_size, max_bytes) + 1)  # takes memory at once
            while len(data) <= max_bytes and (more := file.read(max(len(data), 1 << 16))):
                data += more  # the size on record may lie, or grow
        if len(data) > max_bytes:
            raise InputError(f"{path}: more than {max_bytes:,} bytes, which is the limit here")
        return data
    except OSError as error:
        raise _unread(error, path) from error


def _require_file(path: Path) -> None:
    """Raise MissingError, InputError or DiskError unless a path is a file: a pipe would be read for ever."""
    kind = kind_of(path)
    if kind is None:
        raise MissingFileError(f"{path}: no such file")
    if kind != "file":
        raise InputError(f"{path}: is a folder or a device, expected a file")


def read_range(path: Path, offset: int, length: int) -> bytes:
    """Read at most `length` bytes from `offset` on. Raises MissingError, InputError or DiskError."""
    _require_file(path)
    try:
        with open(path, "rb", buffering=0) as file:
            data, length = b"", min(length, max(0, os.fstat(file.fileno()).st_size - offset))
            file.seek(offset)
            while len(data) < length and (more := file.read(length - len(data))):
                data += more
            return data
    except OSError as error:
        raise _unread(error, path) from error


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read and parse a JSON file. Raises InputError with line and column where the text is not JSON."""
    return parse_json(read_file(path, max_bytes), str(path))


def parse_json(data: bytes, name: str) -> Any:
    """Parse JSON bytes; `name` opens the message of the InputError that damaged text raises."""
    try:
        return orjson.loads(without_mark(data))
    except orjson.JSONDecodeError as error:
        raise InputError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error


def decode_text(data: bytes, name: str) -> str:
    """Decode UTF-8. Raises InputError that begins with `name` and gives the place of a byte that is none."""
    try:
        return without_mark(data).decode()
    except UnicodeDecodeError as error:
        line, column, message = explain_bad_byte(error)
        raise InputError(f"{name}:{line}:{column}: {message}") from error


def explain_bad_byte(error: UnicodeDecodeError) -> tuple[int, int, str]:
    """Return line and column, both from 1, of a byte that is not UTF-8, and the message."""
    before = error.object[: error.start]
    column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
    return before.count(b"\n") + 1, column, f"byte 0x{error.object[error.start]:02x} is not UTF-8 text"


def without_mark(data: bytes) -> bytes:
    """Drop the byte-order mark that some editors write before UTF-8 text; every format is read without it."""
    return data.removeprefix(codecs.BOM_UTF8)


def sha256(data: bytes) -> str:
    """Return the hex digest."""
    return hashlib.sha256(data).hexdigest()


def file_size(path: Path) -> int:
    """Return the size of a file in bytes. Raises MissingError or DiskError."""
    return file_identity(path)[1]


def file_identity(path: Path) -> tuple[int, int, int]:
    """Return inode, bytes and modification time in ns, to see changes. Raises MissingError or DiskError."""
    try:
        status = os.stat(path)
        return status.st_ino, status.st_size, status.st_mtime_ns
    except OSError as error:
        raise _unread(error, path) from error


def file_digest(path: Path) -> dict[str, str | int]:
    """Return `sha256` and `bytes` of a file of any size. Raises MissingError, InputError or DiskError."""
    _require_file(path)
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"sha256": digest, "bytes": file.tell()}
    except OSError as error:
        raise _unread(error, path) from error


def _unread(error: OSError, path: Path) -> TownletError:
    is_missing = isinstance(error, FileNotFoundError)
    return MissingFileError(f"{path}: no such file") if is_missing else disk_error(error, path)


def refuse_existing(path: Path, force: bool) -> None:
    """Raise InputError if `path` is there already and `force` is not given. An empty folder is free.

    A link to a file, or a dangling one, is never replaced: the link would be lost, its target left behind.
    """
    kind = kind_of(path)
    if kind != "folder" and os.path.islink(path):
        raise InputError(
            f"{path}: is a link to {os.readlink(path)}",
            "give the file itself as --output, or remove the link",
        )
    if force or kind is None or (kind == "folder" and not list_folder(path)):
        return
    raise InputError(f"{path}: already exists", "choose another --output, or replace it with --force")


def make_folder(path: Path) -> None:
    """Create a folder and its parents; raises DiskError where the disk refuses."""
    try:
        if not Path(path).is_dir():
            _create_folder(Path(path))
            Path(path).mkdir(exist_ok=True)  # raises if a file is in the way
    except FileExistsError as error:
        if os.path.islink(path) and kind_of(path) is None:
            where = os.readlink(path)
            raise InputError(
                f"{path}: is a link to {where}, which is not there", "make that folder"
            ) from error
        raise InputError(f"{path}: is a file, expected a folder") from error
    except OSError as error:
        raise disk_error(error, path) from error


def list_folder(path: Path) -> list[str]:
    """Return the sorted names in a folder; one that is not there is empty."""
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise disk_error(error, path) from error


def remove(path: Path) -> None:
    """Delete a file, or a folder with its content; a missing one is no error."""
    try:
        if Path(path).is_dir() and not Path(path).is_symlink():
            shutil.rmtree(path)
        else:
            Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, path) from error


def rename_folder(temporary: Path, final: Path) -> None:
    """Give a finished folder its name: flush every file's entry, rename, flush the parent."""
    try:
        sync_folder(temporary)
        os.rename(temporary, final)
        sync_folder(final.parent)
    except OSError as error:
        raise disk_error(error, final) from error


def open_append(path: Path) -> int:
    """Open a log for appending and return its descriptor. The caller closes it with `close`."""
    path = Path(path)
    try:
        _create_folder(path.parent)
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if is_new:
            sync_folder(path.parent)
        return descriptor
    except OSError as error:
        raise disk_error(error, path) from error


def append(descriptor: int, data: bytes, path: Path) -> None:
    """Append one record in one write, so that a crash leaves at most one partial last line."""
    try:
        write_all(descriptor, data)
    except OSError as error:
        raise disk_error(error, path) from error


def drop_partial_line(path: Path) -> int:
    """Cut bytes after the last newline, which only a crash leaves, and return how many were cut."""
    try:
        with open(path, "rb+") as file:
            end = file.seek(0, os.SEEK_END)
            keep = end
            while keep > 0:
                start = max(0, keep - 65536)
                file.seek(start)
                newline = file.read(keep - start).rfind(b"\n")
                if newline >= 0:
                    keep = start + newline + 1
                    break
                keep = start
            if keep < end:
                file.truncate(keep)
                os.fsync(file.fileno())
            return end - keep
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise disk_error(error, path) from error


def flush(descriptor: int, path: Path) -> None:
    """Return once everything appended through `descriptor` is on the disk itself."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise disk_error(error, path) from error


def close(descriptor: int, path: Path) -> None:
    """Close a descriptor of open_append; some file systems report a failed write only here."""
    try:
        os.close(descriptor)
    except OSError as error:
        raise disk_error(error, path) from error


def truncate(path: Path, size: int) -> None:
    """Cut a file to its first `size` bytes, durably."""
    try:
        with open(path, "rb+") as file:
            file.truncate(size)
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(error, path) from error


def rename_file(path: Path, free: Path) -> None:
    """Rename a finished file within its folder, durably; `free` must be a name that nothing has."""
    try:
        os.rename(path, free)
        sync_folder(free.parent)
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path | str) -> DiskError:
    """Turn an OSError into one sentence and the next move."""
    return DiskError(f"{path}: {error.strerror or error}", DISK_HINT, error.errno, str(path))
