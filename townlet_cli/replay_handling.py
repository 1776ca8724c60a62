"""`townlet replay filter | slice | merge | split`: make datasets of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from townlet_cli.addresses import local_copy
from townlet_cli.console import command, count, next_step, out, print_json, progress, safe, warn
from townlet_cli.replay_join import are_capture_shards, join
from townlet_cli.replay_options import FollowLinks, Json
from townlet_core.errors import InputError
from townlet_core.io import refuse_existing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from townlet_core.handling.sources import Source
    from townlet_core.handling.writer import Kept
    from townlet_core.replay.limits import ReadLimits

Paths = Annotated[list[Path], typer.Argument(help="Samples, manifests, shards, or folders of them.")]
Agents = Annotated[
    list[str] | None, typer.Option("--agent", help="Keep this agent. May be repeated, and contain * and ?.")
]
Copy = Annotated[bool, typer.Option("--copy", help="Copy the samples instead of referring to them.")]
Output = Annotated[Path | None, typer.Option(help="Folder to write to.")]
Prefix = Annotated[str | None, typer.Option(help="Prefix of the copies' names; by default the source's.")]
Format = Annotated[str | None, typer.Option(help="Of copies: npz or arrow; by default as the source.")]
Compression = Annotated[
    str | None, typer.Option(help="Of copies: stored or deflated for npz; zstd, lz4 or none for arrow.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what such a command wrote there.")]

_SHOWN = 3  # duplicates


class Target(NamedTuple):
    """Where and how copies are written."""

    output: Path | None
    prefix: str | None
    format: str | None
    compression: str | None
    force: bool


def filter_samples(
    paths: Paths,
    where: Annotated[
        str | None, typer.Option(help="Keep samples of which this is true, such as 'reward_sum > 0'.")
    ] = None,
    agent: Agents = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", help="Keep this scenario. May be repeated, and contain * and ?."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Manifest to write; with --copy a folder. By default PREFIX_filtered_manifest.json."
        ),
    ] = None,
    copy: Copy = False,
    prefix: Prefix = None,
    format: Format = None,
    compression: Compression = None,
    force: Force = False,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Choose samples by expression, agent and scenario, and write a manifest that refers to them."""
    from townlet_core.handling.filter import filter_samples as choose
    from townlet_core.handling.refer import save_selection

    sources, limits = _open(paths, follow_links)
    chosen = choose(sources, where, agent or (), scenario or (), limits)
    target = Target(output, prefix, format, compression, force)
    if copy:
        _report(_copy(chosen, target, limits), json, len(_entries(sources)))
        return
    path = output or _beside(sources, "filtered")
    _refuse_copy_options(target)
    asked = {"where": where, "agents": agent, "scenarios": scenario}
    how = {key: value for key, value in asked.items() if value}
    save_selection(path, chosen, how, force, limits)
    _report(_describe(path, chosen, limits), json, len(_entries(sources)))


def slice_samples(
    paths: Paths,
    ticks: Annotated[
        str, typer.Option(help="START:STOP, ticks of the towns from 0, such as 100:300, 100: or :300.")
    ] = ":",
    agent: Agents = None,
    output: Output = None,
    prefix: Prefix = None,
    format: Format = None,
    compression: Compression = None,
    force: Force = False,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Cut samples to some of their ticks, and write the cuts as a dataset of their own."""
    from townlet_core.handling.filter import filter_samples as choose
    from townlet_core.handling.slice import parse_ticks
    from townlet_core.handling.slice import slice_samples as cut

    span = parse_ticks(ticks)
    sources, limits = _open(paths, follow_links)
    chosen = choose(sources, agents=agent or (), limits=limits)
    target = Target(output, prefix, format, compression, force)
    _report(_copy(chosen, target, limits, cut(chosen, span, limits)), json, len(_entries(sources)))


def merge(
    paths: Paths,
    output: Output = None,
    prefix: Prefix = None,
    format: Format = None,
    compression: Compression = None,
    force: Force = False,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Join datasets that fit together, each recording once; of all shards of a capture, the capture."""
    from townlet_core.handling.merge import Merge

    paths = [local_copy(path) for path in paths]
    if are_capture_shards(paths):
        join(paths, output, {"prefix": prefix, "format": format, "compression": compression}, force, json)
        return
    sources, limits = _open(paths, follow_links)
    merged = Merge(sources, limits)
    target = Target(output, prefix, format, compression, force)
    written = _copy(sources, target, limits, merged)
    duplicates = [{"sample": name, "same_as": first} for name, first in merged.duplicates]
    for name, first in merged.duplicates[:_SHOWN]:
        warn(f"{name}: left out, it is the same recording as {first}")
    if len(merged.duplicates) > _SHOWN:
        warn(f"left out {count(len(merged.duplicates) - _SHOWN, 'more sample')} that are there twice")
    for message in merged.warnings():
        warn(message)
    _report({**written, "duplicates": duplicates}, json, len(_entries(sources)))


def split(
    paths: Paths,
    validation: Annotated[float, typer.Option(help="Fraction of the episodes to validate with.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the draw.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to; by default that of the manifest.")
    ] = None,
    copy: Copy = False,
    prefix: Prefix = None,
    format: Format = None,
    compression: Compression = None,
    force: Force = False,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Split samples by episode into those to train on and those to validate with."""
    from townlet_core.handling.refer import refuse_target, save_selection
    from townlet_core.handling.split import split_samples

    sources, limits = _open(paths, follow_links)
    parts = split_samples(sources, validation, seed, limits)
    target = Target(output, prefix, format, compression, force)
    if copy:
        if output is None:
            raise _missing_output()
        for name in parts:
            refuse_existing(output / name, force)
        written = {
            name: _copy(part, target._replace(output=output / name), limits) for name, part in parts.items()
        }
    else:
        _refuse_copy_options(target)
        files = {name: _beside(sources, name, output) for name in parts}
        for path in files.values():
            refuse_target(path, force)
        for name, part in parts.items():
            how = {"split": name, "validation": validation, "seed": seed}
            save_selection(files[name], part, how, force, limits)
        written = {name: _describe(files[name], part, limits) for name, part in parts.items()}
    if json:
        print_json(written)
        return
    for name, about in written.items():
        out.print(f"{name}: {_counted(about)}; {safe(about['manifest'])}")
    next_step(command("train", "--mode", "replay", "--replay-manifest", written["train"]["manifest"]))


def _open(paths: Iterable[Path], follow_links: bool) -> tuple[list[Source], ReadLimits]:
    from townlet_core.handling.sources import open_sources
    from townlet_core.replay.limits import ReadLimits

    limits = ReadLimits(follow_links=follow_links)
    return open_sources(paths, limits), limits


def _entries(sources: Iterable[Source]) -> list[Any]:
    return [entry for source in sources for entry in source.entries]


def _beside(sources: Sequence[Source], name: str, folder: Path | None = None) -> Path:
    """Return the path of a new manifest beside that of the sources, or in a folder."""
    from townlet_core.replay.packed.pack import prefix_of

    manifests = [source.manifest for source in sources if source.manifest]
    if len(sources) == len(manifests) == 1:
        return (folder or manifests[0].path.parent) / f"{prefix_of(manifests[0])}_{name}_manifest.json"
    if folder is None:
        raise InputError(
            "--output: is missing, and the samples are not all of one manifest",
            "say where to write, above all samples, or copy them with --copy",
        )
    return folder / f"{name}_manifest.json"


def _refuse_copy_options(target: Target) -> None:
    for name in ("prefix", "format", "compression"):
        if getattr(target, name) is not None:
            raise InputError(f"--{name}: is for copies", "give --copy as well, or leave it out")


def _missing_output() -> InputError:
    return InputError("--output: is missing, expected a folder to write to", "choose a new one")


def _copy(
    sources: Sequence[Source], target: Target, limits: ReadLimits, samples: Iterable[Kept] | None = None
) -> dict[str, Any]:
    """Write samples, by default those of the sources, as a dataset, and describe it."""
    from townlet_core.handling.copying import read_samples
    from townlet_core.handling.writer import choose_form, write_dataset

    if target.output is None:
        raise _missing_output()
    form = choose_form(sources, target.prefix, target.format, target.compression)
    kept = read_samples(sources, limits) if samples is None else samples
    with progress(f"writing {safe(target.output)}", len(_entries(sources))) as advance:
        written = write_dataset(target.output, sources, _counting(kept, advance), form, target.force, limits)
    for reason in written.left_out:
        warn(f"{target.output}: {reason}")
    return {**written._asdict(), "manifest": str(written.manifest)}


def _counting(samples: Iterable[Kept], advance: Callable[[], None]) -> Iterator[Kept]:
    for sample in samples:
        yield sample
        advance()


def _describe(path: Path, sources: Sequence[Source], limits: ReadLimits) -> dict[str, Any]:
    from townlet_core.handling.sources import ticks_of

    entries = _entries(sources)
    ticks = sum(ticks_of(entry, limits) for entry in entries)
    return {"manifest": str(path), "samples": len(entries), "transitions": ticks}


def _report(about: dict[str, Any], json: bool, given: int) -> None:
    if json:
        print_json({**about, "samples_given": given})
        return
    out.print(f"{_counted(about)}, of {count(given, 'sample')} given")
    out.print(f"manifest: {safe(about['manifest'])}")
    next_step(command("replay", "validate", about["manifest"]))


def _counted(about: dict[str, Any]) -> str:
    return f"{count(about['samples'], 'sample')}, {count(about['transitions'], 'transition')}"
