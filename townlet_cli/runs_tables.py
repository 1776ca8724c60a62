"""What the commands on runs share: options, and how a run looks in tables and as JSON."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.training_settings import project_folder
from townlet_core import io

if TYPE_CHECKING:
    from townlet_core.runs.finding import DiskUse
    from townlet_core.runs.reading import Run, SavedCheckpoint

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Folders = Annotated[list[Path] | None, typer.Argument(help="Folders with runs, or runs; by default runs/.")]

_NUMBERS = (("G", 1e9), ("M", 1e6), ("k", 1e3))


class Status(enum.StrEnum):
    """Status of a run."""

    running = "running"
    finished = "finished"
    interrupted = "interrupted"
    failed = "failed"
    dead = "dead"


def folders_of(given: list[Path] | None) -> list[Path]:
    """Return the folders to look in: by default runs/, or that of townlet.toml, if it is there."""
    here = project_folder("runs")
    return given or ([here] if io.kind_of(here) else [])


def described(run: Run, disk: DiskUse) -> dict[str, Any]:
    """Describe a run for machines."""
    about = run.about
    return {
        "run": str(run.folder),
        "run_id": run.run_id,
        "status": run.status,
        "reason": run.reason,
        "holder": run.holder,
        "scenario": run.scenario,
        "seed": run.seed,
        "mode": run.settings.get("source"),
        "cycles": run.cycles,
        "cycles_done": run.cycles_done,
        "env_steps": run.env_steps,
        "best_reward": run.best_reward,
        "best_return": run.best_return,
        "best": _saved(run.best),
        "latest": _saved(run.latest),
        "log": str(run.log),
        "started": about.started,
        "ended": about.ended,
        "resumed": len(about.resumed),
        "modified": datetime.fromtimestamp(disk.modified, UTC).isoformat(timespec="seconds"),
        "bytes": disk.total,
        "bytes_by_part": disk.bytes,
        "other_files": disk.others,
        "command": about.command,
        "versions": about.versions,
        "git": about.git,
        "problems": run.problems,
    }


def _saved(saved: SavedCheckpoint | None) -> dict[str, Any] | None:
    return None if saved is None else {**saved._asdict(), "path": str(saved.path)}


def value_text(value: Any) -> str:
    """Write a setting as a configuration file does."""
    if isinstance(value, list):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def figure(value: float | None) -> str:
    """Write a mean with four digits."""
    return "–" if value is None else f"{value:.4g}"


def short(number: int | None) -> str:
    """Write a count in at most six characters: 960, 76.8k, 1.23M."""
    if number is None:
        return "–"
    for unit, size in _NUMBERS:
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)
