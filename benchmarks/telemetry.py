"""Telemetry: records per second written, validated and summed up, and its share of a training run."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from benchmarks.figures import Effort, Figure, in_turn, rate
from benchmarks.telemetry_memory import memory_of_reading
from townlet_core.telemetry.decode import BlockDecoder
from townlet_core.telemetry.fields import FIELDS, required_fields
from townlet_core.telemetry.reader import read_blocks
from townlet_core.telemetry.summary import summarise
from townlet_core.telemetry.validate import LogCheck
from townlet_core.telemetry.writer import TelemetryWriter
from townlet_core.vocab import TELEMETRY_VERSION

RECORDS = 200_000
MEMORY_RECORDS = 1_000_000  # 2 GB
WRITTEN_AT_ONCE = 20_000  # records of one measurement of writing
REAL_LOG = Path(__file__).parents[1] / "tests" / "data" / "version_0_1_0" / "run" / "telemetry.jsonl"
ROUNDS = 3  # each takes long enough by itself

Work = Mapping[str, Callable[[Path], Any]]  # ours, the peer and the limit, in this order


def measure(effort: Effort) -> list[Figure]:
    """Write a log, then measure what is done with it."""
    records, at_once = (RECORDS, WRITTEN_AT_ONCE) if effort.full else (50, 50)
    rounds = min(effort.rounds, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        log, scratch = Path(folder) / "log.jsonl", Path(folder) / "scratch.jsonl"
        write_real_log(log, records)
        check_them: Work = {
            "validate": validate,
            "json.loads and checks": plain_checks,
            "orjson.loads": parse,
        }
        sum_them_up: Work = {
            "summary": summarise,
            "json.loads and extremes": plain_summary,
            "orjson.loads": parse,
        }
        write_them: Work = {
            "write": partial(write, count=at_once),
            "json.dumps and a flush each": partial(plain_write, count=at_once),
            "orjson.dumps and a write each": partial(bare_write, count=at_once),
        }
        figures = [
            _figure(log, records, check_them, rounds),
            _figure(log, records, sum_them_up, rounds),
            _figure(scratch, at_once, write_them, rounds),
            _bound(log, records, rounds),
        ]
        many = MEMORY_RECORDS if effort.full else 50
        write_real_log(log, many)
        figures += memory_of_reading(log, many)
    # Imported now, so that torch is not there while others are measured.
    from benchmarks.telemetry_in_training import share_of_training

    return [*figures, share_of_training(effort)]


def _figure(log: Path, records: int, work: Work, rounds: int) -> Figure:
    """Measure ours, the peer and the limit, in this order, on one log."""
    measures = {name: partial(rate, partial(step, log), records, 0) for name, step in work.items()}
    medians = in_turn(rounds, measures)
    name, peer, limit = work
    shown = f"{name} {records:,} records"
    return Figure(shown, medians[name], "records/s", 1, peer, medians[peer], limit, medians[limit])


def _bound(log: Path, records: int, rounds: int) -> Figure:
    """Measure what validate and summary cannot do without in one process."""
    steps = {"typed": decode_only, "orjson.loads": parse}
    found = in_turn(
        rounds, {name: partial(rate, partial(step, log), records, 0) for name, step in steps.items()}
    )
    name = f"msgspec alone {records:,} records"
    return Figure(
        name, found["typed"], "records/s", 1, limit="orjson.loads", limit_value=found["orjson.loads"]
    )


def make_record(epoch: int) -> dict[str, Any]:
    """Return a record with every field, as training hands it to the writer; half the numbers vary."""
    texts = {"data_mode": "rollout", "timestamp": "2026-01-01T00:00:00Z"}
    record: dict[str, Any] = {}
    for n, field in enumerate(FIELDS):
        if field.type == "int":
            record[field.name] = epoch * (n % 2) + n
        elif field.type == "float":
            record[field.name] = 0.001 * n + math.sin(epoch) * (n % 2)
        elif field.type == "histogram":
            record[field.name] = [epoch, 3, 2, 1, 0, 0, 0, 0, 0, 0]
        else:
            record[field.name] = texts.get(field.name, "benchmark")
    return record


def write_real_log(path: Path, count: int) -> None:
    """Write the records of a real run of two data modes, again and again under new epochs and offsets."""
    records = [orjson.loads(line) for line in REAL_LOG.read_bytes().splitlines()]
    with open(path, "wb") as file:
        for n in range(count):
            record, again = records[n % len(records)], n // len(records)
            place = {"log_stream_offset": n + 1, "epoch": n + 1, "cycle_id": record["cycle_id"] + 4 * again}
            steps = {name: record[name] + 1000 * again for name in ("steps", "env_steps", "env_ticks")}
            file.write(orjson.dumps(record | place | steps, option=orjson.OPT_APPEND_NEWLINE))


def write(path: Path, count: int) -> None:
    path.unlink(missing_ok=True)
    with TelemetryWriter(path) as writer:
        for epoch in range(count):
            writer.write(make_record(epoch))


def plain_write(path: Path, count: int) -> None:
    with open(path, "w") as file:
        for epoch in range(count):
            file.write(json.dumps(make_record(epoch)) + "\n")
            file.flush()


def bare_write(path: Path, count: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    try:
        for epoch in range(count):
            os.write(descriptor, orjson.dumps(make_record(epoch), option=orjson.OPT_APPEND_NEWLINE))
    finally:
        os.close(descriptor)


def validate(path: Path) -> None:
    problems = list(LogCheck(path).problems())
    assert not problems, problems[0]


def decode_only(path: Path) -> None:
    """Read blocks and decode them with the types of the log's fields; check nothing."""
    decoder = BlockDecoder()
    for block in read_blocks(path):
        if decoder.typed is None:
            decoder.learn(map(orjson.loads, block.data.splitlines()))
        assert decoder.typed is not None
        decoder.typed.decode_lines(block.data)


def plain_checks(path: Path) -> None:
    """Hold every record to the least that anybody would write by hand."""
    required, offset = required_fields(TELEMETRY_VERSION), 0
    with open(path) as file:
        for line in file:
            record = json.loads(line)
            for name in required:
                value = record[name]
                if isinstance(value, float):
                    assert math.isfinite(value), name
                else:
                    assert isinstance(value, int | str), name
            assert record["log_stream_offset"] > offset
            offset = record["log_stream_offset"]


def plain_summary(path: Path) -> dict[str, list[float]]:
    """Keep latest, least, most and sum of every number."""
    seen: dict[str, list[float]] = {}
    with open(path) as file:
        for line in file:
            for name, value in json.loads(line).items():
                if isinstance(value, int | float):
                    _, least, most, total = seen.get(name, (0.0, math.inf, -math.inf, 0.0))
                    seen[name] = [value, min(least, value), max(most, value), total + value]
    return seen


def parse(path: Path) -> None:
    with open(path, "rb") as file:
        for line in file:
            orjson.loads(line)
