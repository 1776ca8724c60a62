"""What every export has in common: a whole folder, with a description of what is in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from townlet_core import __version__, io
from townlet_core.bulk import flush_tree, output_folder
from townlet_core.exchange.episodes import NotNarrow, Recordings
from townlet_core.replay.card import dataset_card

MARKER = "townlet_export.json"
_NAMES = re.compile(
    rf"{re.escape(MARKER)}|README\.md|data|meta|episodes\.parquet|"
    r"data-\d{5}\.arrow|state\.json|dataset_info\.json"
)

# Said to datasets.load_dataset in the head of the card.
_HEADS = {
    "parquet": """configs:
- config_name: ticks
  data_files: data/*.parquet
  default: true
- config_name: episodes
  data_files: episodes.parquet
"""
}

Writer = Callable[[Recordings, Path, bool], dict[str, Any]]  # returns counts


def write_export(
    recordings: Recordings, output: Path | str, form: str, write: Writer, force: bool
) -> dict[str, Any]:
    """Write an export into the folder `output`, which appears whole; return what was written.

    write: called with the recordings, the folder to fill, and whether the map is 0 and 1 only. The first map
    that is not makes it write all again.
    """
    try:
        return _write_once(recordings, output, form, write, force, narrow=True)
    except NotNarrow:
        return _write_once(recordings, output, form, write, force, narrow=False)


def _write_once(
    recordings: Recordings, output: Path | str, form: str, write: Writer, force: bool, narrow: bool
) -> dict[str, Any]:
    with output_folder(output, force, MARKER, _NAMES) as folder:
        counts = write(recordings, folder, narrow)
        written = {"format": form, "samples": recordings.sample_count, **counts}
        about = {"townlet": __version__, **written, **recordings.shared.as_dict()}
        io.write_json(folder / MARKER, about)
        io.write_file(folder / "README.md", _card(recordings, form).encode("utf-8", "backslashreplace"))
        flush_tree(folder)
    return {"output": str(output), **written}


def _card(recordings: Recordings, form: str) -> str:
    """Return the card of the export, with what its head needs for this format."""
    statistics = recordings.statistics.as_dict()
    scenarios = ", ".join(statistics["origin"].get("scenario", ())) or "replay data"
    card = dataset_card(f"Townlet: {scenarios}", {}, statistics, [form])
    return card.replace("---\n", f"---\n{_HEADS.get(form, '')}", 1)
