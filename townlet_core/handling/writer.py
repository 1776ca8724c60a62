"""Write samples as a dataset of their own: NPZ files or shards, metrics, events, scenario and manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.bulk import whole_folder
from townlet_core.capture.folder import find_capture_files
from townlet_core.errors import InputError, SampleError, did_you_mean, name_list, shown
from townlet_core.handling.events import EventCut
from townlet_core.handling.forms import FORMATS
from townlet_core.handling.origin import CommonOrigin
from townlet_core.handling.sources import Source, number_of_towns
from townlet_core.replay.events import save_events
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import Manifest, save_manifest
from townlet_core.replay.metrics import TOTAL, sample_metrics, save_metrics
from townlet_core.replay.npz import pack_npz
from townlet_core.replay.packed.pack import ShardSeries, prefix_of
from townlet_core.replay.packed.writer import COMPRESSIONS
from townlet_core.replay.sample import ReplaySample, save_original, save_sample
from townlet_core.replay.totals import EventTotals, Part, capture_totals, part_of
from townlet_core.replay.whole import check_events
from townlet_core.vocab import NAME_PATTERN

DEFAULT_PREFIX = "rollout_sample"


class Form(NamedTuple):
    """How a dataset lies on the disk."""

    prefix: str = DEFAULT_PREFIX
    format: str = "npz"
    compression: str | None = None  # None: NPZ files as they were or stored, shards zstd


class Kept(NamedTuple):
    """A sample to be written."""

    sample: ReplaySample
    source: int  # the number of its source
    original: tuple[bytes, bytes] | None = None  # its NPZ and JSON file, unless it was changed
    begins: bool = True  # whether its first tick is the first that was recorded


class Written(NamedTuple):
    """A dataset that was written."""

    manifest: Path
    samples: int
    transitions: int
    left_out: tuple[str, ...]  # why there is no event log, or no scenario


def choose_form(
    sources: Sequence[Source],
    prefix: str | None = None,
    format: str | None = None,
    compression: str | None = None,
) -> Form:
    """Complete what was asked for by what the sources have: their prefix, and NPZ files or shards.

    Raises InputError for an unknown value, and without a format for sources of both.
    """
    packed = {entry.shard is not None for source in sources for entry in source.entries}
    if format is None and len(packed) > 1:
        raise InputError(
            "some samples are packed, others are NPZ files", "choose --format npz or --format arrow"
        )
    chosen = format or ("arrow" if packed == {True} else "npz")
    if chosen not in FORMATS:
        near = did_you_mean(chosen, list(FORMATS))
        raise InputError(f"--format: {shown(chosen)}, expected {' or '.join(FORMATS)}{near}")
    if compression is not None and compression not in FORMATS[chosen]:
        allowed = ", ".join(FORMATS[chosen])
        near = did_you_mean(compression, list(FORMATS[chosen]))
        raise InputError(f"--compression: {shown(compression)}, expected for {chosen}: {allowed}{near}")
    own = {prefix_of(source.manifest) for source in sources if source.manifest}
    start = prefix or (own.pop() if len(own) == 1 else DEFAULT_PREFIX)
    if not NAME_PATTERN.fullmatch(start):
        raise InputError(f"--prefix: {shown(start)}, expected 1 to 64 letters, digits, '_', '.' or '-'")
    return Form(start, chosen, compression)


def write_dataset(
    output: Path,
    sources: Sequence[Source],
    samples: Iterable[Kept],
    form: Form,
    force: bool = False,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> Written:
    """Write samples into a folder, numbered, with metrics, events, scenario and manifest.

    The event log holds the events of the samples, as far as they can be said. force: replace a dataset of the
    same prefix. If anything fails, nothing of what was written stays.
    Raises InputError if the folder holds anything else, or files of the sources; and what reading raises.
    """
    _refuse_sources(output, sources)
    output = Path(output)
    check_old = (lambda _: _check_old(output, form.prefix)) if force else None
    with whole_folder(output, check_old) as folder:
        written = _Writing(folder, sources, form, limits).write(samples)
    return written._replace(manifest=output / written.manifest.name)


def _check_old(output: Path, prefix: str) -> None:
    """Raise InputError if a folder holds anything but a dataset with this prefix."""
    if others := find_capture_files(output, prefix).others:
        raise InputError(
            f"{output}: holds {name_list(others)}, not of a dataset with the prefix {prefix}",
            "choose another --output, or another --prefix",
        )


def _refuse_sources(output: Path, sources: Sequence[Source]) -> None:
    """Raise InputError if the output folder holds a source file."""
    folder = os.path.realpath(output)
    for source in sources:
        for entry in source.entries:
            file = entry.shard.ref.path if entry.shard else entry.sample
            if os.path.realpath(file.parent) == folder:
                raise InputError(
                    f"{output}: holds {file.name}, which is to be copied", "choose another --output"
                )


class _Writing:
    """One dataset while it is written."""

    def __init__(self, output: Path, sources: Sequence[Source], form: Form, limits: ReadLimits) -> None:
        self.output, self.sources, self.form, self.limits = output, sources, form, limits
        self.origin = CommonOrigin()
        self.cuts = [EventCut() for _ in sources]
        self.entries: list[dict[str, Any]] = []
        self.metrics: dict[str, dict[str, float]] = {}
        self.parts: list[Part | None] = []
        self.towns: dict[int, set[str]] = {}  # by number: the captures that have such a town
        self.transitions = 0

    def write(self, samples: Iterable[Kept]) -> Written:
        shards: list[dict[str, Any]] = []
        if self.form.format == "arrow":
            shards = self._write_shards(samples)
        else:
            self.entries = [self._save(kept, self._note(kept)) for kept in samples]
        if not self.metrics:
            raise SampleError("no samples are left", "choose other ticks or agents")
        return self._finish(shards)

    def _write_shards(self, samples: Iterable[Kept]) -> list[dict[str, Any]]:
        series = ShardSeries(self.output, self.form.prefix, self.form.compression or COMPRESSIONS[0])
        try:
            for kept in samples:
                series.add(kept.sample, self._note(kept), kept.original)
            return series.close() if self.metrics else []
        except BaseException:
            series.abandon()
            raise

    def _note(self, kept: Kept) -> str:
        """Keep what the other files need of a sample, and return the name of its NPZ file."""
        sample = kept.sample
        agent = sample.agent_id if NAME_PATTERN.fullmatch(sample.agent_id) else "unknown"
        name = f"{self.form.prefix}_{agent}_{len(self.metrics) + 1:03d}.npz"
        self.metrics[name] = sample_metrics(sample)
        self.parts.append(part_of(sample, self.metrics[name]))
        self.origin.add(sample.metadata)
        self.cuts[kept.source].add(sample, kept.begins)
        self.transitions += sample.timesteps
        capture = sample.metadata.get("capture")
        if isinstance(capture, dict) and isinstance(capture.get("town"), int):
            own = ("town", "episode", "first_frame", "versions")
            world = {key: value for key, value in capture.items() if key not in own}
            about = [world, sample.metadata.get("behaviour")]
            self.towns.setdefault(capture["town"], set()).add(json.dumps(about, sort_keys=True))
        return name

    def _save(self, kept: Kept, name: str) -> dict[str, Any]:
        compression = self.form.compression
        if kept.original is None:
            is_deflated = compression == "deflated"
            return save_sample(kept.sample, self.output, name.removesuffix(".npz"), is_deflated)
        data, text = kept.original
        if compression is not None:
            data = pack_npz(kept.sample.arrays(), compression == "deflated")
        return save_original(data, text, kept.sample, self.output, name)

    def _finish(self, shards: list[dict[str, Any]]) -> Written:
        """Write the other files, then the manifest."""
        prefix, left_out = self.form.prefix, []
        metadata = self.origin.metadata(max(map(number_of_towns, self.sources), default=0))
        events, files = None, []
        try:
            events = self._events()
        except SampleError as error:
            left_out.append(f"no event log: {error}")
        metrics = {} if shards else dict(self.metrics)
        if events is not None:
            files.append(save_events(self.output, prefix, events))
            metadata |= {"events": len(events)}
            parts = [part for part in self.parts if part]
            if len(parts) == len(self.parts):
                agents = dict.fromkeys(part.agent for part in parts)
                metrics[TOTAL] = capture_totals(parts, EventTotals(events), agents)
        if metrics:
            files.insert(0, save_metrics(self.output, prefix, metrics))
        files += self._copy_scenario(left_out)
        manifest = save_manifest(self.output, prefix, self.entries, metadata, files, shards)
        return Written(manifest, len(self.metrics), self.transitions, tuple(left_out))

    def _events(self) -> list[dict[str, Any]]:
        """Return the events of the samples. Raises SampleError where they cannot be said."""
        if mixed := [town for town, captures in self.towns.items() if len(captures) > 1]:
            raise SampleError(f"town {mixed[0]} is in several captures")
        events: list[dict[str, Any]] = []
        for source, cut in zip(self.sources, self.cuts, strict=True):
            logs = source.companions("events.jsonl")
            if not logs:
                raise SampleError(f"{source.label} has none")
            if not cut.is_known:
                raise SampleError(f"the samples of {source.label} do not say their ticks")
            events += cut.choose(logs, self.limits)
        parts = [part for part in self.parts if part]
        about = Manifest(self.output, (), {"capture": {}})
        if wrong := list(check_events(about, parts, EventTotals(events), "the log")):
            raise SampleError(f"it would differ from the samples: {wrong[0].message}")
        return events

    def _copy_scenario(self, left_out: list[str]) -> Iterator[Path]:
        """Copy the scenario of the samples, if they have one and the same."""
        found = [file for source in self.sources for file in source.companions("scenario.yaml")]
        if len(self.origin.scenarios) == 1 and found:
            path = self.output / f"{self.form.prefix}_scenario.yaml"
            io.write_file(path, io.read_file(found[0], self.limits.max_metadata_bytes))
            yield path
        elif found:
            left_out.append("no scenario: the samples are of several")
