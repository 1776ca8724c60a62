"""`townlet study`: run the jobs of a plan, say where they stand, and merge their results into a table."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import command, count, next_step, note, out, print_json, progress, safe, table, warn
from townlet_core.errors import BusyError, InputError, RunFailed

if TYPE_CHECKING:
    from townlet_core.study.plan import Job, Plan
    from townlet_core.study.state import Standing

ALL = "all"
_COLOURS = {"done": "green", "running": "cyan", "interrupted": "yellow", "failed": "red", "changed": "red"}


def study(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="YAML file that describes the study.")],
    list_jobs: Annotated[bool, typer.Option("--list", help="Print the jobs, a line each, numbered.")] = False,
    run: Annotated[
        str | None, typer.Option(help="Run jobs that are not done: a number, such as 3, 2-5 or 1,4, or all.")
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Show where each job stands; exit 1 unless all are done.")
    ] = False,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Write a table of all results into the study's folder, and print it."),
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="With --merge: leave out jobs that are not done.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --run: replace what is there of another plan.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train and evaluate over scenarios, methods and seeds, with any number of processes."""
    _check_options(list_jobs, run, status, merge, partial, force)
    from townlet_core.study.plan import load_plan

    loaded = load_plan(plan)
    if list_jobs:
        _list(loaded, as_json)
    elif run is not None:
        _run(plan, loaded, _chosen(loaded, run), force, as_json)
    elif status:
        _show_status(plan, loaded, as_json)
    else:
        _merge(loaded, partial, in_json=as_json)


def _check_options(
    list_jobs: bool, run: str | None, status: bool, merge: bool, partial: bool, force: bool
) -> None:
    """Raise InputError unless one thing is asked for, and every option applies to it."""
    given = {"--list": list_jobs, "--run": run is not None, "--status": status, "--merge": merge}
    asked = [name for name, is_given in given.items() if is_given]
    if len(asked) != 1:
        raise InputError(
            f"found {' and '.join(asked) or 'none'} of {', '.join(given)}; expected one of them",
            "begin with --list",
        )
    for name, is_given, wanted in (("--partial", partial, "--merge"), ("--force", force, "--run")):
        if is_given and asked != [wanted]:
            raise InputError(f"{name} is for {wanted}, and {asked[0]} was given", "leave it out")


def _chosen(plan: Plan, text: str) -> list[Job]:
    """Return the jobs that --run names."""
    from townlet_core.study.plan import MAX_JOBS
    from townlet_core.training.seed_list import parse_numbers

    if text == ALL:
        return plan.jobs
    try:
        numbers = parse_numbers(text, "job", MAX_JOBS)
    except InputError as error:
        raise InputError(f"--run {error}, or all") from error
    for number in numbers:
        if not 1 <= number <= len(plan.jobs):
            raise InputError(
                f"--run {number}: the plan has {count(len(plan.jobs), 'job')}", "--list shows them"
            )
    return [plan.jobs[number - 1] for number in dict.fromkeys(numbers)]


def _about(job: Job) -> dict[str, Any]:
    """Describe a job for machines."""
    return {
        "number": job.number,
        "scenario": job.scenario.name,
        "method": job.method,
        "seed": job.seed,
        "folder": str(job.folder),
    }


def _list(plan: Plan, as_json: bool) -> None:
    if as_json:
        print_json({"study": plan.name, "jobs": [_about(job) for job in plan.jobs]})
        return
    width = len(str(len(plan.jobs)))
    for job in plan.jobs:
        out.print(f"{job.number:>{width}}  {safe(job.text)}")


def _run(path: Path, plan: Plan, jobs: list[Job], force: bool, as_json: bool) -> None:
    """Run jobs one after the other; those that fail, or that others run, stop nothing."""
    from townlet_core.study.run import refuse_changed

    if not force:
        refuse_changed(jobs)
    ends: dict[int, str] = {}
    errors: dict[int, BusyError | RunFailed] = {}
    busy = jobs
    for _ in range(2):  # what others were running may be done by now, or free because they were killed
        for job in busy:
            note(f"job {job.number} of {len(plan.jobs)}: {safe(job.text)}")
            errors.pop(job.number, None)
            try:
                ends[job.number] = _run_one(job, force)
            except (BusyError, RunFailed) as found:
                errors[job.number] = found
                ends[job.number] = "running" if isinstance(found, BusyError) else "failed"
                if len(jobs) > 1:
                    _tell(job, found)
        busy = [job for job in busy if ends[job.number] == "running"]
    if as_json:
        described = [{**_about(job), "state": ends[job.number]} for job in jobs]
        print_json({"study": plan.name, "jobs": described})
    else:
        for job in jobs:
            out.print(f"job {job.number}  {safe(job.text)}: {ends[job.number]}")
    if errors:
        raise min(errors.values(), key=lambda error: isinstance(error, BusyError))
    next_step(command("study", path, "--status" if len(jobs) < len(plan.jobs) else "--merge"))


def _tell(job: Job, error: BusyError | RunFailed) -> None:
    """Say why one of several jobs was not run to its end; that others run it is no reason to worry."""
    if isinstance(error, BusyError):
        note(f"job {job.number}: {safe(error)}")
    else:
        warn(f"job {job.number}: {error}")


def _run_one(job: Job, force: bool) -> str:
    """Run a job; returns whether it was `done`, or was there and `skipped`."""
    from townlet_cli.train import listener_of, reports_of
    from townlet_cli.train_progress import CycleProgress
    from townlet_core.study.run import run_job

    watched = CycleProgress()
    with progress(f"evaluating {job.text}", job.episodes) as advance:
        needed = run_job(
            job,
            force,
            reports=reports_of(watched),
            listener=listener_of(watched),
            after_episode=advance,
        )
    if not needed:
        note(f"{safe(job.folder)}: is done already, and was not run again")
    return "done" if needed else "skipped"


def _show_status(path: Path, plan: Plan, as_json: bool) -> None:
    from townlet_core.study.state import look_at

    standings = [look_at(job) for job in plan.jobs]
    left = [standing.job.number for standing in standings if standing.state != "done"]
    if as_json:
        print_json({"study": plan.name, "jobs": [_described(standing) for standing in standings]})
    else:
        _print_status(standings)
        out.print(f"{len(plan.jobs) - len(left)} of {count(len(plan.jobs), 'job')} done")
        next_step(command("study", path, *(("--run", ALL) if left else ("--merge",))))
    if left:
        raise typer.Exit(1)


def _described(standing: Standing) -> dict[str, Any]:
    return {
        **_about(standing.job),
        "state": standing.state,
        "reason": standing.reason or None,
        "cycles": standing.job.settings and standing.job.settings.cycles,
        "cycles_done": standing.cycles_done,
        "started": standing.started,
        "ended": standing.ended,
    }


def _print_status(standings: list[Standing]) -> None:
    rows = table("", "job", "scenario", "method", "seed", "state", "cycles", "started", "took")
    for number, column in enumerate(rows.columns):
        column.justify = "left" if number in (1, 2, 4) else "right"
        column.no_wrap = number != 1
    for standing in standings:
        job, settings = standing.job, standing.job.settings
        colour = _COLOURS.get(standing.state, "default")
        cycles = f"{standing.cycles_done or 0}/{settings.cycles}" if settings else ""
        rows.add_row(
            f"{job.number}",
            safe(job.scenario.name),
            safe(job.method),
            "" if job.seed is None else f"{job.seed}",
            f"[{colour}]{standing.state}[/{colour}]",
            cycles,
            safe((standing.started or "")[5:16].replace("T", " ")),
            _took(standing),
        )
    out.print(rows)
    for standing in standings:
        if standing.reason:
            note(f"job {standing.job.number}: {safe(standing.reason)}")


def _took(standing: Standing) -> str:
    """Show the time from start to end, pauses included; of a script nobody knows the start."""
    if standing.started is None or standing.ended is None:
        return ""
    began, ended = map(datetime.fromisoformat, (standing.started, standing.ended))
    return str(timedelta(seconds=round((ended - began).total_seconds())))


def _merge(plan: Plan, partial: bool, in_json: bool) -> None:
    from townlet_core.study.table import FILES, as_json, as_text, merge, write_table

    found = merge(plan, partial)
    write_table(plan.folder, found)
    if in_json:
        print_json(as_json(found))
    else:
        sys.stdout.write(as_text(found))
    if found.missing:
        warn(f"{count(len(found.missing), 'job')} of {len(plan.jobs)} are not done, and left out")
    note(f"wrote {', '.join(FILES)} to {safe(plan.folder)}")
