"""Check that consecutive records belong to one run and that none is missing."""

from __future__ import annotations

from townlet_core.telemetry.decode import Block
from townlet_core.telemetry.records import FieldProblem, Record, whole_number


class Continuity:
    """Compares each record with the one before it."""

    def __init__(self) -> None:
        self._offset: int | None = None  # log_stream_offset of the record before
        self._run_id: str | None = None

    def check(self, record: Record) -> list[FieldProblem]:
        """Return the problems between this record and those before it, and remember it."""
        return self._check_run(record) + self._check_offset(record)

    def follows(self, block: Block) -> bool:
        """Whether the records of a block continue those before; only then they are remembered.

        Allows only the usual: one run, one `log_every`, and every offset the next one. `check` allows more.
        """
        if len(block.runs) > 1 or (block.runs and self._run_id not in (None, *block.runs)):
            return False
        step = next(iter(block.every)) if len(block.every) == 1 else 0
        if step < 1 or not block.offsets:
            return False
        first = next_written(self._offset or 0, step)
        if block.offsets != tuple(range(first, first + step * len(block.offsets), step)):
            return False
        self._offset = block.offsets[-1]
        self._run_id = next(iter(block.runs), self._run_id)
        return True

    def _check_run(self, record: Record) -> list[FieldProblem]:
        run_id = record.get("run_id")
        if type(run_id) is not str:
            return []
        before, self._run_id = self._run_id, run_id
        if before in (None, run_id):
            return []
        return [("run_id", f"is '{run_id}' after '{before}': records of several runs in one log")]

    def _check_offset(self, record: Record) -> list[FieldProblem]:
        """Check the offset; without `log_every`, as other writers leave it, only that it increases."""
        offset = whole_number(record.get("log_stream_offset"))
        if offset is None:
            return []
        before, self._offset = self._offset, offset
        if before is not None and offset <= before:
            return [("log_stream_offset", f"is {offset} after {before}, expected it to increase")]
        every = whole_number(record.get("log_every"))
        if every is None or every < 1:
            return []
        expected = next_written(before or 0, every)
        if offset <= expected:
            return []
        found = f"is {offset} after {before}" if before else f"of the first record is {offset}"
        return [("log_stream_offset", f"{found}, expected {expected}: records are missing")]


def next_written(offset: int, every: int) -> int:
    """Return the next offset that is written after `offset`; these are 1, 1 + every, 1 + 2 every, etc."""
    return offset + every - (offset - 1) % every


def last_written(offset: int, every: int) -> int:
    """Return the offset of the last record up to `offset` that was written; 0 if there is none."""
    return offset - (offset - 1) % every if offset > 0 else 0
