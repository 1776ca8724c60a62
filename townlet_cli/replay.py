"""`townlet replay`: validate, inspect and watch replay data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from townlet_cli.console import command, count, next_step, out, print_json, safe, table, warn
from townlet_cli.render import render
from townlet_cli.replay_golden import compare, print_moved
from townlet_cli.replay_options import FollowLinks, Json
from townlet_cli.replay_pack import pack, unpack
from townlet_cli.replay_stats import stats

replay_app = typer.Typer(help="Validate, inspect and watch replay samples.", no_args_is_help=True)

_BAR_WIDTH = 30


@replay_app.command()
def validate(
    paths: Annotated[list[Path], typer.Argument(help="Samples, manifests, event logs, or folders of them.")],
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
    from townlet_core.errors import InputError
    from townlet_core.replay.limits import ReadLimits
    from townlet_core.replay.validate import validate_path

    if golden and len(paths) > 1:
        raise InputError(
            f"--golden is about one dataset, and {len(paths)} paths are given", "name one of them"
        )
    limits = ReadLimits(follow_links=follow_links)
    reports = [(path, validate_path(path, limits, for_training)) for path in paths]
    is_sound = not any(report.problems for _, report in reports)
    compared = compare(paths[0], golden, limits) if golden and is_sound else None
    if json:
        found = [{"path": str(path), **report.as_dict()} for path, report in reports]
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


replay_app.command()(render)
replay_app.command()(stats)
replay_app.command()(pack)
replay_app.command()(unpack)


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


def _print_verdict(path: Path, report: dict[str, Any]) -> None:
    counts = [
        count(report[f"{noun}s"], noun) for noun in ("manifest", "sample", "event") if report[f"{noun}s"]
    ]
    found = f"{count(len(report['problems']), 'problem')}, {count(len(report['warnings']), 'warning')}"
    verdict = "[green]ok[/green]" if report["ok"] else "[red]not usable[/red]"
    out.print(f"{safe(path)}: {verdict}: {', '.join(counts) or 'nothing'} read, {found}")


@replay_app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A sample, a manifest, or a folder with one manifest.")],
    features: Annotated[
        bool, typer.Option("--features", help="Show mean and standard deviation of each feature.")
    ] = False,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Show shapes, agents, metrics, actions and rewards."""
    from townlet_core.replay.inspect import describe_path
    from townlet_core.replay.limits import ReadLimits

    found = describe_path(path, ReadLimits(follow_links=follow_links), features)
    if json:
        print_json(found)
        return
    for warning in found["warnings"]:
        warn(warning)
    if found["kind"] == "sample":
        _print_sample(found)
    else:
        _print_manifest(found, follow_links)
    if features:
        _print_features(found["features"])


def _print_sample(found: dict[str, Any]) -> None:
    from townlet_core.telemetry.curves import sparkline

    origin = found["behaviour"] or "an unknown policy"
    ticks = count(found["timesteps"], "tick")
    out.print(f"{safe(found['agent_id'])}: {ticks}, recorded from {safe(origin)}")
    # The curve may be of averages; the range beside it is that of the ticks.
    rewards = next(row for row in found["arrays"] if row["name"] == "rewards")
    span = f"{rewards['min']:.3g} to {rewards['max']:.3g}"
    out.print(f"rewards  {sparkline(found['reward_curve'])}  {span}\n")
    arrays = table("Arrays", "name", "shape", "type", "min", "mean", "max")
    for row in found["arrays"]:
        figures = (f"{row[name]:.4g}" for name in ("min", "mean", "max"))
        arrays.add_row(row["name"], " × ".join(map(str, row["shape"])), row["dtype"], *figures)
    out.print(arrays)
    actions = table("Actions", "name", "count", "")
    most = max(found["actions"].values())
    for name, number in found["actions"].items():
        actions.add_row(safe(name), str(number), "█" * max(1, round(_BAR_WIDTH * number / most)))
    actions.columns[2].justify = "left"
    out.print(actions)
    metrics = table("Metrics", "name", "value")
    for name, value in found["metrics"].items():
        metrics.add_row(safe(name), f"{value:.6g}")
    out.print(metrics)


def _print_manifest(found: dict[str, Any], follow_links: bool) -> None:
    samples, shape = found["samples"], " × ".join(map(str, found["map_shape"]))
    out.print(
        f"{count(len(samples), 'sample')}, {count(found['transitions'], 'transition')}, map {shape}, "
        f"{count(found['feature_count'], 'feature')}, {count(found['action_dim'], 'action')}"
    )
    rows = table("Samples", "sample", "agent", "ticks", "reward", "entropy", "rivalry", "conflicts")
    for sample in samples:
        metrics = sample["metrics"]
        figures = ("reward_sum", "action_entropy", "rivalry_max_max", "queue_conflict_events")
        cells = (f"{metrics[name]:.4g}" if name in metrics else "–" for name in figures)
        rows.add_row(safe(sample["sample"]), safe(sample["agent_id"]), f"{metrics['timesteps']:.0f}", *cells)
    out.print(rows)
    train = ("train", "--mode", "replay", "--replay-manifest", found["file"])
    next_step(command(*train, *(["--follow-links"] if follow_links else [])))


def _print_features(statistics: dict[str, Any]) -> None:
    rows = table(f"Features over {count(statistics['count'], 'tick')}", "name", "mean", "std")
    for name, mean, std in zip(statistics["names"], statistics["mean"], statistics["std"], strict=True):
        rows.add_row(safe(name), f"{mean:.4f}", f"{std:.4f}")
    out.print(rows)
