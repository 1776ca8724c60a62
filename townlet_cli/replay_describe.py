"""Describe replay data with a progress bar, for the tables and the page of `townlet replay inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from townlet_cli.console import progress, safe

if TYPE_CHECKING:
    from townlet_core.replay.limits import ReadLimits


def describe(path: Path, limits: ReadLimits, features: bool = False) -> dict[str, Any]:
    """Describe a sample or a dataset, with a progress bar."""
    from townlet_core.replay.find import find_entries
    from townlet_core.replay.inspect import describe_dataset, describe_path
    from townlet_core.replay.manifest import sample_or_manifest

    path = sample_or_manifest(path)
    if path.suffix == ".npz":
        return describe_path(path, limits, features)
    entries = find_entries(path, limits)
    with progress(f"reading {safe(path)}", len(entries)) as advance:
        return describe_dataset(path, entries, limits, features, advance)
