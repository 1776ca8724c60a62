"""Statistics of a log per data mode, in one pass: extremes, means, event counts, curves."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from townlet_core.telemetry.curves import Curves, Point
from townlet_core.telemetry.fields import AXES, BY_NAME, CURVES, NUMBERS, OF_BATCH
from townlet_core.telemetry.records import Record

CHUNK_RECORDS = 1024
MODES = ("rollout", "mixed", "replay", "unknown")  # in display order; records of version 1.0 have no mode
FRESH_MODES = ("rollout", "unknown")  # of new data in every cycle; recordings repeat
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

    def is_first(self, record: Record, mode: str) -> bool:
        """Add a record; return whether it is the first of its batch."""
        run = record.get("run_id")
        run = run if type(run) is str else ""
        cycle, epoch = _number(record.get("cycle_id")), _number(record.get("epoch"))
        if math.isnan(cycle):
            return True
        first, last = self._cycles.get(run, (cycle, cycle))
        self._cycles[run] = (min(first, cycle), max(last, cycle))
        cycle_before, epoch_before = self._last.get((run, mode), (math.nan, math.nan))
        self._last[run, mode] = (cycle, epoch)
        return cycle != cycle_before or epoch <= epoch_before

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
        self._rows: list[list[float]] = []  # (up to CHUNK_RECORDS, len(NUMBERS)), not folded in yet
        self._row_modes: list[int] = []
        self._row_is_first: list[bool] = []  # of its batch
        shape = (len(MODES), len(NUMBERS))
        self._latest, self._low_epoch, self._high_epoch = (np.full(shape, np.nan) for _ in range(3))
        self._low, self._high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self._sums, self._counts = np.zeros(shape), np.zeros(shape, np.int64)
        self._mode_records, self._mode_batches = (np.zeros(len(MODES), np.int64) for _ in range(2))
        self._curves = [Curves(len(AXES), len(CURVES)) for _ in MODES]

    def add(self, record: Record) -> None:
        """Add one record."""
        values: list[Any] = list(map(record.get, NUMBERS))
        mode = record.get("data_mode")
        mode = mode if type(mode) is str and mode in MODES else "unknown"
        self._rows.append([value if type(value) in _NUMBER_TYPES else np.nan for value in values])
        self._row_modes.append(MODES.index(mode))
        self._row_is_first.append(self._batches.is_first(record, mode))
        self.records += 1
        self.latest = record
        if len(self._rows) == CHUNK_RECORDS:
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

    def _fold(self) -> None:
        """Fold the buffered rows into the results."""
        if not self._rows:
            return
        table = np.array(self._rows, dtype=np.float64)
        modes, is_first = np.array(self._row_modes), np.array(self._row_is_first)
        self._rows, self._row_modes, self._row_is_first = [], [], []
        table[~np.isfinite(table)] = np.nan
        for m in np.unique(modes).tolist():
            self._fold_mode(m, table[modes == m], is_first[modes == m])

    def _fold_mode(self, m: int, table: np.ndarray, is_first: np.ndarray) -> None:
        known = ~np.isnan(table)
        epochs = table[:, _COLUMN["epoch"]]
        last = len(table) - 1 - known[::-1].argmax(0)
        self._latest[m] = np.where(known.any(0), table[last, np.arange(len(NUMBERS))], self._latest[m])
        self._fold_low(m, np.where(known, table, np.inf), epochs)
        self._fold_high(m, np.where(known, table, -np.inf), epochs)
        self._curves[m].add(table[:, _AXIS_COLUMNS], table[:, _CURVE_COLUMNS])
        self._mode_records[m] += len(table)
        self._mode_batches[m] += is_first.sum()
        known[np.ix_(~is_first, _IS_OF_BATCH)] = False
        self._counts[m] += known.sum(0)
        with np.errstate(over="ignore", invalid="ignore"):  # overflow gives inf or NaN without a warning
            self._sums[m] += np.where(known, table, 0.0).sum(0)

    def _fold_low(self, m: int, table: np.ndarray, epochs: np.ndarray) -> None:
        low = table.min(0)
        self._low_epoch[m] = np.where(low < self._low[m], epochs[table.argmin(0)], self._low_epoch[m])
        self._low[m] = np.minimum(low, self._low[m])

    def _fold_high(self, m: int, table: np.ndarray, epochs: np.ndarray) -> None:
        high = table.max(0)
        self._high_epoch[m] = np.where(high > self._high[m], epochs[table.argmax(0)], self._high_epoch[m])
        self._high[m] = np.maximum(high, self._high[m])


def _number(value: Any) -> float:
    return float(value) if type(value) in _NUMBER_TYPES and abs(value) < 2**63 else math.nan
