"""The result of one job: a file that appears whole, with everything that decided it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.study.plan import Job

RESULT = "result.json"
SCHEMA = "townlet.study.result/1"


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a job found. Equal jobs give equal files."""

    schema: str
    scenario: str
    method: str
    seed: int | None
    identity: dict[str, Any]  # of the job
    versions: dict[str, str]
    behaviour: str  # scripted, random, or the sha256 of the weights
    cycles: int | None
    env_steps: int | None
    measures: dict[str, dict[str, float | None]]  # mean, low and high over episodes; None if undefined
    sha256: str  # of all the rest


def write_result(job: Job, **found: Any) -> None:
    """Write the result of a job: versions, behaviour, cycles, env_steps and measures."""
    about = {"scenario": job.scenario.name, "method": job.method, "seed": job.seed, "identity": job.identity}
    values = {"schema": SCHEMA, **about, **found}
    io.write_json(job.folder / RESULT, {**values, "sha256": _digest(values)})


def read_result(job: Job) -> Result | None:
    """Read the result of a job; None if there is none. Raises InputError if it is damaged."""
    path = job.folder / RESULT
    if io.kind_of(path) is None:
        return None
    found = io.read_json(path)
    try:
        result = msgspec.convert(found, Result)
        is_whole = all(values.keys() == {"mean", "low", "high"} for values in result.measures.values())
        if not is_whole or result.schema != SCHEMA:
            raise ValueError("other measures, or another version")
        if _digest({name: value for name, value in found.items() if name != "sha256"}) != result.sha256:
            raise ValueError("another digest")
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise InputError(f"{path}: is no result of a study, or damaged", REPLACE) from error
    return result


REPLACE = "run the job again with --force"


def _digest(values: dict[str, Any]) -> str:
    """Return the sha256 of all fields but itself."""
    return io.sha256(json.dumps(values, sort_keys=True).encode())


def result_path(job: Job) -> Path:
    """Return the file of a result."""
    return job.folder / RESULT
