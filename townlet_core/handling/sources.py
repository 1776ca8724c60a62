"""Where samples come from: manifests and single files, and the other files of their captures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.errors import MissingFileError, SampleError
from townlet_core.replay.find import find_entries
from townlet_core.replay.folder import MANIFEST_ENDINGS, find_files
from townlet_core.replay.format import problems
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import (
    SELECTION,
    Manifest,
    ManifestEntry,
    companion,
    entry_metadata,
    load_manifest,
)


class Source(NamedTuple):
    """The samples of one manifest, or samples that no manifest lists."""

    manifest: Manifest | None
    entries: Sequence[ManifestEntry]

    @property
    def label(self) -> str:
        """The manifest, or the first sample, for messages."""
        return str(self.manifest.path if self.manifest else self.entries[0].sample)

    def companions(self, ending: str) -> list[Path]:
        """Return the files of the captures with this ending, such as `events.jsonl`: one for each capture.

        A manifest that refers to samples of others has those of the others. Empty if one is missing.
        """
        if self.manifest is None:
            return []
        files = [companion(path, ending) for path in origins(self.manifest)]
        return files if all(io.kind_of(file) == "file" for file in files) else []


def origins(manifest: Manifest) -> list[Path]:
    """Return the manifests that own the samples: itself, or those that it was selected from."""
    selection = manifest.metadata.get(SELECTION)
    names = selection.get("from") if isinstance(selection, dict) else None
    if not isinstance(names, list) or not names:
        return [manifest.path]
    inside = [name for name in names if isinstance(name, str) and _is_inside(name)]
    return [manifest.path.parent / name for name in inside] if len(inside) == len(names) else [manifest.path]


def _is_inside(name: str) -> bool:
    return name.isprintable() and not os.path.isabs(name) and ".." not in Path(name).parts


def number_of_towns(source: Source) -> int:
    """Return the number of towns that the source's manifest says; 0 if it does not."""
    capture = source.manifest.metadata.get("capture") if source.manifest else None
    towns = capture.get("towns") if isinstance(capture, dict) else None
    return towns if type(towns) is int else 0


def ticks_of(entry: ManifestEntry, limits: ReadLimits = DEFAULT_LIMITS) -> int:
    """Return the number of ticks of a sample, from its manifest or its metadata; 0 if neither says it."""
    ticks = (
        entry.frame_count if entry.frame_count is not None else entry_metadata(entry, limits).get("timesteps")
    )
    return ticks if type(ticks) is int else 0


def open_sources(paths: Iterable[Path], limits: ReadLimits = DEFAULT_LIMITS) -> list[Source]:
    """Find the samples behind paths, each sample once: samples, manifests, shards, and folders of them.

    In a folder, the manifest that owns a sample counts, not one that refers to it.
    Raises SampleError for a damaged manifest or no samples, MissingError, InputError or DiskError.
    """
    seen: set[str] = set()
    sources = [
        Source(source.manifest, entries)
        for path in paths
        for source in _sources_of(Path(path), limits)
        if (entries := [entry for entry in source.entries if _is_new(entry, seen)])
    ]
    if not sources:
        raise SampleError("no samples were given", "name a sample, a manifest or a folder")
    return sources


def _is_new(entry: ManifestEntry, seen: set[str]) -> bool:
    real = os.path.realpath(entry.sample)
    if real in seen:
        return False
    seen.add(real)
    return True


def _sources_of(path: Path, limits: ReadLimits) -> Iterator[Source]:
    if io.kind_of(path) == "folder":
        manifests = manifests_below(path, limits)
        yield from (Source(manifest, manifest.entries) for manifest in manifests)
        yield Source(None, find_entries(path, limits))  # those that are left
    elif path.suffix in (".json", ".yaml", ".yml") and io.kind_of(path.with_suffix(".npz")) is None:
        manifest = load_manifest(path, limits)
        yield Source(manifest, manifest.entries)
    else:
        yield Source(None, find_entries(path, limits))


def manifests_below(folder: Path, limits: ReadLimits = DEFAULT_LIMITS) -> list[Manifest]:
    """Return the manifests below a folder, those that own their samples first, then by name.

    Raises SampleError for a damaged manifest or a file that cannot be read, MissingError or DiskError.
    """
    if io.kind_of(folder) is None:
        raise MissingFileError(f"{folder}: no such file or folder")
    files, findings = find_files(folder, limits.follow_links)
    if broken := problems(findings):
        raise SampleError(str(broken[0]), broken[0].hint)
    manifests = [load_manifest(file, limits) for file in files if file.name.endswith(MANIFEST_ENDINGS)]
    return sorted(manifests, key=lambda manifest: manifest.is_selection)
