"""Look at a sample, a manifest or a folder and report everything that is wrong or weak in it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from townlet_core import io
from townlet_core.errors import MissingError, TownletError
from townlet_core.replay.agreement import Agreement, check_conflict_features
from townlet_core.replay.events import count_events
from townlet_core.replay.folder import (
    EVENTS_ENDING,
    FOLLOW,
    MANIFEST_ENDINGS,
    METRICS_ENDING,
    find_files,
    leads_out_words,
    where_it_leads,
)
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import (
    ManifestEntry,
    examine_entry,
    load_manifest,
    unlisted_entry,
)
from townlet_core.replay.metrics import TOTAL, load_metrics, sample_metrics
from townlet_core.replay.sample import ReplaySample
from townlet_core.replay.schema import Finding, problems, warnings

_METRICS_SLACK = 1e-4  # relative; older metrics were summed in float32


@dataclass
class Report:
    """What validation found. `metrics` holds those of every sound sample, by file."""

    findings: list[Finding] = field(default_factory=list)
    metrics: dict[Path, dict[str, float]] = field(default_factory=dict)
    samples: int = 0
    manifests: int = 0
    events: int = 0
    examined: set[Path] = field(default_factory=set)  # the files of the samples, each counted once

    @property
    def problems(self) -> list[Finding]:
        return problems(self.findings)

    @property
    def warnings(self) -> list[Finding]:
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
    """Validate a sample (NPZ or its JSON), a manifest, an event log, a metrics file, or a folder of them.

    for_training: hold each manifest, or a single sample, also to what training needs.
    Raises MissingError if `path` is not there; whatever else is wrong is in the report.
    """
    path = Path(path)
    kind = io.kind_of(path)
    if kind is None:
        raise MissingError(f"{path}: no such file or folder")
    report = Report()
    if kind == "folder":
        _validate_folder(path, report, limits, for_training)
    elif path.suffix == ".npz":
        _validate_sample(path, report, limits, for_training)
    elif path.suffix == ".json" and io.kind_of(path.with_suffix(".npz")):
        _validate_sample(path.with_suffix(".npz"), report, limits, for_training)
    elif path.suffix == ".jsonl":
        _validate_events(path, report, limits)
    elif path.name.endswith(METRICS_ENDING):
        _validate_metrics(path, report, limits)
    else:
        _validate_manifest(path, report, limits, for_training)
    report.findings = list(dict.fromkeys(report.findings))  # two manifests may list one sample
    return report


def _validate_folder(folder: Path, report: Report, limits: ReadLimits, for_training: bool) -> None:
    """Validate all manifests below, then the samples that none lists, then metrics and events."""
    files, report.findings = find_files(folder, limits.follow_links)
    manifests = [path for path in files if path.name.endswith(MANIFEST_ENDINGS)]
    listed: set[Path] = set()
    for path in manifests:
        listed |= set(map(_real, _validate_manifest(path, report, limits, for_training)))
    for path in files:
        if path.suffix == ".npz" and _real(path) not in listed:
            if manifests:
                report.findings.append(Finding("warning", str(path), "", "is not listed in a manifest"))
            _validate_sample(path, report, limits, for_training and not manifests)
        elif path.name.endswith(METRICS_ENDING):
            _validate_metrics(path, report, limits)
        elif path.name.endswith(EVENTS_ENDING):
            _validate_events(path, report, limits)
    if not report.samples and not report.problems:
        report.findings.append(Finding("problem", str(folder), "", "holds no samples and no manifest"))


def _validate_manifest(path: Path, report: Report, limits: ReadLimits, for_training: bool) -> list[Path]:
    """Validate a manifest, every sample it lists, and how they fit together; return their files."""
    report.manifests += 1
    try:
        entries = load_manifest(path, limits).entries
    except TownletError as error:
        report.findings.append(_as_finding(error, path))
        return []
    for name, count in Counter(entry.name for entry in entries).items():
        if count > 1:
            report.findings.append(Finding("warning", str(path), "samples", f"lists {name} {count} times"))
    _validate_together(path, entries, report, limits, for_training)
    return [entry.sample for entry in entries]


def _validate_sample(path: Path, report: Report, limits: ReadLimits, for_training: bool) -> None:
    """Validate one sample that no manifest vouches for."""
    _validate_together(path, [unlisted_entry(path)], report, limits, for_training)


def _validate_together(
    path: Path, entries: Sequence[ManifestEntry], report: Report, limits: ReadLimits, for_training: bool
) -> None:
    """Validate samples, hold those that are sound to each other, and all to what training needs."""
    agreement = Agreement()
    for entry in entries:
        sample = _validate_entry(entry, report, limits)
        if sample is None:
            continue
        try:
            agreement.add(str(entry.sample), sample)
        except TownletError as error:
            report.findings.append(_as_finding(error, entry.sample))
    if for_training and agreement.name:
        try:
            check_conflict_features(agreement.feature_names)
        except TownletError as error:
            report.findings.append(_as_finding(error, path))


def _validate_entry(entry: ManifestEntry, report: Report, limits: ReadLimits) -> ReplaySample | None:
    """Validate one sample and compare the metrics in its JSON with its arrays."""
    real = _real(entry.sample)
    report.samples += real not in report.examined
    report.examined.add(real)
    try:
        sample, found = examine_entry(entry, limits)
    except TownletError as error:
        report.findings.append(_as_finding(error, entry.sample))
        return None
    report.findings += found
    if sample is not None:
        metrics = sample_metrics(sample)
        report.metrics[real] = metrics
        said = sample.metadata.get("metrics", {})
        report.findings += _compare_metrics(said, metrics, str(entry.meta), "metrics")
    return sample


def _validate_metrics(path: Path, report: Report, limits: ReadLimits) -> None:
    """Compare a metrics file with the samples beside it."""
    try:
        said = load_metrics(path, limits)
    except TownletError as error:
        report.findings.append(_as_finding(error, path))
        return
    for name, metrics in said.items():
        if name == TOTAL:
            continue
        sample = path.parent / Path(name).name
        if not name.isprintable() or io.kind_of(sample) is None:
            report.findings.append(Finding("problem", str(path), name[:200], "is not beside the metrics"))
        elif (real := where_it_leads(sample, path.parent)) and not limits.follow_links:
            report.findings.append(Finding("problem", str(path), name[:200], leads_out_words(real), FOLLOW))
        else:
            if _real(sample) not in report.examined:
                _validate_entry(unlisted_entry(sample), report, limits)
            computed = report.metrics.get(_real(sample), {})
            report.findings += _compare_metrics(metrics, computed, str(path), name)


def _real(path: Path) -> Path:
    """The file behind all links; unlike Path.resolve, also where they go in circles."""
    return Path(os.path.realpath(path))


def _compare_metrics(
    said: dict[str, float], computed: dict[str, float], file: str, place: str
) -> Iterable[Finding]:
    """Find recorded metrics that are not what the arrays say; names we do not compute are left alone."""
    for name in [name for name in said if name in computed]:  # in the order of the file
        if abs(said[name] - computed[name]) > _METRICS_SLACK * max(1.0, abs(computed[name])):
            message = f"is {said[name]:g}, the arrays say {computed[name]:g}"
            yield Finding("problem", file, f"{place}.{name}", message, "recompute it from the sample")


def _validate_events(path: Path, report: Report, limits: ReadLimits) -> None:
    try:
        report.events += sum(count_events(path, limits).values())
    except TownletError as error:
        report.findings.append(_as_finding(error, path))


def _as_finding(error: TownletError, path: Path) -> Finding:
    return Finding("problem", str(path), "", str(error).removeprefix(f"{path}: "), error.hint)
