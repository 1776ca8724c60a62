"""The samples of one town in one episode: those of every agent and of every newcomer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, SampleError, TownletError, shown
from townlet_core.replay.find import find_entries
from townlet_core.replay.folder import MANIFEST_ENDINGS
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import (
    Manifest,
    ManifestEntry,
    companion,
    entry_metadata,
    examine_entry,
    load_manifest,
    sample_or_manifest,
)
from townlet_core.replay.sample import ReplaySample, raise_first

_WHOLE_NUMBERS = {"seed": 2**63, "town": 2**31, "episode": 2**31}  # of `capture`, below these


class Recording(NamedTuple):
    """Samples of one town in one episode, in the order of the manifest."""

    path: Path  # the given sample or manifest
    files: tuple[Path, ...]
    samples: tuple[ReplaySample, ...]  # of the same length
    capture: dict[str, Any] | None  # `capture` of their metadata; None in the older format, which lacks it
    focus: str | None  # the agent whose sample was given
    scenario: Path | None  # the scenario file of the capture

    @property
    def policy(self) -> str:
        """Who acted: scripted, random, or a network with the start of its digest."""
        behaviour = str(self.samples[0].metadata.get("behaviour") or "not known")[:80]
        return behaviour if behaviour in ("scripted", "random", "not known") else f"network {behaviour[:12]}"


class _Story(NamedTuple):
    """Identify what a sample belongs to; None in the older format, where every sample stands alone."""

    town: int
    episode: int


def load_recording(
    path: Path, town: int | None = None, episode: int | None = None, limits: ReadLimits = DEFAULT_LIMITS
) -> Recording:
    """Read the samples of the given town and episode, by default those of the first sample.

    path: a manifest, a folder with one, a shard, or a sample, packed or not; the siblings of a sample are
    found if a manifest beside it lists it.
    Raises SampleError, InputError for a town or episode that was not recorded, MissingError, or DiskError.
    """
    path = sample_or_manifest(path)
    manifest = _manifest_of(path, limits)
    entries = manifest.entries if manifest else tuple(find_entries(path, limits))
    stories = {entry: _story_of(entry, limits) for entry in entries}
    first = next((entry for entry in entries if _is(entry, path)), entries[0])
    wanted = stories[first]
    if town is not None or episode is not None:
        wanted = _choose(path, list(stories.values()), town, episode)
    chosen = [entry for entry in entries if stories[entry] == wanted] if wanted else [first]
    samples = [_load(entry, limits) for entry in chosen]
    return Recording(
        path,
        tuple(entry.sample for entry in chosen),
        tuple(samples),
        samples[0].metadata["capture"] if wanted else None,
        samples[chosen.index(first)].agent_id if path.suffix == ".npz" and first in chosen else None,
        _scenario_beside(manifest.path) if manifest else None,
    )


def _manifest_of(path: Path, limits: ReadLimits) -> Manifest | None:
    """Read a manifest, or for a sample the manifest beside it that lists it; None if there is none."""
    if path.suffix not in (".npz", ".arrow"):
        return load_manifest(path, limits)
    folder = path.parent.parent if path.parent.suffix == ".arrow" else path.parent
    for name in io.list_folder(folder):
        if name.endswith(MANIFEST_ENDINGS):
            try:
                manifest = load_manifest(folder / name, limits)
                if any(_is(entry, path) for entry in manifest.entries):
                    return manifest
            except TownletError:
                continue  # it was not selected
    return None


def _scenario_beside(manifest: Path) -> Path | None:
    path = companion(manifest, "scenario.yaml")
    return path if io.kind_of(path) == "file" else None


def _is(entry: ManifestEntry, path: Path) -> bool:
    """Whether a path names a sample, or the shard that holds it."""
    real = os.path.realpath(path)
    return os.path.realpath(entry.sample) == real or bool(
        entry.shard and real in map(os.path.realpath, (entry.shard.ref.path, entry.shard.ref.samples))
    )


def _story_of(entry: ManifestEntry, limits: ReadLimits) -> _Story | None:
    """Read from a sample's JSON what it belongs to, before its arrays are read."""
    if entry.shard and None not in (story := entry.shard.stories[entry.number]).values():
        return _Story(story["town"], story["episode"])
    metadata = entry_metadata(entry, limits)
    if "schema_version" not in metadata:
        return None
    said = metadata.get("capture")
    capture = said if isinstance(said, dict) else {}
    for name, below in _WHOLE_NUMBERS.items():
        number = capture.get(name)
        if type(number) is not int or not 0 <= number < below:
            raise SampleError(
                f"{entry.meta}: capture.{name} is {shown(number, 40)}, expected a whole number < {below:,}",
                "capture it again with `townlet capture`",
            )
    return _Story(capture["town"], capture["episode"])


def _choose(path: Path, stories: list[_Story | None], town: int | None, episode: int | None) -> _Story:
    """Return the first recorded town and episode that match; None matches any."""
    known = [story for story in stories if story is not None]
    for story in known:
        if town in (None, story.town) and episode in (None, story.episode):
            return story
    asked = [f"town {town}"] * (town is not None) + [f"episode {episode}"] * (episode is not None)
    if not known:
        raise InputError(f"{path}: has no {' '.join(asked)}: its samples do not say where they come from")
    towns = _range("town", {story.town for story in known})
    episodes = _range("episode", {story.episode for story in known})
    raise InputError(f"{path}: has no {' '.join(asked)}; recorded are {towns}, {episodes}")


def _range(what: str, numbers: set[int]) -> str:
    first, last = min(numbers), max(numbers)
    return f"{what} {first}" if first == last else f"{what}s {first} to {last}"


def _load(entry: ManifestEntry, limits: ReadLimits) -> ReplaySample:
    sample, found = examine_entry(entry, limits)
    raise_first(found)
    assert sample is not None  # there is no sample only where there is a problem
    return sample
