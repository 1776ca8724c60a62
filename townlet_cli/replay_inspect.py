"""`townlet replay inspect`: what is in a sample or a dataset, as tables or as a page."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from townlet_cli.addresses import local_copy
from townlet_cli.console import command, count, next_step, out, print_json, safe, table, warn
from townlet_cli.replay_describe import describe
from townlet_cli.replay_options import FollowLinks, Json
from townlet_cli.replay_page import write_page
from townlet_cli.replay_tables import action_table, bar, histogram_table, print_origin

_MOST_ROWS = 20  # samples in the table


class Form(enum.StrEnum):
    """Output format of a description."""

    text = "text"
    html = "html"


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            help="A sample, a manifest, a shard, a folder with one manifest, or an s3:// address."
        ),
    ],
    form: Annotated[
        Form, typer.Option("--format", help="Tables, or a page: the dataset's visiting card.")
    ] = Form.text,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File of the page; by default PREFIX_card.html beside the data."),
    ] = None,
    player: Annotated[
        bool,
        typer.Option("--player", help="Also render the towns of the strongest conflicts beside the page."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the pages.")] = False,
    features: Annotated[
        bool, typer.Option("--features", help="Show mean and standard deviation of each feature.")
    ] = False,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Show shapes, agents, metrics, actions, rewards, rivalry and conflicts."""
    from townlet_core.addresses import refuse_address
    from townlet_core.errors import InputError
    from townlet_core.replay.limits import ReadLimits

    limits = ReadLimits(follow_links=follow_links)
    if form is Form.html and output is None:
        refuse_address(path)  # the page would go beside the data
    path = local_copy(path)
    if form is Form.html:
        if json:
            raise InputError("--json prints data, and --format html writes a page", "give one of them")
        write_page(path, output, player, force, limits)
        return
    if output or player or force:
        name = "--output" if output else "--player" if player else "--force"
        raise InputError(f"{name} is about a page", "add --format html")
    found = describe(path, limits, features)
    if json:
        print_json(found)
        return
    for warning in found["warnings"]:
        warn(warning)
    if found["kind"] == "sample":
        _print_sample(found)
    else:
        _print_dataset(found, follow_links)
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
        actions.add_row(safe(name), str(number), bar(number, most))
    actions.columns[2].justify = "left"
    out.print(actions)
    metrics = table("Metrics", "name", "value")
    for name, value in found["metrics"].items():
        metrics.add_row(safe(name), f"{value:.6g}")
    out.print(metrics)


def _print_dataset(found: dict[str, Any], follow_links: bool) -> None:
    from townlet_core.replay.statistics import headline_columns

    statistics, shape = found["statistics"], " × ".join(map(str, found["map_shape"]))
    total = statistics["counts"]["samples"]
    out.print(
        f"{count(total, 'sample')}, {count(found['transitions'], 'transition')}, map {shape}, "
        f"{count(found['feature_count'], 'feature')}, {count(found['action_dim'], 'action')}, "
        f"{found['bytes']:,} bytes"
    )
    print_origin(statistics["origin"])
    out.print(_sample_table(found["samples"][:_MOST_ROWS]))
    if total > _MOST_ROWS:
        out.print(f"… and {count(total - _MOST_ROWS, 'more sample')}")
    out.print(action_table(statistics))
    out.print(histogram_table("Per transition", headline_columns(statistics)))
    out.print(histogram_table("Per episode", statistics["episodes"]))
    if found["quarrels"]:
        out.print(_quarrel_table(found["quarrels"]))
    if found["kind"] == "manifest":
        train = ("train", "--mode", "replay", "--replay-manifest", found["file"])
        next_step(command(*train, *(["--follow-links"] if follow_links else [])))


def _sample_table(samples: list[dict[str, Any]]) -> Table:
    rows = table("Samples", "sample", "agent", "ticks", "reward", "entropy", "rivalry", "conflicts")
    for sample in samples:
        metrics = sample["metrics"]
        figures = ("reward_sum", "action_entropy", "rivalry_max_max", "queue_conflict_events")
        cells = (f"{metrics[name]:.4g}" if name in metrics else "–" for name in figures)
        rows.add_row(safe(sample["sample"]), safe(sample["agent_id"]), f"{metrics['timesteps']:.0f}", *cells)
    return rows


def _quarrel_table(quarrels: list[dict[str, Any]]) -> Table:
    rows = table("Strongest conflicts", "where", "intensity", "who")
    rows.columns[2].justify = "left"
    for quarrel in quarrels:
        known = (f"{key} {quarrel[key]}" for key in ("town", "episode", "tick") if quarrel[key] is not None)
        rows.add_row(", ".join(known) or "–", f"{quarrel['intensity']:.3g}", safe(quarrel["text"]))
    return rows


def _print_features(statistics: dict[str, Any]) -> None:
    rows = table(f"Features over {count(statistics['count'], 'tick')}", "name", "mean", "std")
    for name, mean, std in zip(statistics["names"], statistics["mean"], statistics["std"], strict=True):
        rows.add_row(safe(name), f"{mean:.4f}", f"{std:.4f}")
    out.print(rows)
