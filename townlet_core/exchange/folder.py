"""A folder of files that appears whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from townlet_core import io
from townlet_core.errors import InputError, TownletError


@contextmanager
def whole_folder(output: Path | str, force: bool, marker: str, names: re.Pattern[str]) -> Iterator[Path]:
    """Yield an empty folder, which is called `output` when the block ends; if it raises, nothing is left.

    force: replace a folder that holds `marker` and no entry with a name other than `names`.
    Raises InputError for a folder that may not be replaced, or DiskError.
    """
    io.refuse_address(output)
    io.refuse_existing(Path(output), force)
    output = Path(os.path.realpath(output))
    old = io.list_folder(output)
    if old and (marker not in old or not all(map(names.fullmatch, old))):
        raise InputError(
            f"{output}: holds more than Townlet wrote there ({_foreign(old, marker, names)})",
            "choose another --output, or remove the folder yourself",
        )
    hidden = f".{output.name}.{secrets.token_hex(4)}"
    temporary, aside = output.with_name(f"{hidden}.tmp"), output.with_name(f"{hidden}.old.tmp")
    try:
        io.make_folder(temporary)
        yield temporary
        _flush(temporary)
        if old:
            io.rename_folder(output, aside)
        io.rename_folder(temporary, output)
        io.remove(aside)
    except BaseException as error:
        with contextlib.suppress(TownletError):
            io.remove(temporary)
        if isinstance(error, OSError) and not isinstance(error, TownletError):  # of a library that writes
            raise io.disk_error(error, output) from error
        raise


def _foreign(old: list[str], marker: str, names: re.Pattern[str]) -> str:
    return next((name for name in old if not names.fullmatch(name)), f"and no {marker}")


def _flush(folder: Path) -> None:
    """Flush every file that a library has written, and the folders."""
    try:
        for parent, _, files in os.walk(folder):
            for name in files:
                descriptor = os.open(Path(parent) / name, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            io.sync_folder(Path(parent))
    except OSError as error:
        raise io.disk_error(error, folder) from error
