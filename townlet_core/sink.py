"""A file for libraries that write: what they write appears whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from townlet_core import io


class Sink:
    """What a library expects of a file that is open for writing."""

    closed = False

    def __init__(self, file: io.AtomicFile) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        """Append to the file, and return the number of bytes."""
        written = bytes(data)
        self._file.write(written)
        return len(written)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self._file.bytes

    def flush(self) -> None:
        """Do nothing: the disk is flushed once, at the end."""

    def close(self) -> None:
        """Do nothing: the file gets its name when the block of open_sink ends."""


@contextmanager
def open_sink(path: Path) -> Iterator[Sink]:
    """Open a file that gets its name when the block ends. Raises DiskError."""
    with io.AtomicFile(path) as file:
        yield Sink(file)
