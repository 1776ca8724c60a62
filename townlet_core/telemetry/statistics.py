"""What a log amounts to, in one pass and bounded memory: extremes, means per data mode, thinned curves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from townlet_core.telemetry.fields import BY_NAME, CURVES, NUMBERS
from townlet_core.telemetry.records import Record
from townlet_core.vocab import DATA_MODES

CHUNK_RECORDS = 1024
CURVE_POINTS = 1000  # a longer curve keeps every second record, then every fourth, …
MODES = (*DATA_MODES, "unknown")  # a 1.0 record says no mode
EVENT_COUNTS = tuple(name for name in NUMBERS if BY_NAME[name].unit in ("events", "intensity"))
_COLUMN = {name: i for i, name in enumerate(NUMBERS)}
_MODE_INDEX = {name: i for i, name in enumerate(DATA_MODES)}
_NUMBER_TYPES = (int, float)


class Extremes(NamedTuple):
    """How one field did over the log. An epoch is NaN where its record had none."""

    latest: float
    minimum: float
    minimum_epoch: float
    maximum: float
    maximum_epoch: float
    mean: float


class Statistics:
    """Add records one by one, then ask. A value that is not a finite number does not count."""

    def __init__(self) -> None:
        self.records = 0
        self.latest: Record = {}
        self._rows: list[list[float]] = []  # (up to CHUNK_RECORDS, len(NUMBERS)), not folded in yet
        self._row_modes: list[int] = []
        self._curve_rows: list[list[float]] = []  # every _stride-th record
        self._stride = 1
        nothing = np.full(len(NUMBERS), np.nan)
        self._latest, self._low_epoch, self._high_epoch = nothing.copy(), nothing.copy(), nothing.copy()
        self._low, self._high = np.full(len(NUMBERS), np.inf), np.full(len(NUMBERS), -np.inf)
        self._sums = np.zeros((len(MODES), len(NUMBERS)))
        self._counts = np.zeros((len(MODES), len(NUMBERS)), np.int64)
        self._mode_records = np.zeros(len(MODES), np.int64)

    def add(self, record: Record) -> None:
        """Count one record in."""
        values: list[Any] = list(map(record.get, NUMBERS))
        row = [value if type(value) in _NUMBER_TYPES else np.nan for value in values]
        mode = record.get("data_mode")
        self._rows.append(row)
        self._row_modes.append(
            _MODE_INDEX.get(mode, len(DATA_MODES)) if type(mode) is str else len(DATA_MODES)
        )
        if self.records % self._stride == 0:
            self._add_to_curves(row)
        self.records += 1
        self.latest = record
        if len(self._rows) == CHUNK_RECORDS:
            self._fold()

    def extremes(self) -> dict[str, Extremes]:
        """Return latest, minimum, maximum and mean of each field that had a value."""
        self._fold()
        counts = self._counts.sum(0)
        means = self._sums.sum(0) / np.maximum(counts, 1)
        columns = (self._latest, self._low, self._low_epoch, self._high, self._high_epoch, means)
        table = np.stack(columns, axis=1).tolist()
        return {name: Extremes(*table[i]) for i, name in enumerate(NUMBERS) if counts[i]}

    def modes(self) -> dict[str, int]:
        """Return how many records each data mode had, for the modes that occurred."""
        self._fold()
        return {mode: int(n) for mode, n in zip(MODES, self._mode_records, strict=True) if n}

    def event_totals(self, mode: str) -> dict[str, float]:
        """Return the summed counts of conflicts and other events in one mode, for the fields it had."""
        self._fold()
        i = MODES.index(mode)
        columns = [(name, _COLUMN[name]) for name in EVENT_COUNTS]
        return {name: float(self._sums[i, c]) for name, c in columns if self._counts[i, c]}

    def means(self, modes: tuple[str, ...]) -> dict[str, float]:
        """Return each field's mean over the records of these modes, for the fields they had."""
        self._fold()
        rows = [MODES.index(mode) for mode in modes]
        sums, counts = self._sums[rows].sum(0), self._counts[rows].sum(0)
        return {name: float(sums[i] / counts[i]) for i, name in enumerate(NUMBERS) if counts[i]}

    def curve(self, name: str) -> list[tuple[int, float]]:
        """Return (record, value) points of one of CURVES, at most CURVE_POINTS of them, gaps left out."""
        column = CURVES.index(name)
        values = [(i * self._stride, row[column]) for i, row in enumerate(self._curve_rows)]
        return [(i, value) for i, value in values if np.isfinite(value)]

    def _add_to_curves(self, row: list[float]) -> None:
        if len(self._curve_rows) == CURVE_POINTS:
            self._curve_rows = self._curve_rows[::2]
            self._stride *= 2
        self._curve_rows.append([row[_COLUMN[name]] for name in CURVES])

    def _fold(self) -> None:
        """Fold the waiting rows into the results."""
        if not self._rows:
            return
        table = np.array(self._rows, dtype=np.float64)
        modes = np.array(self._row_modes)
        self._rows, self._row_modes = [], []
        table[~np.isfinite(table)] = np.nan
        known = ~np.isnan(table)
        epochs = table[:, _COLUMN["epoch"]]
        last = len(table) - 1 - known[::-1].argmax(0)
        self._latest = np.where(known.any(0), table[last, np.arange(len(NUMBERS))], self._latest)
        self._fold_low(np.where(known, table, np.inf), epochs)
        self._fold_high(np.where(known, table, -np.inf), epochs)
        for mode in np.unique(modes):
            rows = modes == mode
            with np.errstate(over="ignore", invalid="ignore"):  # absurd numbers give absurd means, quietly
                self._sums[mode] += np.where(known, table, 0.0)[rows].sum(0)
            self._counts[mode] += known[rows].sum(0)
            self._mode_records[mode] += rows.sum()

    def _fold_low(self, table: np.ndarray, epochs: np.ndarray) -> None:
        at = table.argmin(0)
        low = table.min(0)
        self._low_epoch = np.where(low < self._low, epochs[at], self._low_epoch)
        self._low = np.minimum(low, self._low)

    def _fold_high(self, table: np.ndarray, epochs: np.ndarray) -> None:
        at = table.argmax(0)
        high = table.max(0)
        self._high_epoch = np.where(high > self._high, epochs[at], self._high_epoch)
        self._high = np.maximum(high, self._high)
