"""Where compiled kernels are kept, and whose files are executed.

The cache holds machine code in pickles, and reading either executes it. So nothing is read that another user
could have written.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

SHARED = "TOWNLET_CACHE"  # a folder of many users or of an image, before the user's own
UNMAPPED = 65534  # as whom a user namespace, such as a container without root, shows the machine's root


def cache_home() -> Path:
    """Return the user's own cache folder: NUMBA_CACHE_DIR, or townlet/ in the user's cache."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return Path(os.environ["NUMBA_CACHE_DIR"])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "townlet"
    try:
        return Path.home() / ".cache" / "townlet"
    except RuntimeError:  # a user without a home directory, as in containers
        return Path(os.devnull) / "townlet"  # not writable, which gives a warning


def cache_folders() -> list[Path]:
    """Return the folders in which kernels are looked up, and kept in the first that can be written."""
    shared = os.environ.get(SHARED)
    return [Path(shared), cache_home()] if shared else [cache_home()]


def cache_size(folder: Path) -> tuple[int, int]:
    """Return how many files are below a folder, and their bytes; what may not be read does not count."""
    sizes = []
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append(os.stat(Path(place, name)).st_size)
    return len(sizes), sum(sizes)


def distrust(path: Path) -> str | None:
    """Return why another user could have written a file or what is in a folder; None if nobody could.

    Trusted are this user, root, and the owner of Townlet's code, which is executed anyway. What does not
    exist yet is judged by the folders above it. Raises OSError where these may not be looked at.
    """
    real = Path(os.path.realpath(path))
    trusted = {0, os.geteuid(), os.stat(__file__).st_uid}
    for place in (real, *real.parents):
        try:
            facts = os.stat(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        is_above = place in real.parents[1:]
        if facts.st_uid not in trusted and not (is_above and facts.st_uid == UNMAPPED):
            return f"{place} belongs to user {facts.st_uid}"
        if _others_write(facts):
            return f"other users can write to {place}"
    return None


def _others_write(facts: os.stat_result) -> bool:
    """Whether users other than the owner can change a file, or replace what is in a folder."""
    if stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX:
        return False  # as in /tmp: everybody's files are safe from others
    has_own_group = facts.st_uid == facts.st_gid  # the usual group of one user
    return bool(facts.st_mode & stat.S_IWOTH or (facts.st_mode & stat.S_IWGRP and not has_own_group))


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, which only their owner can write. Raises OSError."""
    if not folder.is_dir():
        if folder.parent != folder:
            make_folder(folder.parent)
        folder.mkdir(mode=0o755, exist_ok=True)
