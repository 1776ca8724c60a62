"""`townlet replay stats`: statistics of a dataset: printed, stored, as a card, as a golden file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from townlet_cli.addresses import local_copy
from townlet_cli.console import command, next_step, note, out, print_json, progress, safe
from townlet_cli.replay_options import FollowLinks, Json
from townlet_cli.replay_tables import action_table, print_counts, print_origin, summary_table


def stats(
    path: Annotated[
        Path, typer.Argument(help="A sample, a manifest, a shard, a folder of them, or an s3:// address.")
    ],
    store: Annotated[
        bool, typer.Option("--store", help="Store the statistics in the manifest's metadata.")
    ] = False,
    card: Annotated[
        bool, typer.Option("--card", help="Write a dataset card, in Markdown, beside the manifest.")
    ] = False,
    write_golden: Annotated[
        Path | None, typer.Option(help="Write the metrics to a file for `validate --golden`.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the card and the golden file.")] = False,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Compute mean, deviation, range and histogram of every column, and count the actions."""
    from townlet_core.addresses import refuse_address, spelled
    from townlet_core.io import refuse_existing
    from townlet_core.replay.card import card_path, save_card
    from townlet_core.replay.find import find_entries
    from townlet_core.replay.golden import measure, save_golden
    from townlet_core.replay.limits import ReadLimits
    from townlet_core.replay.packed.pack import open_manifest
    from townlet_core.replay.stored import store_statistics

    limits = ReadLimits(follow_links=follow_links)
    if store or card:
        refuse_address(path)  # they are written beside the data
    given, path = spelled(path), local_copy(path)
    manifest = open_manifest(path, limits) if store or card else None
    outputs = [write_golden] if write_golden else []
    outputs += [card_path(manifest)] if manifest and card else []
    for output in outputs:
        refuse_existing(output, force)
    entries = list(manifest.entries) if manifest else find_entries(path, limits)
    with progress(f"reading {safe(path)}", len(entries)) as advance:
        metrics, statistics = measure(path, entries, limits, advance)
    found = statistics.as_dict()
    if json:
        print_json(found)
    else:
        _print_statistics(found)
    if manifest and store:
        store_statistics(manifest.path, statistics, limits)
        note(f"stored in {safe(manifest.path)}")
    if manifest and card:
        note(f"card: {safe(save_card(manifest, found, force))}")
    if write_golden:
        save_golden(write_golden, metrics, force)
        next_step(command("replay", "validate", given, "--golden", write_golden))
    elif not store and given == str(path):
        next_step(command("replay", "stats", path, "--store", *["--follow-links"] * follow_links))


def _print_statistics(found: dict[str, Any]) -> None:
    print_counts(found)
    print_origin(found["origin"])
    out.print(action_table(found))
    titles = {
        "arrays": "Arrays",
        "episodes": "Episodes",
        "reward_terms": "Reward terms",
        "features": "Features",
    }
    for group, title in titles.items():
        if found[group]:
            out.print(summary_table(title, found[group]))
