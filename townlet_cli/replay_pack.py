"""`townlet replay pack` and `unpack`: between NPZ files and shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.console import command, count, next_step, out, print_json, progress, safe
from townlet_cli.replay_options import FollowLinks, Json

if TYPE_CHECKING:
    from townlet_core.replay.packed.pack import Packed

Source = Annotated[Path, typer.Argument(help="A manifest, or a folder with one.")]
Output = Annotated[
    Path | None, typer.Option(help="Folder to write to, empty or new; by default beside the source.")
]


def pack(
    path: Source,
    output: Output = None,
    compression: Annotated[str, typer.Option(help="Of the record batches: zstd, lz4 or none.")] = "zstd",
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Write the samples of a manifest as shards: Arrow IPC files, each of many samples."""
    from townlet_core.replay.limits import ReadLimits
    from townlet_core.replay.packed.pack import open_manifest
    from townlet_core.replay.packed.pack import pack as pack_samples

    limits = ReadLimits(follow_links=follow_links)
    manifest = open_manifest(path, limits)
    folder = output or _beside(manifest.path, "_packed")
    with progress(f"packing {safe(path)}", len(manifest.entries)) as advance:
        result = pack_samples(manifest, folder, compression, limits, advance)
    _report(result, json)


def unpack(
    path: Source, output: Output = None, follow_links: FollowLinks = False, json: Json = False
) -> None:
    """Write packed samples as the NPZ and JSON files that they were, to the byte."""
    from townlet_core.replay.limits import ReadLimits
    from townlet_core.replay.packed.pack import open_manifest
    from townlet_core.replay.packed.pack import unpack as unpack_samples

    limits = ReadLimits(follow_links=follow_links)
    manifest = open_manifest(path, limits)
    folder = output or _beside(manifest.path, "_unpacked")
    with progress(f"unpacking {safe(path)}", len(manifest.entries)) as advance:
        result = unpack_samples(manifest, folder, limits, advance)
    _report(result, json)


def _beside(manifest: Path, ending: str) -> Path:
    """Return a folder beside that of a manifest."""
    folder = manifest.parent
    return folder.with_name(f"{folder.name}{ending}") if folder.name else folder / ending.strip("_")


def _report(result: Packed, json: bool) -> None:
    if json:
        print_json({**result._asdict(), "manifest": str(result.manifest)})
        return
    out.print(
        f"{count(result.samples, 'sample')}, {count(result.transitions, 'transition')}: "
        f"{count(result.files_before, 'file')} of {result.bytes_before:,} bytes are now "
        f"{count(result.files_after, 'file')} of {result.bytes_after:,}"
    )
    out.print(f"manifest: {safe(result.manifest)}")
    next_step(command("replay", "validate", result.manifest))
