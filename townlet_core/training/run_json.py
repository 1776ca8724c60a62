"""The content of run.json: identity, inputs, status, resumptions and end of a run. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.scenario.type_text import show
from townlet_core.training.run_directory import RUN
from townlet_core.training.wording import explain
from townlet_core.yaml.tree import path_text

RUN_VERSION = "1.0"  # a change of the first number is one that older versions cannot read
MAX_SHOWN = 8  # wrong fields in a message


class RunFile(BaseModel):
    """The content of run.json. Fields that a newer version adds are kept and not read."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    run_version: str = RUN_VERSION
    run_id: str | None = None  # no two runs have the same; runs of 0.1.0 have none
    status: Literal["running", "finished", "interrupted", "failed"]
    reason: str | None = None  # why it ended, if it did not finish
    scenario: str | None = None
    scenario_source: str | None = None  # a bundled name, or a path
    scenario_sha256: str | None = None  # of the parsed scenario, not of its text
    recordings_sha256: str | None = None
    settings: dict[str, dict[str, Any]] | None = None  # as in config.yaml when the run began
    cycles: Annotated[int | None, Field(ge=1, le=1_000_000)] = None  # last requested
    command: list[str] = []
    versions: dict[str, str] = {}
    torch_threads: int | None = None
    git: str | None = None
    started: str | None = None
    ended: str | None = None
    resumed: list[dict[str, Any]] = []
    warm_start: dict[str, float] | None = None


FIELDS = get_type_hints(RunFile, include_extras=True)


def read_run(folder: Path) -> RunFile:
    """Read run.json. Raises InputError naming every field that does not fit."""
    path = folder / RUN
    found = io.read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: is not a JSON object", "restore it from a copy")
    version = found.get("run_version", RUN_VERSION)
    if isinstance(version, str) and version.partition(".")[0] != RUN_VERSION.partition(".")[0]:
        raise InputError(
            f"{path}: was written by a newer Townlet: run_version is {show(version)}, expected {RUN_VERSION}",
            "update townlet",
        )
    try:
        return RunFile.model_validate(found)
    except ValidationError as error:
        wrong = [explain(FIELDS, item) for item in error.errors(include_url=False, include_context=False)]
        raise InputError(
            f"{path}: " + "; ".join(f"{path_text(place)}: {message}" for place, message in wrong[:MAX_SHOWN]),
            "restore it from a copy, or start a new run",
        ) from error


def write_run(folder: Path, run_file: RunFile) -> None:
    """Write run.json."""
    io.write_json(folder / RUN, run_file.model_dump())
