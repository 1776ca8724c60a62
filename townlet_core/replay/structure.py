"""The files that a manifest lists: presence, sizes and duplicates, compared before any of them is read."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from townlet_core import io
from townlet_core.errors import TownletError, count
from townlet_core.replay.format import Finding
from townlet_core.replay.manifest import Manifest
from townlet_core.replay.npz import RESTORE


def check_structure(manifest: Manifest) -> tuple[Manifest, list[Finding]]:
    """Return the manifest without what cannot be read whole, and what was found."""
    findings = list(_repeated(manifest))
    missing = {
        file: finding for file, size in _listed(manifest) if (finding := _compare(file, size)) is not None
    }
    sound = dataclasses.replace(
        manifest,
        samples=tuple(entry for entry in manifest.samples if not {entry.sample, entry.meta} & missing.keys()),
        shards=tuple(
            ref for ref in manifest.shards if ref.path not in missing and ref.samples not in missing
        ),
        files=manifest.files and tuple(file for file in manifest.files if file.path not in missing),
    )
    return sound, [*findings, *missing.values()]


def _repeated(manifest: Manifest) -> Iterator[Finding]:
    """Find samples and shards that are listed more than once."""
    listed = [(entry.sample, entry.name) for entry in manifest.samples]
    listed += [(ref.path, ref.name) for ref in manifest.shards]
    names = dict(listed)
    for path, times in Counter(path for path, _ in listed).items():
        if times > 1:
            yield Finding("warning", str(manifest.path), "samples", f"lists {names[path]} {times} times")


def _listed(manifest: Manifest) -> Iterator[tuple[Path, int | None]]:
    """Iterate over the listed files, with the size that the manifest says."""
    for entry in manifest.samples:
        yield from ((entry.sample, entry.bytes), (entry.meta, None))  # a JSON that has changed is still read
    for ref in manifest.shards:
        yield from ((ref.path, ref.bytes), (ref.samples, ref.samples_bytes))
    yield from ((file.path, file.bytes) for file in manifest.files or ())


def _compare(file: Path, size: int | None) -> Finding | None:
    """Compare a file's presence and size with the manifest, without reading it."""
    try:
        actual = io.file_size(file)
    except TownletError as error:
        message = f"{str(error).removeprefix(f'{file}: ')}, and the manifest lists it"
        return Finding("problem", str(file), "", message, error.hint or RESTORE)
    if size in (None, actual):
        return None
    message = f"has {count(actual, 'byte')}, the manifest says {size:,}; the file has changed"
    return Finding("problem", str(file), "", message, RESTORE)
