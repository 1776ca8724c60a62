"""The event log of a capture: one JSON object per line, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from townlet_core import io
from townlet_core.errors import InputError, MissingFileError, did_you_mean, shown
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.vocab import CONFLICT_REASONS, EVENTS

_CONFLICT_FIELDS = ("object_id", "actor", "rival", "reason", "queue_length", "intensity")


def save_events(folder: Path, prefix: str, events: Iterable[dict[str, Any]]) -> Path:
    """Write `<prefix>_events.jsonl`. Each event has `tick`, `town`, `type` and the fields of its type."""
    path = Path(folder) / f"{prefix}_events.jsonl"
    io.write_file(path, dump_events(events))
    return path


def dump_events(events: Iterable[dict[str, Any]]) -> bytes:
    """Return the lines of an event log."""
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
    return b"".join(orjson.dumps(event, option=options) for event in events)


def load_events(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Iterator[dict[str, Any]]:
    """Read events one by one, in constant memory.

    Raises InputError with the line of the first invalid event (docs/data.md), MissingError, or DiskError.
    """
    path = Path(path)
    if io.kind_of(path) != "file":
        raise MissingFileError(f"{path}: no such file")
    try:
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(limits.max_line_bytes + 1):
                number += 1
                if len(line) > limits.max_line_bytes:
                    raise InputError(f"{path}:{number}: is longer than {limits.max_line_bytes:,} bytes")
                line = io.without_mark(line) if number == 1 else line
                if line.strip():  # blank lines are allowed
                    yield _parse(line, f"{path}:{number}")
    except OSError as error:
        raise io.disk_error(error, path) from error


def count_events(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> dict[str, int]:
    """Count the events of a log by type."""
    return dict(Counter(event["type"] for event in load_events(path, limits)))


def _parse(line: bytes, place: str) -> dict[str, Any]:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{place}:{error.colno}: not JSON: {error.msg}") from error
    if not isinstance(event, dict):
        raise InputError(f"{place}: is not a JSON object")
    for key in ("tick", "town"):
        if type(event.get(key)) is not int or event[key] < 0:
            raise InputError(f"{place}: {key} is {shown(event.get(key), 40)}, expected a number from 0")
    kind = event.get("type")
    if kind not in EVENTS:
        raise InputError(f"{place}: unknown event type {shown(kind, 40)}{did_you_mean(kind, EVENTS)}")
    if kind == "queue_conflict":
        _check_conflict(event, place)
    return event


def _check_conflict(event: dict[str, Any], place: str) -> None:
    missing = [name for name in _CONFLICT_FIELDS if name not in event]
    if missing:
        raise InputError(f"{place}: queue_conflict has no {', '.join(missing)}")
    if event["reason"] not in CONFLICT_REASONS:
        raise InputError(
            f"{place}: reason {shown(event['reason'], 40)}, expected {', '.join(CONFLICT_REASONS)}"
        )
    if type(event["queue_length"]) is not int or event["queue_length"] < 0:
        raise InputError(
            f"{place}: queue_length is {shown(event['queue_length'], 40)}, expected a number from 0"
        )
    if type(event["intensity"]) not in (int, float) or not 0.1 <= event["intensity"] <= 5:
        raise InputError(f"{place}: intensity is {shown(event['intensity'], 40)}, expected .1 to 5")
