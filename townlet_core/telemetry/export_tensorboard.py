"""TensorBoard event files: of logs, as a whole, and of a run while it trains.

Data modes are never one curve: each is a folder, which TensorBoard calls a run. Files are numbered, because
TensorBoard reads them in the order of their names, and their usual names have whole seconds.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from townlet_core import __version__, io
from townlet_core.bulk import flush_tree, output_folder
from townlet_core.errors import InputError, MissingLibraryError, shown
from townlet_core.telemetry.export import Point, Updates
from townlet_core.telemetry.fields import HISTOGRAM_BINS
from townlet_core.telemetry.records import Record
from townlet_core.vocab import DATA_MODES

try:
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.summary.writer.record_writer import RecordWriter
except ModuleNotFoundError as error:
    raise MissingLibraryError(
        f"{(error.name or '').partition('.')[0]} is not installed, and TensorBoard's event files need it",
        "pip install 'townlet[tensorboard]'",
    ) from error

MARKER = "townlet_export.json"
_ENTRIES = (MARKER, *DATA_MODES, "unknown")  # of the folder of one log
FILE = re.compile(r"events\.out\.tfevents\.([0-9]{6,})")
_FILE_VERSION = "brain.Event:2"
_EDGES = [(n + 1) / HISTOGRAM_BINS for n in range(HISTOGRAM_BINS)]  # of a histogram over [0, 1]


class EventFile:
    """One event file of one data mode.

    write: takes the bytes of whole events. purge_step: TensorBoard forgets what earlier files of the folder
    hold from this step on.
    """

    def __init__(self, write: Callable[[bytes], Any], purge_step: int | None = None) -> None:
        self._records = RecordWriter(_Sink(write))
        self._add(Event(wall_time=time.time(), file_version=_FILE_VERSION))
        if purge_step is not None:
            start = SessionLog(status=SessionLog.START)
            self._add(Event(wall_time=time.time(), step=purge_step, session_log=start))

    def add(self, point: Point, step: int) -> None:
        """Write a point, as one event."""
        event = Event(wall_time=point.wall_time, step=step)
        for tag, value in point.values.items():
            event.summary.value.add(tag=tag, simple_value=value)
        for tag, counts in point.histograms.items():
            found = event.summary.value.add(tag=tag).histo
            found.min, found.max, found.num = 0.0, 1.0, sum(counts)
            middle = [edge - 0.5 / HISTOGRAM_BINS for edge in _EDGES]
            found.sum = sum(n * x for n, x in zip(counts, middle, strict=True))
            found.sum_squares = sum(n * x * x for n, x in zip(counts, middle, strict=True))
            found.bucket_limit.extend(_EDGES)
            found.bucket.extend(counts)
        self._add(event)

    def _add(self, event: Any) -> None:
        self._records.write(event.SerializeToString())


class _Sink:
    """What RecordWriter expects of a file."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self.write = write


def export_tensorboard(
    records: Iterable[Record], output: Path, names: str = "sb3", force: bool = False
) -> dict[str, int]:
    """Write the event files of a log into a folder, which appears whole; return the points of each mode.

    Raises InputError if the folder is there and `force` is not given, or it holds something else than an
    export, DiskError.
    """
    with output_folder(output, force, MARKER, _entries_of(output)) as folder:
        points = _write_events(records, folder, names)
        _finish(folder, {"points": points})
    return points


def export_runs(
    runs: Mapping[str, Iterable[Record]], output: Path, names: str = "sb3", force: bool = False
) -> dict[str, dict[str, int]]:
    """Write the event files of several logs, each in a folder of its name; else as export_tensorboard."""
    with output_folder(output, force, MARKER, _entries_of(output)) as folder:
        points = {name: _write_events(records, folder / name, names) for name, records in runs.items()}
        _finish(folder, {"runs": points})
    return points


def _entries_of(output: Path) -> re.Pattern[str]:
    """Return the names of entries that an export in this folder has written: those of its runs, too."""
    marker = io.read_json(output / MARKER) if io.kind_of(output / MARKER) == "file" else {}
    runs = marker.get("runs") if isinstance(marker, dict) else None
    tops = [name.partition("/")[0] for name in runs or () if isinstance(runs, dict)]
    return re.compile("|".join(map(re.escape, (*_ENTRIES, *tops))))


def _write_events(records: Iterable[Record], folder: Path, names: str) -> dict[str, int]:
    """Write the event files of one log; return the points of each mode."""
    points: dict[str, int] = {}
    with ExitStack() as files:
        open_files: dict[str, EventFile] = {}
        for point, step in _placed(records, names):
            if point.mode not in (*DATA_MODES, "unknown"):
                modes = ", ".join(DATA_MODES)
                raise InputError(
                    f"data_mode is {shown(point.mode)}, expected one of {modes}",
                    "townlet telemetry validate names the line",
                )
            if point.mode not in open_files:
                path = folder / point.mode / file_name(1)
                open_files[point.mode] = EventFile(files.enter_context(io.AtomicFile(path)).write)
            open_files[point.mode].add(point, step)
            points[point.mode] = points.get(point.mode, 0) + 1
    return points


def _finish(folder: Path, points: dict[str, Any]) -> None:
    io.write_json(folder / MARKER, {"townlet": __version__, "format": "tensorboard", **points})
    flush_tree(folder)


def _placed(records: Iterable[Record], names: str) -> Iterable[tuple[Point, int]]:
    """Yield the points of a log with their step: environment steps, or sample passes without live towns."""
    updates = Updates(names)
    waiting: list[Point] = []
    has_env_steps: bool | None = None  # not known yet
    for point in _points(updates, records):
        waiting.append(point)
        if point.env_steps > 0:
            has_env_steps = True
        elif [one.mode for one in waiting].count(point.mode) > 1:
            has_env_steps = bool(has_env_steps)  # a second cycle, and no environment step in the first
        if has_env_steps is not None:
            yield from ((one, step_of(one, has_env_steps)) for one in waiting)
            waiting = []
    yield from ((one, step_of(one, bool(has_env_steps))) for one in waiting)


def _points(updates: Updates, records: Iterable[Record]) -> Iterable[Point]:
    for record in records:
        if point := updates.add(record):
            yield point
    if point := updates.finish():
        yield point


def step_of(point: Point, has_env_steps: bool) -> int:
    """Return the place of a point on the x axis; 0 where its record does not say."""
    step = point.env_steps if has_env_steps else point.steps
    return int(step) if math.isfinite(step) and 0 <= step < 1 << 62 else 0


def file_name(number: int) -> str:
    """Return the name of an event file, in the order of which TensorBoard reads them."""
    return f"events.out.tfevents.{number:06d}"


class Tracker:
    """Writes the event files of a run while it trains. A resumed run goes on without a point twice.

    purge_steps: of each data mode that the run has, the step from which on what is there was not saved.
    epochs: of an update, after which its point is complete; updates that end early are complete with the
    next record or end_cycle.
    """

    def __init__(
        self, folder: Path, names: str, purge_steps: dict[str, int], has_env_steps: bool, epochs: int
    ) -> None:
        self._updates = Updates(names)
        self._has_env_steps = has_env_steps
        self._epochs = epochs
        self._descriptors: dict[Path, int] = {}
        self._files: dict[str, EventFile] = {}
        self._paths: dict[str, Path] = {}
        try:
            for mode, step in purge_steps.items():
                self._open(folder / mode, mode, step)
        except BaseException:
            self.close()
            raise

    def _open(self, folder: Path, mode: str, purge_step: int) -> None:
        numbers = [int(match[1]) for name in io.list_folder(folder) if (match := FILE.fullmatch(name))]
        path = folder / file_name(max(numbers, default=0) + 1)
        descriptor = self._descriptors[path] = io.open_append(path)
        self._files[mode] = EventFile(
            lambda data: io.append(descriptor, data, path), purge_step if numbers else None
        )

    def record(self, record: Record) -> None:
        """Add the record of an epoch."""
        self._write(self._updates.add(record))
        if self._updates.epochs >= self._epochs:
            self._write(self._updates.finish())

    def end_cycle(self) -> None:
        """Write what is complete with the cycle."""
        self._write(self._updates.finish())

    def _write(self, point: Point | None) -> None:
        if point:
            self._files[point.mode].add(point, step_of(point, self._has_env_steps))

    def close(self) -> None:
        """Flush and close the files; a second call does nothing."""
        descriptors, self._descriptors = self._descriptors, {}
        for path, descriptor in descriptors.items():
            try:
                io.flush(descriptor, path)
            finally:
                io.close(descriptor, path)
