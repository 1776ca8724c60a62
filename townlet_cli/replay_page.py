"""`townlet replay inspect --format html`: the page, and the players that it links to."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from townlet_cli.console import command, next_step, out, safe
from townlet_cli.render import Format, beside, render
from townlet_cli.replay_describe import describe

if TYPE_CHECKING:
    from townlet_core.replay.limits import ReadLimits


def write_page(path: Path, output: Path | None, player: bool, force: bool, limits: ReadLimits) -> None:
    """Write the page of a dataset. player: also render the towns of its strongest conflicts beside it.

    Raises InputError for a single sample, and for files that exist already, without `force`.
    """
    from townlet_core.errors import InputError
    from townlet_core.io import kind_of, refuse_existing, write_file
    from townlet_core.replay.manifest import companion, sample_or_manifest
    from townlet_core.replay.page import dataset_page

    data = sample_or_manifest(path)
    if data.suffix == ".npz":
        raise InputError(f"{data}: is one sample, and the page is of a dataset", "name its manifest")
    target = output or companion(data, "card.html")
    refuse_existing(target, force)
    found = describe(data, limits)
    pages = {town: target.parent / beside(data, Format.html, *town).name for town in _towns(found)}
    if player:
        for (town, episode), page in pages.items():
            render(
                [data], output=page, force=force, town=town, episode=episode, follow_links=limits.follow_links
            )
    there = {town: quote(page.name) for town, page in pages.items() if kind_of(page) == "file"}
    commands = [
        command("replay", "render", os.path.relpath(data, target.parent), *_options(town, limits), page.name)
        for town, page in pages.items()
        if town not in there
    ]
    write_file(target, dataset_page(found, lambda one: there.get((one["town"], one["episode"])), commands))
    out.print(f"{safe(target)}: {safe(found['file'])} on one page")
    next_step(f"open {shlex.quote(str(target))} in a browser")


def _towns(found: dict[str, Any]) -> list[tuple[int, int]]:
    """List the towns and episodes of the quarrels, each once."""
    places = ((quarrel["town"], quarrel["episode"]) for quarrel in found["quarrels"])
    return list(dict.fromkeys(place for place in places if None not in place))


def _options(town: tuple[int, int], limits: ReadLimits) -> list[object]:
    """Return the options of the command that renders a town, without the file it writes."""
    links = ["--follow-links"] if limits.follow_links else []
    return ["--town", town[0], "--episode", town[1], *links, "--output"]
