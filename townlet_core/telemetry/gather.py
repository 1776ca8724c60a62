"""Add up the records of a log: whole blocks of lines where they hold no problem, else line by line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from townlet_core.telemetry.continuity import Continuity
from townlet_core.telemetry.decode import BlockDecoder, last_record
from townlet_core.telemetry.reader import Line, read_blocks, records_of
from townlet_core.telemetry.segments import segment_gaps
from townlet_core.telemetry.statistics import Statistics


def read_statistics(
    path: Path,
    on_damage: Callable[[Line, str], None],
    on_gap: Callable[[str], Any] = lambda sentence: None,
) -> Statistics:
    """Return the statistics of all records of a log; on_damage, on_gap and errors as in read_records."""
    for file, problem in segment_gaps(path):
        on_gap(f"{file}: {problem}")
    statistics, continuity, decoder = Statistics(), Continuity(), BlockDecoder()
    for block in read_blocks(path):
        decoded = decoder.decode(block.data) if block.whole else None
        if decoded and continuity.follows(decoded.columns):
            statistics.add_block(decoded, last_record(block.data))
            continue
        records = []
        for _, record in records_of(block.lines(), continuity, on_damage, on_gap):
            statistics.add(record)
            records.append(record)
        decoder.learn(records)
    return statistics
