"""The record batches of a shard, as its samples table lists them."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, NamedTuple

from townlet_core.errors import count
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.packed.message import MAGIC, most_expanded


class Batch(NamedTuple):
    """Where a record batch lies in the file, and its samples."""

    offset: int
    bytes: int
    rows: int
    sha256: str
    first_row: int
    first_sample: int
    last_sample: int  # exclusive


def parse_batches(listed: Any, stops: list[int], row_bytes: int, limits: ReadLimits) -> list[Batch]:
    """Return the record batches, which lie one behind the other and hold whole samples.

    stops: the row after the last one of each sample. row_bytes: of a row as a sample.
    Raises ValueError, with a message, if they do not.
    """
    batches: list[Batch] = []
    row = sample = 0
    end = None
    for entry in listed if isinstance(listed, list) else ():
        if not (isinstance(entry, list) and [type(value) for value in entry] == [int, int, int, str]):
            raise ValueError("does not list its record batches")
        offset, size, rows, digest = entry
        last = bisect_left(stops, row + rows) + 1
        is_whole = rows > 0 and last <= len(stops) and stops[last - 1] == row + rows
        if not is_whole or offset < len(MAGIC) or size < 1 or (end is not None and offset != end):
            raise ValueError("lists record batches that do not hold whole samples")
        expanded, most = rows * row_bytes, most_expanded(size, limits)
        if expanded > most:
            found = f"a record batch whose samples take {count(expanded, 'byte')}"
            raise ValueError(f"lists {found}, expected at most {most:,}")
        batches.append(Batch(offset, size, rows, digest, row, sample, last))
        row, sample, end = row + rows, last, offset + size
    if row != stops[-1] or batches[0].offset > limits.max_metadata_bytes:
        raise ValueError("lists record batches that do not hold all samples")
    return batches
