"""Validate a sample, a manifest or a folder, and report every problem and warning."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import MissingFileError, TownletError, count
from townlet_core.replay.compatibility import CompatibilityCheck, check_conflict_features
from townlet_core.replay.events import load_events
from townlet_core.replay.folder import (
    EVENTS_ENDING,
    FOLLOW,
    MANIFEST_ENDINGS,
    METRICS_ENDING,
    describe_outside_link,
    find_files,
    target_outside,
)
from townlet_core.replay.format import RECAPTURE, Finding, problems, warnings
from townlet_core.replay.limits import DEFAULT_LIMITS, REPLAY_TRANSITIONS, ReadLimits
from townlet_core.replay.manifest import (
    Manifest,
    ManifestEntry,
    companion,
    entry_bytes,
    examine_entry,
    examine_manifest,
    shard_entries,
    unlisted_entry,
)
from townlet_core.replay.metrics import TOTAL, load_metrics, sample_metrics
from townlet_core.replay.packed.reference import ShardRef, is_shard, unlisted_shard
from townlet_core.replay.packed.shard import Shard
from townlet_core.replay.sample import ReplaySample
from townlet_core.replay.selection import Selection
from townlet_core.replay.statistics import DatasetStatistics
from townlet_core.replay.stored import check_statistics, has_statistics
from townlet_core.replay.structure import check_structure
from townlet_core.replay.totals import EventTotals, Part, capture_totals, part_of
from townlet_core.replay.whole import check_events, check_files, check_origin, compare_metrics


class _Seen(NamedTuple):
    """What is kept of a valid sample, for comparisons with other files."""

    metrics: dict[str, float]
    part: Part | None  # of the totals
    is_older: bool


@dataclass
class Report:
    """The result of a validation. `seen`: by file, what is kept of a sample; None for an invalid one."""

    findings: list[Finding] = field(default_factory=list)
    seen: dict[Path, _Seen | None] = field(default_factory=dict)
    others: set[Path] = field(default_factory=set)  # validated metrics and events
    samples: int = 0
    manifests: int = 0
    events: int = 0
    examined: set[Path] = field(default_factory=set)  # the files of the samples, each counted once

    @property
    def problems(self) -> list[Finding]:
        """The findings that make a file unusable."""
        return problems(self.findings)

    @property
    def warnings(self) -> list[Finding]:
        """The findings that make a file weaker than it could be."""
        return warnings(self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        return {
            "ok": not self.problems,
            "samples": self.samples,
            "manifests": self.manifests,
            "events": self.events,
            "problems": [finding._asdict() for finding in self.problems],
            "warnings": [finding._asdict() for finding in self.warnings],
        }


def validate_path(path: Path, limits: ReadLimits = DEFAULT_LIMITS, for_training: bool = False) -> Report:
    """Validate a sample (NPZ or its JSON), a shard, a manifest, events, metrics, or a folder of them.

    for_training: also check each manifest, or a single sample, for training.
    Raises MissingError if `path` does not exist; everything else is in the report.
    """
    path = Path(path)
    kind = io.kind_of(path)
    if kind is None:
        raise MissingFileError(f"{path}: no such file or folder")
    report = Report()
    if kind == "folder":
        _validate_folder(path, report, limits, for_training)
    elif path.suffix == ".npz":
        _validate_together(path, _loose_entries(path, report, limits), report, limits, for_training)
    elif path.suffix == ".json" and io.kind_of(path.with_suffix(".npz")):
        npz = path.with_suffix(".npz")
        _validate_together(npz, _loose_entries(npz, report, limits), report, limits, for_training)
    elif path.suffix == ".arrow":
        _validate_together(path, _loose_entries(path, report, limits), report, limits, for_training)
    elif path.suffix == ".jsonl":
        _validate_events(path, report, limits)
    elif path.name.endswith(METRICS_ENDING):
        _validate_metrics(path, report, limits)
    else:
        _validate_manifest(path, report, limits, for_training)
    report.findings = list(dict.fromkeys(report.findings))  # two manifests may list one sample
    return report


def _validate_folder(folder: Path, report: Report, limits: ReadLimits, for_training: bool) -> None:
    """Validate all manifests below, then samples that no manifest lists, then metrics and events."""
    files, report.findings = find_files(folder, limits.follow_links)
    manifests = [path for path in files if path.name.endswith(MANIFEST_ENDINGS)]
    listed: set[Path] = set()
    for path in manifests:
        listed |= set(map(_real, _validate_manifest(path, report, limits, for_training)))
    loose = [
        path for path in files if (path.suffix == ".npz" or is_shard(path)) and _real(path) not in listed
    ]
    entries = {path: _loose_entries(path, report, limits) for path in loose}
    if for_training and loose and not manifests:
        together = [entry for path in loose for entry in entries.pop(path)]
        _validate_together(folder, together, report, limits, for_training)
    for path in files:
        if path in entries:
            if manifests:
                report.findings.append(Finding("warning", str(path), "", "is not listed in a manifest"))
            _validate_together(path, entries[path], report, limits, for_training=False)
        elif path.name.endswith(METRICS_ENDING) and _real(path) not in report.others:
            _validate_metrics(path, report, limits)
        elif path.name.endswith(EVENTS_ENDING) and _real(path) not in report.others:
            _validate_events(path, report, limits)
    report.findings += _interrupted_captures(files, manifests, listed)
    if not report.samples and not report.problems:
        report.findings.append(Finding("problem", str(folder), "", "holds no samples and no manifest"))


def _interrupted_captures(files: list[Path], manifests: list[Path], listed: set[Path]) -> Iterator[Finding]:
    """Find folders of samples without a manifest, which a capture writes last."""
    with_manifest = {path.parent for path in manifests}
    for ending, noun in ((".npz", "sample"), (".arrow", "shard")):
        unlisted = Counter(
            path.parent
            for path in files
            if path.suffix == ending and (ending == ".npz" or is_shard(path)) and _real(path) not in listed
        )
        for folder in unlisted.keys() - with_manifest:
            message = f"holds {count(unlisted[folder], noun)} and no manifest: a capture that was interrupted"
            hint = f"run the capture again, or name the {noun}s themselves"
            yield Finding("problem", str(folder), "", message, hint)


def _validate_manifest(path: Path, report: Report, limits: ReadLimits, for_training: bool) -> list[Path]:
    """Validate a manifest and its samples, and compare them; return the samples' files."""
    report.manifests += 1
    try:
        listed, errors = examine_manifest(path, limits)
    except TownletError as error:
        report.findings.append(_as_finding(error, path))
        return []
    manifest, found = check_structure(listed)
    report.findings += [*(_as_finding(error, path) for error in errors), *found]
    before = len(report.problems)
    entries = [*manifest.samples, *_packed_entries(manifest.shards, report, limits)]
    is_complete = before == len(report.problems) and not errors and manifest == listed
    for entry in set(listed.samples) - set(entries):
        report.samples += _real(entry.sample) not in report.seen
        report.seen[_real(entry.sample)] = None
    _validate_together(path, entries, report, limits, for_training, manifest, is_complete)
    _validate_whole(manifest, entries, report, limits, is_complete)
    files = [*(entry.sample for entry in listed.samples), *(entry.sample for entry in entries)]
    return [*files, *(ref.path for ref in listed.shards)]


def _packed_entries(
    shards: Iterable[ShardRef], report: Report, limits: ReadLimits
) -> Iterator[ManifestEntry]:
    """Iterate over the samples of the shards; one that cannot be opened is a finding."""
    for ref in shards:
        try:
            yield from shard_entries(Shard(ref, limits))
        except TownletError as error:
            report.findings.append(_as_finding(error, ref.samples))


def _loose_entries(path: Path, report: Report, limits: ReadLimits) -> list[ManifestEntry]:
    """Return the samples of a file that no manifest lists: an NPZ file, or a shard."""
    if path.suffix == ".npz":
        return [unlisted_entry(path)]
    return list(_packed_entries([unlisted_shard(path)], report, limits))


def _validate_whole(
    manifest: Manifest,
    entries: Sequence[ManifestEntry],
    report: Report,
    limits: ReadLimits,
    is_complete: bool,
) -> None:
    """Validate the other files of a capture, and compare them with its samples.

    is_complete: whether the entries are all samples of the manifest, so that sums can be compared.
    """
    report.findings += check_files(manifest)
    log, metrics = companion(manifest.path, "events.jsonl"), companion(manifest.path, "metrics.json")
    files = [_real(entry.sample) for entry in entries]
    seen = [report.seen.get(file) for file in files]
    parts = [one.part for one in seen if one and one.part]
    events = None
    if io.kind_of(log) == "file":
        events = _validate_events(log, report, limits)
    is_complete = is_complete and len(parts) == len(files)
    if events and is_complete:
        report.findings += check_events(manifest, parts, events, str(log))
    if metrics != manifest.path and io.kind_of(metrics) == "file":
        said = _validate_metrics(metrics, report, limits, set(files))
        if events and is_complete and said and TOTAL in said:
            agents = dict.fromkeys(part.agent for part in parts)
            totals = capture_totals(parts, events, agents)
            report.findings += compare_metrics(said[TOTAL], totals, str(metrics), TOTAL, True)
    for file in files:  # the metrics are still needed, the arrays are not
        if one := report.seen.get(file):
            report.seen[file] = one._replace(part=None)


def _validate_together(
    path: Path,
    entries: Sequence[ManifestEntry],
    report: Report,
    limits: ReadLimits,
    for_training: bool,
    manifest: Manifest | None = None,
    is_complete: bool = True,
) -> None:
    """Validate samples, check that valid ones are compatible, and check all for training."""
    compatibility, selection = CompatibilityCheck(), Selection(for_training)
    statistics = DatasetStatistics() if manifest and has_statistics(manifest) and is_complete else None
    for entry in entries:
        sample = _validate_entry(entry, report, limits)
        if sample is None:
            statistics = None  # they are of all samples
            continue
        if statistics:
            statistics.add(sample, sample_metrics(sample))
        if manifest:
            report.findings += check_origin(manifest, entry, sample)
        try:
            compatibility.add(str(entry.sample), sample)
        except TownletError as error:
            report.findings.append(_as_finding(error, entry.sample))
        selection.choose(str(entry.sample), sample, entry_bytes(entry))
    if manifest and statistics:
        report.findings += check_statistics(manifest, statistics)
    if for_training and compatibility.name:
        report.findings += _check_for_training(path, compatibility, selection, limits)


def _check_for_training(
    path: Path, compatibility: CompatibilityCheck, selection: Selection, limits: ReadLimits
) -> Iterable[Finding]:
    """Find what training refuses or leaves out, and the settings it needs."""
    for message in (*selection.warnings(), *compatibility.reward_warnings()):
        yield Finding("warning", str(path), "", message)
    ticks, longest = selection.longest
    if ticks > REPLAY_TRANSITIONS:
        needed = f"has an episode of {count(ticks, 'tick')}; training needs --replay-transitions {ticks}"
        yield Finding("warning", longest, "", needed)
    if selection.bytes > limits.max_memory_bytes:
        size = f"takes {selection.bytes:,} bytes of memory, for which training needs --streaming"
        yield Finding("warning", str(path), "", size)
    for refuse in (selection.require_data, partial(check_conflict_features, compatibility.feature_names)):
        try:
            refuse()
        except TownletError as error:
            yield _as_finding(error, path)


def _validate_entry(entry: ManifestEntry, report: Report, limits: ReadLimits) -> ReplaySample | None:
    """Validate one sample and compare the metrics in its JSON with its arrays."""
    real = _real(entry.sample)
    report.samples += real not in report.seen
    report.seen[real] = None
    try:
        sample, findings = examine_entry(entry, limits)
    except TownletError as error:
        is_of_shard = entry.shard and str(error).startswith(f"{entry.shard.ref.path}: ")
        report.findings.append(
            _as_finding(error, entry.shard.ref.path if entry.shard and is_of_shard else entry.sample)
        )
        return None
    report.findings += findings
    if sample is not None:
        metrics = sample_metrics(sample)
        report.seen[real] = _Seen(metrics, part_of(sample, metrics), sample.is_older)
        said = sample.metadata.get("metrics") or {}
        complete = bool(said) and not sample.is_older
        report.findings += compare_metrics(said, metrics, str(entry.meta), "metrics", complete)
    return sample


def _validate_metrics(
    path: Path, report: Report, limits: ReadLimits, expected: AbstractSet[Path] = frozenset()
) -> dict[str, dict[str, float]] | None:
    """Compare a metrics file with the samples beside it, which include `expected`; return its content."""
    report.others.add(_real(path))
    try:
        said = load_metrics(path, limits)
    except TownletError as error:
        report.findings.append(_as_finding(error, path))
        return None
    listed = set()
    packed = {sample.name: sample for sample in expected if io.kind_of(sample) is None}
    for name, metrics in said.items():
        if name == TOTAL:
            continue
        sample = packed.get(name, path.parent / Path(name).name)
        if not name.isprintable() or (name not in packed and io.kind_of(sample) is None):
            report.findings.append(Finding("problem", str(path), name[:200], "is not beside the metrics"))
            continue
        if (real := target_outside(sample, path.parent)) and not limits.follow_links:
            report.findings.append(
                Finding("problem", str(path), name[:200], describe_outside_link(real), FOLLOW)
            )
            continue
        listed.add(_real(sample))
        if _real(sample) not in report.seen:
            _validate_entry(unlisted_entry(sample), report, limits)
        if one := report.seen[_real(sample)]:
            report.findings += compare_metrics(metrics, one.metrics, str(path), name, not one.is_older)
    for sample in sorted(expected - listed) if listed or not packed else ():  # shards hold the metrics
        one = report.seen.get(sample)
        if one and not one.is_older:
            report.findings.append(Finding("problem", str(path), sample.name, "is missing", RECAPTURE))
    return said


def _real(path: Path) -> Path:
    """Resolve all links; unlike Path.resolve, also in link cycles."""
    return Path(os.path.realpath(path))


def _validate_events(path: Path, report: Report, limits: ReadLimits) -> EventTotals | None:
    report.others.add(_real(path))
    try:
        events = EventTotals(load_events(path, limits))
    except TownletError as error:
        report.findings.append(_as_finding(error, path))
        return None
    report.events += sum(events.by_type.values())
    return events


def _as_finding(error: TownletError, path: Path) -> Finding:
    return Finding("problem", str(path), "", str(error).removeprefix(f"{path}: "), error.hint)
