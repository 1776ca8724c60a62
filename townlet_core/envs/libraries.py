"""Minimum versions of the libraries behind the environments, as in `pyproject.toml`."""

from __future__ import annotations

import re
from types import ModuleType

from townlet_core.errors import MissingLibraryError

LEAST = {"gymnasium": "1.1", "pettingzoo": "1.24.3", "stable_baselines3": "2.6"}


def check_version(library: ModuleType, needed_by: str) -> None:
    """Raise MissingLibraryError for a version that is too old, with the command that upgrades it."""
    name, least = library.__name__, LEAST[library.__name__]
    if _numbers(library.__version__) < _numbers(least):
        raise MissingLibraryError(
            f"{name} {library.__version__} is installed, and {needed_by} needs {least} or newer",
            f"pip install --upgrade '{name.replace('_', '-')}>={least}'",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version before any letter: (1, 1) for 1.1rc2."""
    return tuple(map(int, re.findall(r"\d+", re.split("[a-z]", version)[0])))
