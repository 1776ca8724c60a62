"""Statistics of a log per data mode, in one pass: extremes, means, event counts, curves, trends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from townlet_core.telemetry.curves import Curves, Point
from townlet_core.telemetry.decode import Block
from townlet_core.telemetry.fields import AXES, BY_NAME, CURVES, NUMBERS, OF_BATCH
from townlet_core.telemetry.records import Record, finite_number
from townlet_core.telemetry.trends import PARTS, Cycles, Parts, Trend
from townlet_core.vocab import DATA_MODES

CHUNK_RECORDS = 4096
MODES = ("rollout", "mixed", "replay", "unknown")  # in display order; records of version 1.0 have no mode
FRESH_MODES = ("rollout", "unknown")  # of new data in every cycle; recordings repeat
_MODE_OF = np.array([MODES.index(mode) for mode in DATA_MODES])
EVENT_COUNTS = tuple(name for name in NUMBERS if BY_NAME[name].unit in ("events", "intensity"))
_COLUMN = {name: i for i, name in enumerate(NUMBERS)}
_AXIS_COLUMNS = [_COLUMN[name] for name in AXES]
_CURVE_COLUMNS = [_COLUMN[name] for name in CURVES]
_IS_OF_BATCH = np.array([name in OF_BATCH for name in NUMBERS])
_NUMBER_TYPES = (int, float)


class Extremes(NamedTuple):
    """Statistics of one field in one data mode. An epoch is NaN where its record had none."""

    latest: float
    minimum: float
    minimum_epoch: float
    maximum: float
    maximum_epoch: float
    mean: float  # over epochs, or over batches where the field describes the batch


class Batches:
    """Tells the first record of a batch from those of its later epochs, which repeat its statistics.

    The records of one run, cycle and data mode are those of one batch, as long as their epochs go up; a
    record that does not say its cycle is a batch of its own. Remembers one batch per run and mode.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[float, float]] = {}  # run and mode: cycle and epoch
        self._cycles: dict[str, tuple[float, float]] = {}  # run: its first and its last cycle

    def is_first(self, run: str, mode: str, cycle: float, epoch: float) -> bool:
        """Add a record; return whether it is the first of its batch."""
        if math.isnan(cycle):
            return True
        first, last = self._cycles.get(run, (cycle, cycle))
        self._cycles[run] = (min(first, cycle), max(last, cycle))
        cycle_before, epoch_before = self._last.get((run, mode), (math.nan, math.nan))
        self._last[run, mode] = (cycle, epoch)
        return cycle != cycle_before or epoch <= epoch_before

    def begins(self, record: Record, mode: str) -> bool:
        """Add a record; return whether it is the first of its batch."""
        run = record.get("run_id")
        place = (finite_number(record.get(name), below=2**63) for name in ("cycle_id", "epoch"))
        return self.is_first(run if type(run) is str else "", mode, *place)

    def are_first(self, run: str, mode: str, cycles: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """Add records of one run and mode, in their order; return which are the first of their batch."""
        if np.isnan(cycles).any():
            return np.array(
                [
                    self.is_first(run, mode, *pair)
                    for pair in zip(cycles.tolist(), epochs.tolist(), strict=True)
                ]
            )
        first, last = self._cycles.get(run, (np.inf, -np.inf))
        self._cycles[run] = (min(first, float(cycles.min())), max(last, float(cycles.max())))
        cycle_before, epoch_before = self._last.get((run, mode), (math.nan, math.nan))
        self._last[run, mode] = (float(cycles[-1]), float(epochs[-1]))
        found = np.empty(len(cycles), bool)
        found[0] = cycles[0] != cycle_before or epochs[0] <= epoch_before
        found[1:] = (cycles[1:] != cycles[:-1]) | (epochs[1:] <= epochs[:-1])
        return found

    def cycles(self) -> int:
        """Return the number of cycles that the records span, including those without a record."""
        spans = [last - first + 1 for first, last in self._cycles.values()]
        return int(sum(spans)) if all(map(math.isfinite, spans)) else 0


class Statistics:
    """Statistics of records added one by one. Values that are not finite numbers are ignored."""

    def __init__(self) -> None:
        self.records = 0
        self.latest: Record = {}
        self._batches = Batches()
        self._rows = np.empty((CHUNK_RECORDS, len(NUMBERS)))  # not folded in yet: the first _waiting
        self._row_modes = np.empty(CHUNK_RECORDS, np.int64)
        self._row_runs = np.empty(CHUNK_RECORDS, np.int64)  # places in _runs
        self._runs: dict[str, int] = {}
        self._waiting = 0
        shape = (len(MODES), len(NUMBERS))
        self._latest, self._low_epoch, self._high_epoch = (np.full(shape, np.nan) for _ in range(3))
        self._low, self._high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self._sums, self._counts = np.zeros(shape), np.zeros(shape, np.int64)
        self._mode_records, self._mode_batches = (np.zeros(len(MODES), np.int64) for _ in range(2))
        self._curves = [Curves(len(AXES), len(CURVES)) for _ in MODES]
        self._parts = [Parts(len(NUMBERS)) for _ in MODES]

    def add(self, record: Record) -> None:
        """Add one record."""
        values: list[Any] = list(map(record.get, NUMBERS))
        mode = record.get("data_mode")
        mode = mode if type(mode) is str and mode in MODES else "unknown"
        run = record.get("run_id")
        row = np.array([value if type(value) in _NUMBER_TYPES else np.nan for value in values], np.float64)
        self._wait(row[None], np.array([MODES.index(mode)]), run if type(run) is str else "")
        self.latest = record

    def add_block(self, block: Block) -> None:
        """Add the records of a block of one run, with their numbers; `latest` stays as it is."""
        assert block.numbers is not None
        self._wait(block.numbers.table, _MODE_OF[block.numbers.modes], next(iter(block.runs), ""))

    def _wait(self, rows: np.ndarray, modes: np.ndarray, run: str) -> None:
        """Buffer rows, and fold them in by CHUNK_RECORDS, however they come: sums are rounded in one way."""
        self.records += len(rows)
        while len(rows):
            fits = min(CHUNK_RECORDS - self._waiting, len(rows))
            place = slice(self._waiting, self._waiting + fits)
            self._rows[place], self._row_modes[place] = rows[:fits], modes[:fits]
            self._row_runs[place] = self._runs.setdefault(run, len(self._runs))
            self._waiting += fits
            rows, modes = rows[fits:], modes[fits:]
            if self._waiting == CHUNK_RECORDS:
                self._fold()

    def modes(self) -> dict[str, int]:
        """Return the number of records of each data mode that occurred."""
        self._fold()
        return {mode: int(n) for mode, n in zip(MODES, self._mode_records, strict=True) if n}

    def cycles(self, mode: str) -> tuple[int, int]:
        """Return the number of cycles of a mode that have a record, and of cycles the log spans."""
        self._fold()
        found = int(self._mode_batches[MODES.index(mode)])
        return found, max(found, self._batches.cycles())

    def extremes(self, mode: str) -> dict[str, Extremes]:
        """Return latest, minimum, maximum and mean of each field that had a value in this mode."""
        self._fold()
        m = MODES.index(mode)
        with np.errstate(invalid="ignore"):
            means = np.where(self._counts[m], self._sums[m] / np.maximum(self._counts[m], 1), np.nan)
        columns = (self._latest, self._low, self._low_epoch, self._high, self._high_epoch)
        table = np.stack([*(column[m] for column in columns), means], axis=1).tolist()
        return {name: Extremes(*table[i]) for i, name in enumerate(NUMBERS) if self._low[m, i] < np.inf}

    def means(self, mode: str) -> dict[str, float]:
        """Return each field's mean in this mode, for the fields it had."""
        return {name: found.mean for name, found in self.extremes(mode).items()}

    def event_totals(self, mode: str) -> dict[str, float]:
        """Return the conflicts and other events of a mode, each batch counted once; none for recordings.

        Recordings are read again in every cycle, so a sum over cycles would count events repeatedly.
        """
        if mode not in FRESH_MODES:
            return {}
        self._fold()
        m = MODES.index(mode)
        columns = [(name, _COLUMN[name]) for name in EVENT_COUNTS]
        return {name: float(self._sums[m, c]) for name, c in columns if self._counts[m, c]}

    def events_per_cycle(self, mode: str) -> dict[str, float]:
        """Return the mean number of events in the data behind a cycle, for the fields it had."""
        means = self.means(mode)
        return {name: means[name] for name in EVENT_COUNTS if name in means}

    def axis(self) -> str | None:
        """Return the x axis of the curves, one of AXES; None to use the number of the record."""
        self._fold()
        for name in AXES:
            column = _COLUMN[name]
            if self._counts[:, column].sum() == self.records and self._high[:, column].max() > 0:
                return name
        return None

    def curve(self, name: str, mode: str) -> list[Point]:
        """Return one of CURVES in one mode over axis(), in at most CURVE_POINTS points."""
        axis = self.axis()
        curves = self._curves[MODES.index(mode)]
        return curves.points(CURVES.index(name), None if axis is None else list(AXES).index(axis))

    def trend(self, name: str, mode: str) -> Trend | None:
        """Return the trend of a field over the cycles of a mode; None if it has values in under three."""
        self._fold()
        return self._parts[MODES.index(mode)].trend(_COLUMN[name])

    def by_cycle(self, mode: str, most: int = PARTS) -> list[Cycles]:
        """Return the means of CURVES over spans of neighbouring cycles of a mode, at most `most` spans."""
        self._fold()
        return self._parts[MODES.index(mode)].cycles({name: _COLUMN[name] for name in CURVES}, most)

    def _fold(self) -> None:
        """Fold the buffered rows into the results."""
        if not self._waiting:
            return
        table, modes = self._rows[: self._waiting], self._row_modes[: self._waiting]
        runs = self._row_runs[: self._waiting]
        self._waiting = 0
        infinite = np.isinf(table)
        if infinite.any():
            table[infinite] = np.nan
        for m in np.flatnonzero(np.bincount(modes)).tolist():
            rows = np.flatnonzero(modes == m)
            self._fold_mode(m, table.take(rows, 0), runs[rows])

    def _fold_mode(self, m: int, table: np.ndarray, runs: np.ndarray) -> None:
        is_first = self._are_first(m, table, runs)
        self._curves[m].add(table.take(_AXIS_COLUMNS, 1), table.take(_CURVE_COLUMNS, 1))
        self._mode_records[m] += len(table)
        self._mode_batches[m] += is_first.sum()
        parts = self._parts[m].begin(is_first, table[:, _COLUMN["cycle_id"]])
        epochs = table[:, _COLUMN["epoch"]]
        for columns, rows in _known(table):
            values = table.take(rows, 0).take(columns, 1)
            self._latest[m, columns] = values[-1]
            self._fold_extremes(m, columns, values, epochs[rows])
            # What describes a batch counts once, in its first record.
            of_batch, begins = _IS_OF_BATCH[columns], is_first[rows]
            self._fold_sums(m, columns[~of_batch], values.compress(~of_batch, 1), parts[rows])
            batches = values.compress(begins, 0).compress(of_batch, 1)
            self._fold_sums(m, columns[of_batch], batches, parts[rows[begins]])

    def _are_first(self, m: int, table: np.ndarray, runs: np.ndarray) -> np.ndarray:
        """Return which records are the first of their batch."""
        found = np.empty(len(table), bool)
        places = table[:, [_COLUMN["cycle_id"], _COLUMN["epoch"]]]
        places[np.abs(places) >= 2**63] = np.nan
        names = list(self._runs)
        for run in np.unique(runs).tolist():
            rows = runs == run
            found[rows] = self._batches.are_first(names[run], MODES[m], *places[rows].T)
        return found

    def _fold_extremes(self, m: int, columns: np.ndarray, values: np.ndarray, epochs: np.ndarray) -> None:
        low, high = values.min(0), values.max(0)
        for i in np.flatnonzero(low < self._low[m, columns]).tolist():
            self._low_epoch[m, columns[i]] = epochs[values[:, i].argmin()]
            self._low[m, columns[i]] = low[i]
        for i in np.flatnonzero(high > self._high[m, columns]).tolist():
            self._high_epoch[m, columns[i]] = epochs[values[:, i].argmax()]
            self._high[m, columns[i]] = high[i]

    def _fold_sums(self, m: int, columns: np.ndarray, values: np.ndarray, parts: np.ndarray) -> None:
        if not values.size:
            return
        self._counts[m, columns] += len(values)
        with np.errstate(over="ignore", invalid="ignore"):  # overflow gives inf or NaN without a warning
            self._sums[m, columns] += self._parts[m].add(columns, values, parts)


def _known(table: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the columns that hold numbers, those of the same rows together, and these rows."""
    known = ~np.isnan(table)
    is_full = known.all(0)
    if is_full.any():
        yield np.flatnonzero(is_full), np.arange(len(table))
    rest = np.flatnonzero(known.any(0) & ~is_full)
    while len(rest):
        is_alike = (known[:, rest] == known[:, rest[:1]]).all(0)
        yield rest[is_alike], np.flatnonzero(known[:, rest[0]])
        rest = rest[~is_alike]
