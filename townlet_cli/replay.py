"""`townlet replay`: validate, inspect and watch replay data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from townlet_cli.addresses import local_copy
from townlet_cli.console import count, out, print_json, safe
from townlet_cli.render import render
from townlet_cli.replay_exchange import export, import_
from townlet_cli.replay_golden import compare, print_moved
from townlet_cli.replay_handling import filter_samples, merge, slice_samples, split
from townlet_cli.replay_inspect import inspect
from townlet_cli.replay_measure import measure
from townlet_cli.replay_options import FollowLinks, Json
from townlet_cli.replay_pack import pack, unpack
from townlet_cli.replay_stats import stats
from townlet_cli.replay_upkeep import diff, list_datasets, prune, recompress

replay_app = typer.Typer(help="Validate, inspect and watch replay samples.", no_args_is_help=True)


@replay_app.command()
def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Samples, manifests, event logs, folders of them, or s3:// addresses."),
    ],
    for_training: Annotated[
        bool, typer.Option("--for-training", help="Also check the requirements of training.")
    ] = False,
    golden: Annotated[
        Path | None,
        typer.Option(help="Also compare the metrics of the one PATH with a golden or metrics file."),
    ] = None,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Report every problem and warning; exit 1 if there is a problem or a metric has moved."""
    from townlet_core.addresses import spelled
    from townlet_core.errors import InputError
    from townlet_core.replay.limits import ReadLimits
    from townlet_core.replay.metrics import load_metrics
    from townlet_core.replay.validate import validate_path

    if golden and len(paths) > 1:
        raise InputError(
            f"--golden is about one dataset, and {len(paths)} paths are given", "name one of them"
        )
    limits = ReadLimits(follow_links=follow_links)
    if golden:
        load_metrics(golden, limits)  # before the data, which may take long
    copies = [local_copy(path) for path in paths]
    reports = [
        (spelled(path), validate_path(copy, limits, for_training))
        for path, copy in zip(paths, copies, strict=True)
    ]
    is_sound = not any(report.problems for _, report in reports)
    compared = compare(copies[0], golden, limits) if golden and is_sound else None
    if json:
        found = [{"path": path, **report.as_dict()} for path, report in reports]
        moved = [row.as_dict() for row in compared[1]] if compared else []
        said = {"golden": {"file": str(golden), "compared": compared[0], "moved": moved}} if compared else {}
        print_json({"ok": is_sound and not moved, "reports": found, **said})
    else:
        for path, report in reports:
            _print_findings(report.findings)
            _print_verdict(path, report.as_dict())
        if golden and compared:
            print_moved(golden, *compared)
    if not is_sound or (compared and compared[1]):
        raise typer.Exit(1)


replay_app.command()(inspect)
replay_app.command()(render)
replay_app.command()(stats)
replay_app.command()(measure)
replay_app.command()(pack)
replay_app.command()(unpack)
replay_app.command("filter")(filter_samples)
replay_app.command("slice")(slice_samples)
replay_app.command()(merge)
replay_app.command()(split)
replay_app.command("list")(list_datasets)
replay_app.command()(diff)
replay_app.command()(recompress)
replay_app.command()(prune)
replay_app.command()(export)
replay_app.command("import")(import_)


def _print_findings(findings: list[Any]) -> None:
    """Print the findings; one that many files share is printed once."""
    groups: dict[tuple[str, str, str], list[Any]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, finding.place, finding.message), []).append(finding)
    for (severity, place, message), alike in sorted(groups.items(), key=lambda group: group[0][0]):
        colour = "red" if severity == "problem" else "yellow"
        more = f" (and {count(len(alike) - 1, 'more file')})" if len(alike) > 1 else ""
        hint = f"; {alike[0].hint}" if alike[0].hint else ""
        where = f"{alike[0].file}: {place} " if place else f"{alike[0].file}: "
        out.print(f"[{colour}]{severity}[/{colour}] {safe(where + message + more + hint)}")


def _print_verdict(path: str, report: dict[str, Any]) -> None:
    counts = [
        count(report[f"{noun}s"], noun) for noun in ("manifest", "sample", "event") if report[f"{noun}s"]
    ]
    found = f"{count(len(report['problems']), 'problem')}, {count(len(report['warnings']), 'warning')}"
    verdict = "[green]ok[/green]" if report["ok"] else "[red]not usable[/red]"
    out.print(f"{safe(path)}: {verdict}: {', '.join(counts) or 'nothing'} read, {found}")
