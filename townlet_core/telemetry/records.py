"""One line of a log: parse it, and list every problem of its record."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import Any

import orjson

from townlet_core.errors import InputError, count, did_you_mean, shown
from townlet_core.telemetry.fields import BY_NAME, HISTOGRAM_BINS, VERSIONS, required_fields
from townlet_core.vocab import DATA_MODES

MAX_LINE_BYTES = 1 << 20  # a record is about 2 kB; a longer line is not one

Record = dict[str, Any]
FieldProblem = tuple[str, str]  # (field, or "" for the whole line; what is wrong)

_FOUND = {
    str: "text",
    bool: "true or false",
    type(None): "null",
    list: "a list",
    dict: "an object",
    int: "a number",
    float: "a number",
}
_EXPECTED = {"int": "a whole number", "float": "a number", "str": "text", "histogram": "a list of counts"}
_ACCEPTED = {"int": (int, float), "float": (int, float), "str": (str,), "histogram": (list,)}


def parse_record(line: bytes) -> tuple[Record, list[FieldProblem]]:
    """Parse one line, newline not included; return its record, and the fields that are not finite.

    NaN and infinity are not JSON, but other writers emit them; they are returned as floats.
    Raises InputError if the line holds no record.
    """
    if len(line) > MAX_LINE_BYTES:
        raise InputError(f"longer than {MAX_LINE_BYTES:,} bytes")
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _parse_not_finite(line, error)
    if type(record) is not dict:
        raise InputError("not a JSON object")
    return record, []


def _parse_not_finite(line: bytes, error: orjson.JSONDecodeError) -> tuple[Record, list[FieldProblem]]:
    """Parse a line that is JSON except for non-finite numbers. Raises InputError for any other."""
    try:
        record = json.loads(line.decode("utf-8"), parse_int=float)
        # json accepts half a surrogate pair, which cannot be printed.
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        record = None
    problems = not_finite(record) if type(record) is dict else []
    if not problems:
        blank = not line.strip()
        raise InputError("blank line" if blank else f"column {error.colno}: not JSON: {error.msg}") from error
    return record, problems


def not_finite(record: Record) -> list[FieldProblem]:
    """List the fields that are NaN or infinite."""
    return [
        (name, f"{'NaN' if math.isnan(value) else value} is not a number, expected a finite one")
        for name, value in record.items()
        if type(value) is float and not math.isfinite(value)
    ]


def check_record(record: Record) -> list[FieldProblem]:
    """List every problem of a record of finite numbers, except its position in the stream.

    A log holds few different sets of names and types, so what depends on these alone is checked once per set.
    """
    version = record.get("telemetry_version")
    known = version if type(version) in (int, float) else None
    problems, floats = _check_shape(known, tuple(record), tuple(map(type, record.values())))
    found = list(problems)
    for name in floats:
        if not record[name].is_integer():
            found.append((name, f"is {record[name]}, expected a whole number"))
    mode = record.get("data_mode")
    if mode == "replay":
        if record.get("rollout_ticks"):
            found.append(("rollout_ticks", f"is {shown(record['rollout_ticks'])} in replay, expected 0"))
    elif type(mode) is str and mode not in DATA_MODES:
        found.append(("data_mode", f"is {shown(mode)}, expected {' or '.join(DATA_MODES)}"))
    if "rivalry_max_histogram" in record:
        found += _check_histogram("rivalry_max_histogram", record["rivalry_max_histogram"])
    return found


@lru_cache(maxsize=64)
def _check_shape(
    version: float | None, names: tuple[str, ...], types: tuple[type, ...]
) -> tuple[tuple[FieldProblem, ...], tuple[str, ...]]:
    """Check names and types; return the problems, and the whole-number fields that came as floats."""
    problems: list[FieldProblem] = []
    if version is not None and version not in VERSIONS:
        problems.append(("telemetry_version", f"is {version}, expected 1.0, 1.1 or 1.2"))
    # A record of unknown version is validated against the oldest version.
    for name in required_fields(version if version in VERSIONS else VERSIONS[0]):
        if name not in names:
            problems.append((name, f"missing, required since {BY_NAME[name].since}"))
    floats = []
    for name, kind in zip(names, types, strict=True):
        field = BY_NAME.get(name)
        if field is None:
            if kind is dict:
                problems.append((name, "is an object, expected a flat record"))
        elif kind not in _ACCEPTED[field.type]:
            problems.append((name, f"is {_FOUND.get(kind, kind.__name__)}, expected {_EXPECTED[field.type]}"))
        elif field.type == "int" and kind is float:
            floats.append(name)
    return tuple(problems), tuple(floats)


def number(value: Any) -> float:
    """Return a number as a float, NaN and infinity too; anything else as NaN."""
    return float(value) if type(value) in (int, float) else math.nan


def finite_number(value: Any, below: float = math.inf) -> float:
    """Return a number of a smaller magnitude than `below` as a float, anything else as NaN."""
    return float(value) if type(value) in (int, float) and abs(value) < below else math.nan


def whole_number(value: Any) -> int | None:
    """Return a whole number, also one that came as a float; None for anything else."""
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def _check_histogram(name: str, counts: Any) -> list[FieldProblem]:
    if type(counts) is not list:
        return []  # the wrong type is reported already
    if len(counts) != HISTOGRAM_BINS:
        return [(name, f"has {count(len(counts), 'count')}, expected {HISTOGRAM_BINS}")]
    if set(map(type, counts)) == {int} and min(counts) >= 0:
        return []
    if all(type(count) in (int, float) and count >= 0 and count % 1 == 0 for count in counts):
        return []  # the older format writes whole numbers as floats
    return [(name, "holds something that is not a count")]


def check_known(record: Record) -> list[FieldProblem]:
    """List the fields that FIELDS does not define; reading allows them, writing does not."""
    return [
        (name, f"not in FIELDS{did_you_mean(name, tuple(BY_NAME))}") for name in record if name not in BY_NAME
    ]


def duplicate_keys(line: bytes, record: Record) -> list[FieldProblem]:
    """List the keys a line holds more than once; parsers keep the last and say nothing.

    Only a line with more or fewer `":` than the record has keys is looked at closely.
    """
    if line.count(b'":') == len(record):
        return []
    seen: set[str] = set()
    repeated: list[str] = []

    def remember(pairs: list[tuple[str, Any]]) -> None:
        seen.clear()  # the outermost object is the last one to close
        repeated.clear()
        for name, _ in pairs:
            if name in seen:
                repeated.append(name)
            seen.add(name)

    try:
        json.loads(line.decode("utf-8"), object_pairs_hook=remember, parse_int=float)
    except RecursionError:
        return []  # nested too deep; reported as not being a flat record
    return [(name, "more than once in one record") for name in dict.fromkeys(repeated)]
