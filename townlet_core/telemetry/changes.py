"""Notice that files change: a descriptor that becomes readable when something in their folders does."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import watchfiles

# Between two looks of the library at what the kernel has told it. A change is told after two or three steps.
# A step of 1 ms would take twice as much of an idle processor; one of 5 ms takes twice as long.
STEP_MS = 2
RESTART_SECONDS = 0.5  # before the library is started again, where it failed or a folder went away
SLOW_SECONDS = 0.2  # between two looks at the files; also finds what the kernel does not tell, as on NFS
FAST_SECONDS = 0.04  # the same while the library cannot watch


class Changes:
    """Watches the folders of some files in a thread.

    descriptor: is readable after a change; `seconds` is how long to wait for it before looking all the same.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self.files = list(files)
        self.is_watching = False
        self.descriptor, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch_on, name="changes", daemon=True)

    def __enter__(self) -> Changes:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        self._thread.join()
        for descriptor in (self.descriptor, self._wake):
            with suppress(OSError):
                os.close(descriptor)

    @property
    def seconds(self) -> float:
        """How long a reader should wait at most before it looks at the files itself."""
        return SLOW_SECONDS if self.is_watching or not self.files else FAST_SECONDS

    def clear(self) -> None:
        """Forget the changes so far; call before looking at the files."""
        with suppress(OSError):
            while os.read(self.descriptor, 1 << 12):
                pass

    def _watch_on(self) -> None:
        """Watch, and start again where folders appear or go away; the reader looks by itself meanwhile."""
        while not self._stop.is_set():
            folders = _folders_of(self.files)
            try:
                if folders:
                    self._watch(folders)
            except (OSError, RuntimeError):  # no more watches, or a folder that went away just now
                pass
            self.is_watching = False
            self._stop.wait(RESTART_SECONDS)

    def _watch(self, folders: dict[Path, tuple[int, int]]) -> None:
        for found in watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=STEP_MS,
            step=STEP_MS,
            stop_event=self._stop,
            rust_timeout=int(1000 * SLOW_SECONDS),
            yield_on_timeout=True,
            recursive=False,
            raise_interrupt=False,
        ):
            if found:
                self._tell()
            elif _folders_of(self.files) != folders:
                return
            # Only now: a change before the first look would have gone unnoticed.
            self.is_watching = True

    def _tell(self) -> None:
        with suppress(OSError):  # the pipe is full: it is readable already
            os.write(self._wake, b"!")


def _folders_of(files: list[Path]) -> dict[Path, tuple[int, int]]:
    """Return the folders in which a file, or what a link to it leads to, stands, with their identities."""
    folders = {}
    for file in files:
        for path in (file.parent, Path(os.path.realpath(file)).parent):
            with suppress(OSError):
                found = os.stat(path)
                folders[path] = (found.st_dev, found.st_ino)
    return folders
