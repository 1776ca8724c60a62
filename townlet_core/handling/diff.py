"""Compare two datasets: which samples are only in one, and where the others differ."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from townlet_core import io
from townlet_core.errors import shown
from townlet_core.replay.find import find_entries
from townlet_core.replay.folder import MANIFEST_ENDINGS, find_files
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import (
    ManifestEntry,
    entry_metadata,
    listed_files,
    load_manifest,
    read_entry,
)
from townlet_core.replay.packed.reference import unlisted_shard
from townlet_core.replay.sample import ReplaySample

_PLACE = ("scenario_sha256", "seed", "town", "episode", "first_frame")  # of `capture`


class Difference(NamedTuple):
    """One array or one key of the metadata that differs in two samples."""

    name: str  # of the array, or `metadata.KEY`
    first: str  # the value, or the shape, in the first
    second: str
    tick: int | None = None  # the first tick that differs
    ticks: int = 0  # how many differ
    largest: float | None = None  # absolute difference of numbers

    def __str__(self) -> str:
        place = (
            "" if self.tick is None else f" differs at {self.ticks} of its ticks, first at tick {self.tick}"
        )
        return f"{self.name}{place}: {self.first} in the first, {self.second} in the second"


class Pair(NamedTuple):
    """Two samples of the same identity that differ."""

    first: str
    second: str
    differences: list[Difference]


class Comparison(NamedTuple):
    """What differs between two datasets."""

    equal: int  # samples, or files, that are the same in both
    only_first: list[str]
    only_second: list[str]
    different: list[Pair]

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.only_first or self.only_second or self.different)


def compare_datasets(first: Path, second: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Comparison:
    """Compare the samples behind two paths by content; names, order and containers do not count.

    Samples belong together if agent, policy, scenario, seed, town, episode and first frame are the same;
    without these if their names are; and two single samples always.
    Raises SampleError, InputError, MissingError or DiskError.
    """
    ours, theirs = find_entries(first, limits), find_entries(second, limits)
    mine, other = _by_identity(ours, limits), _by_identity(theirs, limits)
    if len(ours) == len(theirs) == 1:
        mine, other = {b"": ours[0]}, {b"": theirs[0]}
    equal, different = 0, []
    for key in [key for key in mine if key in other]:
        found = list(compare_samples(read_entry(mine[key], limits), read_entry(other[key], limits)))
        equal += not found
        if found:
            different.append(Pair(str(mine[key].sample), str(other[key].sample), found))
    return Comparison(
        equal,
        [str(entry.sample) for key, entry in mine.items() if key not in other],
        [str(entry.sample) for key, entry in other.items() if key not in mine],
        different,
    )


def _by_identity(entries: Sequence[ManifestEntry], limits: ReadLimits) -> dict[bytes, ManifestEntry]:
    """Return samples by identity; those that share one are told apart by their order."""
    found: dict[bytes, ManifestEntry] = {}
    times: dict[bytes, int] = {}
    for entry in entries:
        metadata = entry_metadata(entry, limits)
        capture = metadata.get("capture")
        about = capture if isinstance(capture, dict) else {}
        place = [about.get(key) for key in _PLACE]
        own = [metadata.get("agent_id"), metadata.get("behaviour"), place]
        key = orjson.dumps(own if about.get("town") is not None else entry.sample.name)
        times[key] = times.get(key, 0) + 1
        found[b"%d " % times[key] + key] = entry
    return found


def compare_samples(first: ReplaySample, second: ReplaySample) -> Iterator[Difference]:
    """Compare the arrays of two samples bit by bit, then their metadata key by key."""
    ours, theirs = first.arrays(), second.arrays()
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in ours or name not in theirs:
            present, absent = ("present", "missing")
            yield Difference(name, *((present, absent) if name in ours else (absent, present)))
        elif ours[name].shape != theirs[name].shape:
            yield Difference(name, f"shape {ours[name].shape}", f"shape {theirs[name].shape}")
        else:
            yield from _compare_values(name, ours[name], theirs[name])
    mine, other = _flatten(first.metadata), _flatten(second.metadata)
    for key in dict.fromkeys([*mine, *other]):
        if key not in mine or key not in other or mine[key] != other[key]:
            one, another = (shown(found[key]) if key in found else "missing" for found in (mine, other))
            yield Difference(f"metadata.{key}", one, another)


def _compare_values(name: str, first: np.ndarray, second: np.ndarray) -> Iterator[Difference]:
    """Compare arrays of one shape."""
    flat = [np.ascontiguousarray(array).reshape(len(array), -1) for array in (first, second)]
    differs = flat[0].view(np.uint8) != flat[1].view(np.uint8)  # also tells 0 from -0
    ticks = differs.any(axis=1)
    if not ticks.any():
        return
    tick = int(ticks.argmax())
    column = int(differs[tick].argmax()) // first.itemsize
    one, other = (f"{float(array[tick, column]):g}" for array in flat)
    largest = float(np.abs(flat[0].astype(np.float64) - flat[1].astype(np.float64)).max())
    yield Difference(name, one, other, tick, int(ticks.sum()), largest)


def _flatten(metadata: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by dotted key."""
    found: dict[str, Any] = {}
    for key, value in metadata.items():
        nested = isinstance(value, dict) and value
        found |= _flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def compare_bytes(first: Path, second: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Comparison:
    """Compare the files behind two paths by name and digest; of two single samples, whatever their names.

    Raises SampleError, InputError, MissingError or DiskError.
    """
    ours, theirs = _files(first, limits), _files(second, limits)
    digests = [
        {name: str(io.file_digest(path)["sha256"]) for name, path in files.items()}
        for files in (ours, theirs)
    ]
    mine, other = digests
    both = [name for name in mine if name in other]
    return Comparison(
        sum(mine[name] == other[name] for name in both),
        [str(ours[name]) for name in mine if name not in other],
        [str(theirs[name]) for name in other if name not in mine],
        [
            Pair(
                str(ours[name]), str(theirs[name]), [Difference("sha256", mine[name][:12], other[name][:12])]
            )
            for name in both
            if mine[name] != other[name]
        ],
    )


def _files(path: Path, limits: ReadLimits) -> dict[str, Path]:
    """Return the files behind a path, by a name that does not depend on where they lie."""
    if io.kind_of(path) == "folder":
        files = [file for file in find_files(path, limits.follow_links)[0] if not file.name.startswith(".")]
        return {os.path.relpath(file, path): file for file in files}
    if path.name.endswith(MANIFEST_ENDINGS):
        return {
            os.path.relpath(file, path.parent): file for file in listed_files(load_manifest(path, limits))
        }
    if path.suffix == ".arrow":
        shard = unlisted_shard(path)
        return {"rows": shard.path, "samples": shard.samples}
    return {"sample": path.with_suffix(".npz"), "metadata": path.with_suffix(".json")}
