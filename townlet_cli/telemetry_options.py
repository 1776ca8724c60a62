"""Arguments and options that the telemetry commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from townlet_cli.console import note, safe
from townlet_core.errors import InputError

LogArgument = Annotated[
    Path,
    typer.Argument(
        metavar="LOG", help="A telemetry log with its rotated segments, a run folder, or - for stdin."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def find_log(path: Path) -> Path:
    """Return the log that a path names; of a run folder, the run's. Raises InputError for another folder."""
    from townlet_core.telemetry import segments

    found = segments.find_log(path)
    if found is None:
        raise InputError(
            f"{path}: is a folder without a run, expected a log or a run folder", "try one in it"
        )
    if segments.is_stream(found) and segments.descriptor_of(found) is None:
        note(f"waiting for a writer of {safe(found)}")
    return found
