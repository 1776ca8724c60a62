"""Validate a log against the schema: every problem of every line, and its drift from a baseline."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from townlet_core.errors import MAX_SHOWN, InputError
from townlet_core.telemetry.columns import column_of_error, value_columns
from townlet_core.telemetry.continuity import Continuity
from townlet_core.telemetry.decode import BlockDecoder
from townlet_core.telemetry.drift import DRIFTING, Drift, measure_drift
from townlet_core.telemetry.reader import Block, Line, read_blocks
from townlet_core.telemetry.records import (
    FieldProblem,
    Record,
    check_record,
    duplicate_keys,
    parse_record,
)
from townlet_core.telemetry.segments import refuse_missing, segment_gaps
from townlet_core.telemetry.statistics import Statistics


class Problem(NamedTuple):
    """A problem of a log."""

    path: str
    line: int  # 0 for the log as a whole
    column: int  # of the field's value, or 1 for the line as a whole; 0 for the log
    field: str  # "" for the line as a whole
    problem: str


class LogCheck:
    """One validation of a log: iterate over `problems()`, then read counts and drift.

    baseline: statistics that the log's means are compared with.
    drift_threshold: maximum drift; None to measure only. relative: divide the drift by the baseline.
    Raises MissingError, or InputError for a folder.
    """

    def __init__(
        self,
        path: Path,
        baseline: Statistics | None = None,
        drift_threshold: float | None = None,
        relative: bool = False,
    ) -> None:
        refuse_missing(path)
        self.path = path
        self.records = 0
        self.found = 0  # problems
        self.drifts: list[Drift] = []
        self._baseline = baseline
        self._statistics = Statistics()
        self._drift_threshold = drift_threshold
        self._relative = relative
        self._continuity = Continuity()
        self._decoder = BlockDecoder()

    def problems(self) -> Iterator[Problem]:
        """Yield every problem in the order of the log, in bounded memory. Raises DiskError."""
        for problem in chain(self._line_problems(), self._drift_problems()):
            self.found += 1
            yield problem

    def _line_problems(self) -> Iterator[Problem]:
        for file, problem in segment_gaps(self.path):
            yield Problem(str(file), 0, 0, "", problem)
        for block in read_blocks(self.path):
            if not self._accept(block):
                yield from self._block_problems(block)
        if self.records == 0:
            yield Problem(str(self.path), 0, 0, "", "no record in this log")

    def _accept(self, block: Block) -> bool:
        """Whether a block has no problem; only then its records are added."""
        adds_up = self._baseline is not None
        decoded = self._decoder.decode(block.data, adds_up) if block.whole else None
        if decoded is None or not self._continuity.follows(decoded):
            return False
        self.records += decoded.size
        if adds_up:
            self._statistics.add_block(decoded)
        return True

    def _block_problems(self, block: Block) -> Iterator[Problem]:
        records: list[Record] = []
        for line in block.lines():
            problems = self._check_line(line, records)
            columns = value_columns(line.text) if any(field for field, _ in problems) else {}
            for field, problem in problems:
                column = columns.get(field, 1) if field else column_of_error(line.text)
                yield Problem(str(line.path), line.number, column, field[:MAX_SHOWN], problem)
        self.records += len(records)
        self._decoder.learn(records)

    def _drift_problems(self) -> Iterator[Problem]:
        if self._baseline is None or self.records == 0:
            return
        try:
            self.drifts = measure_drift(self._statistics, self._baseline)
        except InputError as error:
            yield Problem(str(self.path), 0, 0, "data_mode", str(error))
            return
        for field, problem in self._not_compared(self._baseline):
            yield Problem(str(self.path), 0, 0, field, problem)
        for drift in self.drifts:
            size = drift.relative if self._relative else drift.drift
            # A drift of NaN, from non-finite means, is above any threshold.
            if self._drift_threshold is not None and not size <= self._drift_threshold:
                means = f"{drift.mode} mean {drift.mean:.6g}, baseline {drift.baseline:.6g}"
                kind = "relative drift" if self._relative else "drift"
                above = f"{kind} {size:.4g} is above {self._drift_threshold:g}"
                yield Problem(str(self.path), 0, 0, drift.field, f"{means}: {above}")

    def _not_compared(self, baseline: Statistics) -> Iterator[FieldProblem]:
        """Report what of the baseline the log lacks: a comparison of a part only has not passed."""
        if not self.drifts:
            yield "", "has no field in common with the baseline, so nothing was compared"
        elif self._drift_threshold is not None:
            for mode in baseline.modes():
                # A baseline without data modes is compared with every mode.
                compared = {drift.field for drift in self.drifts if mode in (drift.mode, "unknown")}
                fields = [name for name in baseline.means(mode) if name in DRIFTING]
                if not compared.intersection(fields):
                    yield "data_mode", f"no {mode} record to compare with those of the baseline"
                    continue
                for name in fields:
                    if name not in compared:
                        yield name, f"no {mode} record has it, and the baseline does: it was not compared"

    def _check_line(self, line: Line, records: list[Record]) -> list[FieldProblem]:
        """Return the problems of a line; add its record to `records`."""
        if not line.whole:
            half = "half-written last line, as a crash leaves it; the next start of the writer drops it"
            return [("", line.damage or half)]
        try:
            record, problems = parse_record(line.text)
        except InputError as error:
            return [("", str(error))]
        records.append(record)
        if self._baseline is not None:
            self._statistics.add(record)
        problems += check_record(record)
        problems += duplicate_keys(line.text, record)
        problems += self._continuity.check(record)
        return problems
