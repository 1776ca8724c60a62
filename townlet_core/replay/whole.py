"""Consistency of a capture: digests of its files, and agreement of manifest, samples, metrics and events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from townlet_core import io
from townlet_core.errors import MissingError, count, shown
from townlet_core.replay.format import RECAPTURE, Finding
from townlet_core.replay.manifest import ListedFile, Manifest, ManifestEntry
from townlet_core.replay.npz import RESTORE
from townlet_core.replay.sample import ReplaySample
from townlet_core.replay.totals import EventTotals, Part

METRICS_SLACK = 1e-4  # relative; older metrics were summed in float32
_CONFLICT_SLACK = 1e-3  # relative; intensities are float32


def check_files(manifest: Manifest) -> Iterator[Finding]:
    """Compare the capture's other files with their digests; warn if digests are missing."""
    is_ours = isinstance(manifest.metadata.get("capture"), dict)
    is_open = manifest.files is None or any(entry.meta_sha256 is None for entry in manifest.samples)
    if is_ours and (is_open or any(None in (ref.sha256, ref.samples_sha256) for ref in manifest.shards)):
        message = (
            "has no digest of every file: what changed in JSON, metrics, events or scenario may not be seen"
        )
        yield Finding("warning", str(manifest.path), "files", message, RECAPTURE)
    for listed in manifest.files or ():
        yield from _check_file(listed)
    for ref in manifest.shards:
        yield from _check_file(ListedFile(ref.path, ref.sha256, ref.bytes))
        yield from _check_file(ListedFile(ref.samples, ref.samples_sha256, ref.samples_bytes))


def _check_file(listed: ListedFile) -> Iterator[Finding]:
    try:
        digest = io.file_digest(listed.path)
    except MissingError:
        yield Finding("problem", str(listed.path), "", "is listed in the manifest, and is not there", RESTORE)
        return
    if listed.sha256 not in (None, digest["sha256"]) or listed.bytes not in (None, digest["bytes"]):
        message = "its sha256 is not the one in the manifest; the file has changed"
        yield Finding("problem", str(listed.path), "", message, RESTORE)


def check_origin(manifest: Manifest, entry: ManifestEntry, sample: ReplaySample) -> Iterator[Finding]:
    """Compare the origin in a sample's metadata with the manifest."""
    about = manifest.metadata.get("capture")
    if not isinstance(about, dict) or sample.is_older:
        return
    said = {f"capture.{key}": value for key, value in about.items() if key != "towns"}
    said |= {key: manifest.metadata[key] for key in ("behaviour", "value_source") if key in manifest.metadata}
    own = {f"capture.{key}": value for key, value in sample.metadata["capture"].items()} | sample.metadata
    for key, value in said.items():
        if key in own and own[key] != value:
            message = f"is {shown(own[key], 80)}, the manifest says {shown(value, 80)}"
            yield Finding("problem", str(entry.meta), key, message, RECAPTURE)
    towns, town = about.get("towns"), own.get("capture.town")
    if isinstance(towns, int) and isinstance(town, int) and town >= towns:
        message = f"is {town}, the manifest says that there is {count(towns, 'town')} in all"
        yield Finding("problem", str(entry.meta), "capture.town", message, RECAPTURE)


def check_events(
    manifest: Manifest, parts: Iterable[Part], events: EventTotals, log: str
) -> Iterator[Finding]:
    """Compare the event log with the manifest's count, and its conflicts with each agent's share."""
    said, actual = manifest.metadata.get("events"), sum(events.by_type.values())
    if said is not None and said != actual:
        yield Finding(
            "problem",
            log,
            "",
            f"holds {count(actual, 'event')}, the manifest says {shown(said, 40)}",
            RESTORE,
        )
    if not isinstance(manifest.metadata.get("capture"), dict):
        return  # the log may belong to another capture
    shares: dict[tuple[int, str], tuple[float, float]] = {}
    for part in parts:
        events_share, intensity = shares.get((part.town, part.agent), (0.0, 0.0))
        shares[part.town, part.agent] = events_share + part.conflicts[0], intensity + part.conflicts[1]
    for (town, agent), share in shares.items():
        logged = events.shares.get((town, agent), (0.0, 0.0))
        names = ("conflicts", "intensity of conflicts")
        for name, mine, theirs in zip(names, share, logged, strict=True):
            if abs(mine - theirs) > _CONFLICT_SLACK * max(1.0, abs(theirs)):
                message = f"gives {agent} in town {town} {theirs:g} {name}, its samples say {mine:g}"
                yield Finding("problem", log, "", message, RECAPTURE)


def compare_metrics(
    said: dict[str, float], computed: dict[str, float], file: str, place: str, complete: bool
) -> Iterator[Finding]:
    """Compare recorded metrics with those of the data; unknown names are ignored.

    complete: whether every known metric is required.
    """
    for name, value in computed.items():
        if name in said and abs(said[name] - value) > METRICS_SLACK * max(1.0, abs(value)):
            message = f"is {said[name]:g}, the data says {value:g}"
            yield Finding("problem", file, f"{place}.{name}", message, "recompute it from the samples")
    # A count of 0 may be missing: the event may be of a type that the writer did not know yet.
    missing = [
        name
        for name, value in computed.items()
        if name not in said and not (value == 0 and name.endswith("_events"))
    ]
    if missing and complete:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        yield Finding("problem", file, place, f"lacks {', '.join(missing[:3])}{more}", RECAPTURE)
