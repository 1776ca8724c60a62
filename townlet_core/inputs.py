"""Files as people name them on a command line: `-` is stdin, and a name that ends in .gz is compressed."""

from __future__ import annotations

import gzip
import sys
import zlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from townlet_core import io
from townlet_core.errors import InputError

STDIN = Path("-")
GZIP = ".gz"


def read_input(path: Path, max_bytes: int = io.MAX_JSON_BYTES) -> bytes:
    """Read a file that a person names: `-` is stdin, and a name that ends in .gz is decompressed.

    Not for names that a file holds, which could make a reader wait for stdin. Raises as read_file, and
    InputError for what is not gzip.
    """
    if Path(path) == STDIN:
        data = _read_once(sys.stdin.buffer) if sys.stdin else b""
    else:
        data = io.read_file(path, max_bytes)
        data = _decompress(data, path, max_bytes) if Path(path).suffix == GZIP else data
    if len(data) > max_bytes:
        raise InputError(f"{path}: more than {max_bytes:,} bytes, which is the limit here")
    return data


@lru_cache(maxsize=1)
def _read_once(stream: BinaryIO) -> bytes:
    """Read stdin; who asks again, as for a copy of the scenario, is answered the same."""
    try:
        return stream.read(io.MAX_JSON_BYTES + 1)
    except OSError as error:
        raise io.disk_error(error, "stdin") from error


def _decompress(data: bytes, path: Path, max_bytes: int) -> bytes:
    """Decompress gzip, at most one byte more than `max_bytes`."""
    try:
        return gzip.GzipFile(fileobj=BytesIO(data)).read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: is not gzip data, or damaged: {error}") from error


def compress(data: bytes) -> bytes:
    """Compress to gzip; equal data gives equal bytes."""
    return gzip.compress(data, mtime=0)
