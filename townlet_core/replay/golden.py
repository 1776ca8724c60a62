"""Golden metrics: the metrics of a dataset in a committed file, and which of them have moved since."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import ManifestEntry, companion, sample_or_manifest
from townlet_core.replay.metrics import TOTAL, load_metrics
from townlet_core.replay.statistics import GROUPS, DatasetStatistics, Read, read_statistics

RELATIVE, ABSOLUTE = 0.02, 1e-6  # a metric has moved if it is off by more than the larger of both
DATASET = "dataset"  # the entry of a golden file with the statistics of all samples together
MOST_SAMPLES = 1000  # with more of them, a golden file has no entries of single samples


class Moved(NamedTuple):
    """A metric that is not what the golden file says."""

    metric: str
    was: float
    now: float | None  # None if the data no longer has it

    def as_dict(self) -> dict[str, Any]:
        """Return the row for `--json`."""
        return {"metric": self.metric, "was": self.was, "is": self.now}


def measure(
    path: Path,
    entries: Sequence[ManifestEntry],
    limits: ReadLimits = DEFAULT_LIMITS,
    after_sample: Callable[[], Any] = lambda: None,
) -> tuple[dict[str, dict[str, float]], DatasetStatistics]:
    """Read samples once; return their metrics, by sample, of all together and the totals; and the statistics.

    path: the dataset of the entries. The totals are those recorded in the metrics file beside the manifest,
    if there is one. Raises SampleError, InputError, MissingError or DiskError.
    """
    samples: list[tuple[Path, dict[str, float]]] = []

    def keep(read: Read) -> None:
        if len(entries) <= MOST_SAMPLES:
            samples.append((read.entry.sample, read.metrics))
        after_sample()

    statistics = read_statistics(entries, limits, keep)
    names = [file.name for file, _ in samples]
    if len(set(names)) < len(names):
        root = path if io.kind_of(path) == "folder" else path.parent
        names = [os.path.relpath(file, root) for file, _ in samples]
    found = {DATASET: dict(_numbers(statistics.as_dict()))}
    found |= {name: metrics for name, (_, metrics) in zip(names, samples, strict=True)}
    if totals := _recorded_totals(path, limits):
        found[TOTAL] = totals
    return found, statistics


def save_golden(path: Path, metrics: dict[str, dict[str, float]], force: bool = False) -> None:
    """Write a golden file. Raises InputError if there is one already, without `force`; DiskError."""
    io.refuse_existing(path, force)
    io.write_json(path, metrics)


def compare_golden(
    path: Path, metrics: dict[str, dict[str, float]], limits: ReadLimits = DEFAULT_LIMITS
) -> tuple[int, list[Moved]]:
    """Compare metrics with those that a golden file names; return how many it names, and those that moved.

    A metrics file of a capture is a golden file, too. Raises InputError for a file that holds no metrics,
    MissingError, or DiskError.
    """
    golden = load_metrics(path, limits)
    wanted = [(name, metric, was) for name, own in golden.items() for metric, was in own.items()]
    if not wanted:
        raise InputError(f"{path}: holds no metrics", "write it with `townlet replay stats --write-golden`")
    moved = []
    for name, metric, was in wanted:
        now = metrics.get(name, {}).get(metric)
        if now is None or abs(now - was) > max(RELATIVE * abs(was), ABSOLUTE):
            moved.append(Moved(f"{name}.{metric}", was, now))
    return len(wanted), moved


def _numbers(statistics: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Iterate over counts, actions, sums of agents, and moments and extremes of columns, by dotted name."""
    yield from ((f"counts.{name}", float(value)) for name, value in statistics["counts"].items())
    yield from ((f"actions.{name}", float(value)) for name, value in statistics["actions"].items())
    for agent, own in statistics["agents"].items():
        yield from ((f"agents.{agent}.{name}", float(own[name])) for name in ("transitions", "reward_sum"))
        yield from ((f"agents.{agent}.actions.{name}", float(n)) for name, n in own["actions"].items())
    for group in GROUPS:
        for column, found in statistics[group].items():
            yield from ((f"{group}.{column}.{key}", found[key]) for key in ("mean", "std", "min", "max"))


def _recorded_totals(path: Path, limits: ReadLimits) -> dict[str, float] | None:
    """Return the totals of a capture's metrics file; None without exactly one manifest, or without totals."""
    try:
        manifest = sample_or_manifest(path)
    except InputError:
        return None
    metrics = companion(manifest, "metrics.json")
    if not manifest.stem.endswith("manifest") or io.kind_of(metrics) != "file":
        return None
    return load_metrics(metrics, limits).get(TOTAL)
