"""Minimum versions of the optional libraries of this room, as in the extra `data` of `pyproject.toml`."""

from __future__ import annotations

import re
from types import ModuleType

from townlet_core.errors import MissingLibraryError

INSTALL = "pip install 'townlet[data]'"
LEAST = {"datasets": "3.0", "minari": "0.5"}


def check_version(library: ModuleType, needed_by: str) -> None:
    """Raise MissingLibraryError for a version that is too old, with the command that upgrades it."""
    name, found = library.__name__, library.__version__
    if _numbers(found) < _numbers(LEAST[name]):
        raise MissingLibraryError(
            f"{name} {found} is installed, and {needed_by} needs {LEAST[name]} or newer", INSTALL
        )


def missing(error: ModuleNotFoundError, needed_by: str) -> MissingLibraryError:
    """Name the library that could not be imported, and the command that installs it."""
    library = (error.name or "").partition(".")[0]
    return MissingLibraryError(f"{library} is not installed, and {needed_by} needs it", INSTALL)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version before any letter: (3, 0) for 3.0rc1."""
    return tuple(map(int, re.findall(r"\d+", re.split("[a-z]", version)[0])))
