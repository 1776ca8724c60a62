"""`townlet runs`: list, show, compare, export and prune run directories."""

from __future__ import annotations

import enum
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import command, count, next_step, out, print_json, safe, table, warn
from townlet_cli.replay_upkeep import age
from townlet_cli.runs_scores import export
from townlet_cli.runs_tables import Folders, Json, Status, described, figure, folders_of, short, value_text
from townlet_cli.runs_upkeep import compare, prune

if TYPE_CHECKING:
    from townlet_core.runs.finding import DiskUse, Found
    from townlet_core.runs.reading import Run, SavedCheckpoint

runs_app = typer.Typer(help="List, show, compare, export and prune training runs.", no_args_is_help=True)
_COLOURS = {"running": "cyan", "finished": "green", "interrupted": "yellow", "failed": "red", "dead": "red"}


class Sort(enum.StrEnum):
    """Order of a list of runs."""

    age = "age"
    name = "name"
    best = "best"
    size = "size"


@runs_app.command("list")
def list_runs(
    folders: Folders = None,
    status: Annotated[
        list[Status] | None, typer.Option(help="Only runs of this status; may be repeated.")
    ] = None,
    sort: Annotated[
        Sort, typer.Option(help="Order: newest, by name, best reward or return, or largest first.")
    ] = Sort.age,
    json: Json = False,
) -> None:
    """List the runs below folders: status, cycles, environment steps, best reward, disk use."""
    from townlet_core.runs.finding import find_runs

    runs = find_runs(folders_of(folders))
    wanted = [one for one in runs.found if not status or one.run.status in status]
    wanted.sort(key=lambda one: _order(one, sort))
    for path, reason in runs.unreadable:
        warn(f"{path}: {reason.removeprefix(f'{path}: ')}")
    for path in runs.remains:
        warn(f"{path}: holds what is left of a run that was being removed; townlet runs prune removes it")
    if json:
        unreadable = [{"run": str(path), "problem": reason} for path, reason in runs.unreadable]
        print_json({"runs": [described(one.run, one.disk) for one in wanted], "unreadable": unreadable})
        return
    _print_list(wanted)


def _order(one: Found, sort: Sort) -> Any:
    run, newest = one.run, -one.disk.modified
    best = run.best_reward if run.best_return is None else run.best_return
    return {
        Sort.age: newest,
        Sort.name: str(run.folder),
        Sort.best: (best is None, -(best or 0)),
        Sort.size: -one.disk.total,
    }[sort]


def _print_list(wanted: list[Found]) -> None:
    returns = any(one.run.best_return is not None for one in wanted)
    rows = table(
        "", "run", "status", "cycles", "steps", "reward", *(["return"] if returns else []), "MB", "age"
    )
    rows.columns[1].justify = "left"
    for column in rows.columns[1:]:
        column.no_wrap = True
    now = time.time()
    for one in wanted:
        run = one.run
        best = [figure(run.best_reward), *([figure(run.best_return)] if returns else [])]
        cycles = f"{run.cycles_done}/{run.cycles}"
        size = f"{one.disk.total / 1e6:,.1f}"
        colour = _COLOURS[run.status]
        status = f"[{colour}]{run.status}[/{colour}]"
        rows.add_row(
            safe(run.folder), status, cycles, short(run.env_steps), *best, size, age(now - one.disk.modified)
        )
    if wanted:
        out.print(rows)
    total = sum(one.disk.total for one in wanted)
    out.print(f"{count(len(wanted), 'run')}, {total / 1e6:,.1f} MB")
    if not wanted:
        next_step(command("train"))
    elif len(wanted) == 1:
        next_step(command("runs", "show", wanted[0].run.folder))
    else:
        next_step(command("runs", "compare", *(one.run.folder for one in wanted[:2])))


@runs_app.command("show")
def show_run(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    every: Annotated[
        bool, typer.Option("--all", help="Show every setting, not only those that were set.")
    ] = False,
    json: Json = False,
) -> None:
    """Show a run: status, progress, checkpoints, disk use, and where each setting came from."""
    from townlet_core.runs.finding import disk_use
    from townlet_core.runs.reading import read_run_folder

    found = read_run_folder(run)
    disk = disk_use(found.folder)
    for problem in found.problems:
        warn(problem)
    if json:
        settings = {
            name: {"value": value, "origin": found.origins[name]} for name, value in found.settings.items()
        }
        print_json({**described(found, disk), "settings": settings})
        return
    _print_facts(found, disk)
    _print_settings(found, every)
    _suggest(found)


def _print_facts(run: Run, disk: DiskUse) -> None:
    rows = table("", "name", "value")
    rows.show_header = False
    rows.columns[1].justify = "left"
    for name, value in _facts(run, disk):
        rows.add_row(f"[bold]{name}[/bold]", safe(value))
    out.print(rows)


def _facts(run: Run, disk: DiskUse) -> list[tuple[str, str]]:
    """Return what there is to say of a run, each with its name."""
    about = run.about
    sizes = ", ".join(f"{part} {size / 1e6:,.1f} MB" for part, size in disk.bytes.items() if size)
    measures = (("mean reward", run.best_reward), ("evaluated return", run.best_return))
    best = [f"{name} {figure(value)}" for name, value in measures if value is not None]
    facts = [
        ("run", str(run.folder)),
        ("id", run.run_id),
        ("status", run.status + (f": {run.reason}" if run.reason else "")),
        ("held by", run.holder),
        ("scenario", run.scenario),
        ("seed", None if run.seed is None else str(run.seed)),
        ("cycles", f"{run.cycles_done} of {run.cycles}"),
        ("steps", None if run.env_steps is None else count(run.env_steps, "environment step")),
        ("best", _checkpoint_text(run, run.best, best)),
        ("latest", _checkpoint_text(run, run.latest, [])),
        ("log", str(run.log)),
        ("disk", f"{disk.total / 1e6:,.1f} MB" + (f": {sizes}" if sizes else "")),
        ("not the run's", ", ".join(disk.others)),
        ("started", about.started),
        ("ended", about.ended),
        ("resumed", f"{count(len(about.resumed), 'time')}" if about.resumed else None),
        ("versions", ", ".join(f"{name} {version}" for name, version in about.versions.items())),
        ("git", about.git),
        ("command", shlex.join(about.command)),
    ]
    return [(name, value) for name, value in facts if value]


def _checkpoint_text(run: Run, saved: SavedCheckpoint | None, measures: list[str]) -> str:
    if saved is None:
        return ""
    after = [] if saved.cycle is None else [f"after cycle {saved.cycle}"]
    return ", ".join([str(saved.path.relative_to(run.folder)), *after, *measures])


def _print_settings(run: Run, every: bool) -> None:
    rows = table("Settings" if every else "Settings that were set", "setting", "value", "origin")
    rows.columns[1].justify = rows.columns[2].justify = "left"
    shown = [name for name, origin in run.origins.items() if every or origin != "default"]
    for name in shown:
        rows.add_row(safe(name), safe(value_text(run.settings[name])), safe(run.origins[name]))
    if shown:
        out.print()
        out.print(rows)
    if len(shown) < len(run.settings):
        defaults = count(len(run.settings) - len(shown), "setting")
        out.print(f"{defaults} at the default; --all shows them")


def _suggest(run: Run) -> None:
    if run.status == "running":
        next_step(command("telemetry", "watch", "--follow", run.folder))
    elif run.status == "finished" and run.scenario:
        next_step(command("evaluate", run.best.path if run.best else run.folder, "scripted", "random"))
    elif run.status != "finished":
        next_step(command("train", "--resume", run.folder))


runs_app.command()(compare)
runs_app.command()(export)
runs_app.command()(prune)
