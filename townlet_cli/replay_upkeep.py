"""`townlet replay list | diff | recompress | prune`: what there is, what differs, and what it takes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import command, count, next_step, note, out, print_json, progress, safe, table, warn
from townlet_cli.pruning_options import DryRun, Keep, MaxBytes, OlderThan, Yes, pruning_rules

if TYPE_CHECKING:
    from townlet_core.handling.diff import Comparison
    from townlet_core.handling.listing import Listed
    from townlet_core.handling.prune import OldCapture, Plan

FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Follow symbolic links that lead out of the folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]

_SHOWN = 10  # samples of each kind, and differences of each sample
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def list_datasets(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders or manifests; by default the current folder.")
    ] = None,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """List the captures and datasets below folders."""
    from townlet_core.handling.listing import list_datasets as find
    from townlet_core.replay.limits import ReadLimits

    found = find(folders or [Path()], ReadLimits(follow_links=follow_links))
    now = time.time()
    if json:
        datasets = [{**one._asdict(), "modified": _date(one.modified)} for one in found.datasets]
        print_json({"datasets": datasets, "bytes": found.bytes})
        return
    rows = table("", "dataset", "origin", "samples", "ticks", "MB", "form", "age")
    rows.columns[1].justify = "left"
    for column in rows.columns[2:]:
        column.no_wrap = True
    for one in found.datasets:
        size = f"{one.samples:,}", f"{one.transitions:,}", f"{one.bytes / 1e6:,.1f}"
        rows.add_row(safe(one.path), safe(_origin(one)), *size, one.form or "–", age(now - one.modified))
        if one.problem:
            warn(one.problem)
    out.print(rows)
    out.print(f"{count(len(found.datasets), 'dataset')}, {found.bytes / 1e6:,.1f} MB")
    if found.datasets:
        next_step(command("replay", "inspect", found.datasets[0].path))


def _origin(one: Listed) -> str:
    """Say where the samples of a dataset come from, in as far as it is the same for all."""
    policy = one.policy and one.policy[:12]
    seed = None if one.seed is None else f"seed {one.seed}"
    towns = None if one.towns is None else count(one.towns, "town")
    said = ", ".join(filter(None, (one.scenario, policy, seed, towns))) or "–"
    return said if one.kind == "capture" else f"{one.kind}: {said}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def age(seconds: float) -> str:
    """Write an age in its largest whole unit: 3 d."""
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), _UNITS[-1])
    return f"{max(0, seconds) / size:.0f} {unit}"


def diff(
    first: Annotated[Path, typer.Argument(help="A sample, manifest, shard, or folder of them.")],
    second: Annotated[Path, typer.Argument(help="What to compare it with.")],
    by_bytes: Annotated[
        bool, typer.Option("--bytes", help="Compare files; by default content, in any container.")
    ] = False,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Compare two datasets sample by sample; exit 1 if anything differs."""
    from townlet_core.handling.diff import compare_bytes, compare_datasets
    from townlet_core.replay.limits import ReadLimits

    limits = ReadLimits(follow_links=follow_links)
    found = (compare_bytes if by_bytes else compare_datasets)(first, second, limits)
    if json:
        print_json(_comparison(found))
    else:
        _print_comparison(found, "file" if by_bytes else "sample", first, second)
    if not found.is_equal:
        raise typer.Exit(1)


def _comparison(found: Comparison) -> dict[str, Any]:
    different = [
        {
            "first": pair.first,
            "second": pair.second,
            "differences": [one._asdict() for one in pair.differences],
        }
        for pair in found.different
    ]
    return {"is_equal": found.is_equal, **found._asdict(), "different": different}


def _print_comparison(found: Comparison, noun: str, first: Path, second: Path) -> None:
    for path, names in ((first, found.only_first), (second, found.only_second)):
        for name in names[:_SHOWN]:
            out.print(f"only in {safe(path)}: {safe(name)}")
        if len(names) > _SHOWN:
            out.print(f"only in {safe(path)}: … and {count(len(names) - _SHOWN, f'more {noun}')}")
    for pair in found.different[:_SHOWN]:
        out.print(f"[red]different[/red] {safe(pair.first)} and {safe(pair.second)}:")
        for difference in pair.differences[:_SHOWN]:
            out.print(f"  {safe(difference)}")
        if len(pair.differences) > _SHOWN:
            out.print(f"  … and {count(len(pair.differences) - _SHOWN, 'more difference')}")
    if len(found.different) > _SHOWN:
        out.print(f"… and {count(len(found.different) - _SHOWN, f'more {noun}')} that differ")
    only = len(found.only_first) + len(found.only_second)
    verdict = "[green]equal[/green]" if found.is_equal else "[red]different[/red]"
    counted = f"{count(found.equal, f'equal {noun}')}, {count(len(found.different), f'different {noun}')}"
    out.print(f"{verdict}: {counted}, {only} in only one")


def recompress(
    path: Annotated[Path, typer.Argument(help="A manifest, or a folder of them.")],
    compression: Annotated[
        str, typer.Option(help="stored or deflated for NPZ files; zstd, lz4 or none for shards.")
    ],
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Compress NPZ files or shards in another way, in place; the content stays the same."""
    from townlet_core.handling.recompress import recompress as change
    from townlet_core.replay.find import find_entries
    from townlet_core.replay.limits import ReadLimits

    limits = ReadLimits(follow_links=follow_links)
    files = {entry.shard.ref.path if entry.shard else entry.sample for entry in find_entries(path, limits)}
    with progress(f"recompressing {safe(path)}", len(files)) as advance:
        result = change(path, compression, limits, advance)
    if json:
        print_json(result._asdict())
        return
    sizes = f"{result.bytes_before:,} bytes are now {result.bytes_after:,}"
    out.print(
        f"{count(result.written, 'file')} written, {result.unchanged:,} were {compression} already: {sizes}"
    )
    next_step(command("replay", "validate", path))


def prune(
    folder: Annotated[Path, typer.Argument(help="Folder below which captures are removed.")],
    keep: Keep = None,
    older_than: OlderThan = None,
    max_bytes: MaxBytes = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """List the old captures below a folder, and with --yes remove them."""
    from townlet_core.handling.prune import plan_prune
    from townlet_core.handling.prune import prune as remove

    rules = pruning_rules(keep, older_than, max_bytes, yes, dry_run)
    now = time.time()
    plan = plan_prune(folder, rules, now)
    kept = {one.manifest: reason for one, reason in remove(plan, folder) if reason} if yes else {}
    if json:
        print_json(_plan(plan, yes, kept))
        return
    for path, reason in plan.skipped:
        note(f"not touched: {safe(path)}: {safe(reason)}")
    for path, reason in kept.items():
        warn(f"{path}: not removed: {reason}")
    _print_plan(plan, yes, kept, now)


def _plan(plan: Plan, yes: bool, kept: dict[Path, str]) -> dict[str, Any]:
    def described(one: OldCapture) -> dict[str, Any]:
        return {
            "manifest": str(one.manifest),
            "modified": _date(one.modified),
            "files": [str(path) for path in [*one.selections, *one.files]],
            "bytes": one.bytes,
        }

    skipped = [(str(path), reason) for path, reason in [*plan.skipped, *kept.items()]]
    return {
        "removed": yes,
        "going": [described(one) for one in plan.going if one.manifest not in kept],
        "staying": [described(one) for one in plan.staying],
        "not_touched": [{"manifest": path, "reason": reason} for path, reason in skipped],
    }


def _print_plan(plan: Plan, yes: bool, kept: dict[Path, str], now: float) -> None:
    going = [one for one in plan.going if one.manifest not in kept]
    rows = table("Removed" if yes else "Would be removed", "capture", "files", "MB", "age")
    for one in going:
        files = len(one.files) + len(one.selections)
        rows.add_row(safe(one.manifest), str(files), f"{one.bytes / 1e6:,.1f}", age(now - one.modified))
    if going:
        out.print(rows)
    freed, left = (sum(one.bytes for one in captures) / 1e6 for captures in (going, plan.staying))
    verb = "removed" if yes else "to remove"
    gone = f"{count(len(going), 'capture')} {verb}, {freed:,.1f} MB"
    out.print(f"{gone}; {count(len(plan.staying), 'capture')} kept, {left:,.1f} MB")
    if going and not yes:
        note("nothing was removed; repeat the command with --yes")
