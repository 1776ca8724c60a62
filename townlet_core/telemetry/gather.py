"""Add up the records of a log: whole blocks of lines where they hold no problem, else line by line."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.telemetry.continuity import Continuity
from townlet_core.telemetry.decode import Block, BlockDecoder, last_record
from townlet_core.telemetry.reader import Line, read_blocks, records_of
from townlet_core.telemetry.records import Record, parse_record
from townlet_core.telemetry.segments import segment_gaps
from townlet_core.telemetry.statistics import Statistics


class Chunk(NamedTuple):
    """The records of some neighbouring lines: decoded at once, or one by one."""

    size: int
    data: bytes  # the lines of the block
    block: Block | None  # None where the records are given
    records: list[Record]


def read_statistics(
    path: Path,
    on_damage: Callable[[Line, str], None],
    on_gap: Callable[[str], Any] = lambda sentence: None,
    last: int | None = None,
) -> Statistics:
    """Return the statistics of all records of a log, or of the last `last`; the others as in read_records."""
    for file, problem in segment_gaps(path):
        on_gap(f"{file}: {problem}")
    statistics, latest = Statistics(), b""
    chunks = _chunks(path, on_damage, on_gap)
    for chunk in chunks if last is None else _tail(chunks, last):
        if chunk.block:
            statistics.add_block(chunk.block)
            latest = chunk.data
        for record in chunk.records:
            statistics.add(record)
            latest = b""
    if latest:
        statistics.latest = last_record(latest)
    return statistics


def _chunks(
    path: Path, on_damage: Callable[[Line, str], None], on_gap: Callable[[str], Any]
) -> Iterator[Chunk]:
    continuity, decoder = Continuity(), BlockDecoder()
    for block in read_blocks(path):
        decoded = decoder.decode(block.data, True) if block.whole else None
        if decoded and continuity.follows(decoded):
            yield Chunk(decoded.size, block.data, decoded, [])
            continue
        records = [record for _, record in records_of(block.lines(), continuity, on_damage, on_gap)]
        decoder.learn(records)
        yield Chunk(len(records), b"", None, records)


def _tail(chunks: Iterable[Chunk], last: int) -> Iterable[Chunk]:
    """Return the last records as chunks; no more is kept while reading than they need."""
    kept, records = deque[Chunk](), 0
    for chunk in chunks:
        kept.append(chunk)
        records += chunk.size
        while records - kept[0].size >= last:
            records -= kept.popleft().size
    if records > last:
        first = kept.popleft()
        kept.appendleft(_end_of(first, first.size - (records - last)))
    return kept


def _end_of(chunk: Chunk, count: int) -> Chunk:
    records = chunk.records
    if chunk.block:
        records = [parse_record(line)[0] for line in chunk.data.split(b"\n")[-1 - count : -1]]
    return Chunk(count, b"", None, records[-count:])
