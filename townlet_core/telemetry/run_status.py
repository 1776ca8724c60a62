"""The run behind a log: its status and length, read from run.json without locks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.errors import DiskError, InputError, MissingError
from townlet_core.telemetry.segments import RUN_FILE, find_log, is_stream

ENDED = ("finished", "interrupted", "failed")


class RunStatus(NamedTuple):
    """What run.json says of a run."""

    status: str  # running, finished, interrupted or failed
    reason: str  # why it ended, if it did not finish
    cycles: int | None  # that it will have played at its end

    @property
    def has_ended(self) -> bool:
        """Whether nothing will be added to its log."""
        return self.status in ENDED


def read_run_status(path: Path) -> RunStatus | None:
    """Return the status of the run whose folder or log this is; None where no run.json says it.

    run.json is replaced while the run goes on, and one that cannot be read now may be readable later.
    """
    if is_stream(path):
        return None
    folder = path if io.kind_of(path) == "folder" else path.parent
    if folder == path.parent and _log_of(folder) not in (None, path):
        return None  # a log beside another run's
    try:
        about = io.read_json(folder / RUN_FILE)
    except (MissingError, InputError, DiskError):
        return None
    if not isinstance(about, dict) or not isinstance(about.get("status"), str):
        return None
    reason, cycles = about.get("reason"), about.get("cycles")
    return RunStatus(
        about["status"],
        reason if isinstance(reason, str) else "",
        cycles if type(cycles) is int and cycles > 0 else None,
    )


def _log_of(folder: Path) -> Path | None:
    try:
        return find_log(folder)
    except (MissingError, InputError, DiskError):
        return None
