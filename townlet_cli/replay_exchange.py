"""`townlet replay export` and `import`: replay data in the formats of other libraries."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from townlet_cli.console import command, count, next_step, out, print_json, progress, safe, warn
from townlet_cli.replay_options import FollowLinks, Json


class ExportForm(enum.StrEnum):
    """Format of an export."""

    minari = "minari"
    parquet = "parquet"
    huggingface = "huggingface"


def export(
    path: Annotated[Path, typer.Argument(help="A sample, a manifest, a shard, or a folder of them.")],
    to: Annotated[ExportForm, typer.Option(help="Format to write.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Write recordings as a dataset of another library."""
    from townlet_core.replay.find import find_entries
    from townlet_core.replay.limits import ReadLimits

    limits, write = ReadLimits(follow_links=follow_links), _export_function(to)
    with progress(f"exporting {safe(path)}", len(find_entries(path, limits))) as advance:
        written = write(path, output, force, limits, advance)
    if json:
        print_json(written)
        return
    out.print(
        f"{safe(output)}: {count(written['episodes'], 'episode')}, "
        f"{count(written['transitions'], 'transition')} of {count(written['samples'], 'sample')}"
    )
    if written.get("left_out"):
        left_out = count(written["left_out"], "episode")
        warn(f"left out {left_out} of a single tick that did not terminate: no transition is complete")
    folder, program = _READERS[to]
    next_step(shlex.join(("python", "-c", program.format(dumps(str(output / folder))))))


# The folder of an export that its library opens, and a program that does.
_READERS = {
    ExportForm.minari: ("data", "import minari; print(len(minari.MinariDataset({})))"),
    ExportForm.parquet: ("data", "import pyarrow.parquet as pq; print(pq.read_table({}).schema)"),
    ExportForm.huggingface: ("", "import datasets; print(datasets.load_from_disk({}))"),
}


def _export_function(form: ExportForm) -> Callable[..., dict[str, Any]]:
    """Load the module of a format, which needs its library."""
    if form is ExportForm.minari:
        from townlet_core.exchange.minari_export import export_minari

        return export_minari
    if form is ExportForm.huggingface:
        from townlet_core.exchange.huggingface import export_huggingface

        return export_huggingface
    from townlet_core.exchange.parquet import export_parquet

    return export_parquet


class ImportForm(enum.StrEnum):
    """Format of data to import."""

    minari = "minari"
    npz = "npz"


def import_(
    data: Annotated[Path, typer.Argument(help="An NPZ file, or a Minari dataset: its folder or its id.")],
    form: Annotated[ImportForm, typer.Option("--from", help="Format of the data.")],
    mapping: Annotated[
        Path, typer.Option(help="YAML file: which numbers become which features and actions.")
    ],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an import that is there.")] = False,
    json: Json = False,
) -> None:
    """Write offline data of others as samples."""
    written = _import_function(form)(data, mapping, output, force)
    if json:
        print_json(written)
        return
    episodes, transitions = count(written["episodes"], "episode"), count(written["transitions"], "transition")
    out.print(f"{safe(written['output'])}: {episodes}, {transitions}")
    next_step(command("replay", "validate", "--for-training", written["output"]))


def _import_function(form: ImportForm) -> Callable[..., dict[str, Any]]:
    """Load the module of a format, which needs its library."""
    if form is ImportForm.minari:
        from townlet_core.exchange.minari_import import import_minari

        return import_minari
    from townlet_core.exchange.npz_import import import_npz

    return import_npz
