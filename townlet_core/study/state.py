"""Where the jobs of a study stand, from the files that they have written. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.locks import holder_of
from townlet_core.runs.reading import Run, read_run_folder
from townlet_core.shards import plan_difference
from townlet_core.study.plan import Job, without_places
from townlet_core.study.results import Result, read_result, result_path
from townlet_core.training.run_directory import is_run

State = Literal["done", "changed", "running", "failed", "interrupted", "missing"]


class Standing(NamedTuple):
    """Where a job stands.

    done: its result is there. changed: what is there is of another plan, or damaged. running: a process holds
    its lock. failed, interrupted: its run ended so, or was killed, and can be resumed.
    """

    job: Job
    state: State
    reason: str = ""  # why it is not done, or who is running it
    cycles_done: int | None = None  # None for a script, and before the first
    started: str | None = None  # ISO 8601 in UTC; of the training
    ended: str | None = None
    result: Result | None = None  # if it is done


def look_at(job: Job) -> Standing:
    """Say where a job stands. Another process may change that at any time. Raises DiskError."""
    holder = holder_of(job.folder)  # before the files: what it writes last is the result
    standing = Standing(job, "missing")
    try:
        run = read_run_folder(run_folder(job)) if is_run(run_folder(job)) else None
    except InputError as error:
        return standing._replace(state="changed", reason=str(error))
    if run:
        standing = standing._replace(
            cycles_done=run.cycles_done, started=run.about.started, ended=run.about.ended
        )
    if holder:
        return standing._replace(state="running", reason=holder, ended=None)
    try:
        result = read_result(job)
    except InputError as error:
        return standing._replace(state="changed", reason=str(error))
    if result:
        if difference := result_difference(job, result):
            return standing._replace(state="changed", reason=difference)
        return standing._replace(state="done", ended=_written(result_path(job)), result=result)
    if run is None:
        return standing
    if difference := run_difference(job, run):
        return standing._replace(state="changed", reason=difference)
    if run.status == "failed":
        return standing._replace(state="failed", reason=run.reason or "")
    why = "trained, and not evaluated" if run.status == "finished" else run.reason or "killed"
    return standing._replace(state="interrupted", reason=why)


def run_folder(job: Job) -> Path:
    """Return the run directory of a job, whose name tells runs apart in reports."""
    return job.folder / f"{job.method}-s{job.seed}"


def result_difference(job: Job, result: Result, versions: Mapping[str, str] | None = None) -> str:
    """Say how a result differs from what a job would find; empty if it does not.

    versions: compare them as well.
    """
    here, there = dict(job.identity), dict(result.identity)
    if versions is not None:
        here["versions"], there["versions"] = dict(versions), result.versions
    return _say(plan_difference(there, here))


def run_difference(job: Job, run: Run, versions: Mapping[str, str] | None = None) -> str:
    """Say how a run differs from the training of a job; empty if it does not. versions: as above."""
    about = run.about
    settings = without_places(about.settings or {})
    settings.get("training", {})["cycles"] = about.cycles  # a run can be resumed with more
    there: dict[str, Any] = {
        "scenario_sha256": about.scenario_sha256,
        "settings": settings,
        "recordings_sha256": about.recordings_sha256,
    }
    here = {name: job.identity[name] for name in there}
    if versions is not None:
        here["versions"] = dict(versions)
        there["versions"] = {name: about.versions.get(name, "unknown") for name in versions}
    return _say(plan_difference(there, here))


def _say(difference: tuple[str, str, str] | None) -> str:
    if difference is None:
        return ""
    name, was, expected = difference
    return f"{name} was {was}, and is {expected} now"


def _written(path: Path) -> str:
    """Return when a file was written."""
    seconds = io.file_identity(path)[2] / 1e9
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
