"""Decode a block of lines at once, without a dictionary per record; every doubt is left to the plain path.

A `BlockDecoder` accepts a block only if `validate` would find nothing to say about any of its lines but their
place in the stream. It has learned, from records that were checked one by one, which fields the records of
each data mode hold. From these it builds one msgspec type per mode, which knows the type of every field,
refuses any other field, and decodes in C. What that leaves open is checked on the bytes of the whole block:

- one record per line: each line begins with `{` and ends with `}`, and there are as many records as lines;
- no key twice: there are as many colons as fields, apart from those inside text.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import attrgetter, or_
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from townlet_core.telemetry.fields import BY_NAME, HISTOGRAM_BINS, NUMBERS, VERSIONS, required_fields
from townlet_core.telemetry.records import MAX_LINE_BYTES, Record, check_record, parse_record
from townlet_core.vocab import DATA_MODES

MAX_SHAPES = 64  # sets of names of one log; more is not a log of ours, and each costs a new decoder
MAX_REFUSED = 8  # records of one set of names that are looked at in vain
MISSING = float("nan")  # of a number that a record does not have; JSON cannot hold it
# Their columns are needed as such, so all records of a log hold them, or none.
_TEXTS = [name for name, field in BY_NAME.items() if field.type == "str" and name != "data_mode"]
ALL_OR_NONE = (*_TEXTS, "log_stream_offset", "log_every")
_OPEN, _CLOSE, _COLON = b"{}:"
# Half of 64 bits, so that sums and differences of two fit.
WHOLE = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
COUNTS = Annotated[
    list[Annotated[int, msgspec.Meta(ge=0, le=2**62)]],
    msgspec.Meta(min_length=HISTOGRAM_BINS, max_length=HISTOGRAM_BINS),
]
_TYPES: dict[str, Any] = {"int": WHOLE, "float": float, "str": str, "histogram": COUNTS}
_SIMPLE = {"int": (int,), "float": (int, float), "str": (str,), "histogram": (list,)}


class Mode:
    """What the records of one data mode hold, and the type that decodes them."""

    def __init__(self, name: str, always: frozenset[str], sometimes: frozenset[str]) -> None:
        self.name = name
        self.keys = len(always)
        numbers = [number for number in NUMBERS if number in always | sometimes]
        others = [field for field in BY_NAME if field in always and field not in NUMBERS]
        self.columns = np.array([NUMBERS.index(number) for number in numbers])
        self.sometimes = [attribute_of(field) for field in numbers if field in sometimes]
        self.kind = msgspec.defstruct(
            name,
            [_definition(field, name, field in sometimes) for field in [*numbers, *others]],
            kw_only=True,  # a field with a default may stand before one without
            forbid_unknown_fields=True,
            tag_field="data_mode",
            tag=name,
            gc=False,
        )
        self._pack = struct.Struct(f"={len(numbers)}d").pack

    def table(self, records: Sequence[Any]) -> np.ndarray:
        """Return the numbers of records of this mode: (n, len(NUMBERS)), NaN where a record has none."""
        width, values, pack = len(self.columns), msgspec.structs.astuple, self._pack
        rows = b"".join([pack(*values(record)[:width]) for record in records])
        table = np.full((len(records), len(NUMBERS)), np.nan)
        table[:, self.columns] = np.frombuffer(rows).reshape(-1, width)
        return table

    def keys_of(self, records: Sequence[Any]) -> int:
        """Return how many fields the records hold in all."""
        keys = len(records) * (self.keys + 1)  # and data_mode
        for name in self.sometimes:
            keys += sum(value == value for value in map(attrgetter(name), records))
        return keys


class Block(NamedTuple):
    """The records of some lines without a problem of their own. Columns are in the order of the lines."""

    records: list[Any]
    modes: list[Mode]  # those that occur
    columns: dict[str, tuple[Any, ...]]  # of the fields of ALL_OR_NONE that the log has


class BlockDecoder:
    """Decodes blocks of lines of one log, once it has seen records of its kind."""

    def __init__(self) -> None:
        self._shapes: set[tuple[str, tuple[str, ...]]] = set()  # mode and names
        self._refused: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._modes: dict[type, Mode] = {}
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._names: tuple[str, ...] = ()  # of the columns
        self._versions: frozenset[float] = frozenset()

    def decode(self, data: bytes) -> Block | None:
        """Decode whole lines, newlines included; None where any of them needs a closer look."""
        if self._decoder is None or len(data) > MAX_LINE_BYTES or b"\\" in data:
            return None
        try:
            records = self._decoder.decode_lines(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        modes = [self._modes[kind] for kind in set(map(type, records))]
        version, *columns = zip(*map(self._get_columns, records), strict=True)
        block = Block(records, modes, dict(zip(self._names, columns, strict=True)))
        if not self._versions.issuperset(version) or not _is_plain(data, block):
            return None
        return block

    def learn(self, records: Iterable[Record]) -> None:
        """Learn from records that were parsed one by one; other logs are left to the plain path."""
        before = len(self._shapes)
        for record in records:
            shape = (str(record.get("data_mode")), tuple(record))
            if shape in self._shapes or len(self._shapes) == MAX_SHAPES:
                continue
            if self._refused[shape] < MAX_REFUSED and _is_simple(record):
                self._shapes.add(shape)
            elif len(self._refused) < MAX_SHAPES:
                self._refused[shape] += 1
        if len(self._shapes) > before:
            self._build()

    def _build(self) -> None:
        names: dict[str, list[frozenset[str]]] = {}
        for mode, fields in self._shapes:
            names.setdefault(mode, []).append(frozenset(fields) - {"data_mode"})
        always = {mode: frozenset.intersection(*sets) for mode, sets in names.items()}
        union = frozenset[str]().union(*(fields for sets in names.values() for fields in sets))
        common = frozenset.intersection(*always.values())
        self._names = tuple(name for name in ALL_OR_NONE if name in union)
        self._versions = frozenset(
            version for version in VERSIONS if common.issuperset({*required_fields(version)} - {"data_mode"})
        )
        self._decoder = None
        if common.issuperset(self._names) and self._versions:
            modes = [
                Mode(mode, always[mode], frozenset[str]().union(*sets) - always[mode])
                for mode, sets in names.items()
            ]
            self._modes = {mode.kind: mode for mode in modes}
            self._get_columns = attrgetter("telemetry_version", *self._names)
            self._decoder = msgspec.json.Decoder(reduce(or_, self._modes))


def attribute_of(field: str) -> str:
    """Return the name of a field as an attribute of a decoded record."""
    return field.replace(".", "_")


def _definition(field: str, mode: str, may_miss: bool) -> tuple[str, Any, Any]:
    kind = _TYPES[BY_NAME[field].type]
    if field == "rollout_ticks" and mode == "replay":
        kind = Annotated[int, msgspec.Meta(ge=0, le=0)]
    found = msgspec.field(name=field, default=MISSING) if may_miss else msgspec.field(name=field)
    return attribute_of(field), kind, found


def _is_simple(record: Record) -> bool:
    """Whether a record is without a problem, holds known fields only, and whole numbers as such."""
    return (
        record.get("data_mode") in DATA_MODES
        and not check_record(record)
        and all(
            name in BY_NAME and type(value) in _SIMPLE[BY_NAME[name].type] for name, value in record.items()
        )
    )


def _is_plain(data: bytes, block: Block) -> bool:
    """Whether each line is one record, and no record has a key twice."""
    if not _are_objects(data, len(block.records)):
        return False
    colons = np.count_nonzero(np.frombuffer(data, np.uint8) == _COLON)
    for name, column in block.columns.items():
        if BY_NAME[name].type == "str":
            colons -= "".join(column).count(":")
    return bool(colons == sum(mode.keys_of(rows_of(block, mode)) for mode in block.modes))


def _are_objects(data: bytes, count: int) -> bool:
    """Whether the data is so many lines, each of which begins with `{` and ends with `}`."""
    start = 0
    for _ in range(count):
        end = data.find(b"\n", start)  # of one byte, so it takes less than numpy does to compare all
        if end < 0 or data[start] != _OPEN or data[end - 1] != _CLOSE:
            return False
        start = end + 1
    return start == len(data)


def last_record(data: bytes) -> Record:
    """Return the last record of a block's lines."""
    return parse_record(data[data.rfind(b"\n", 0, -1) + 1 : -1])[0]


def rows_of(block: Block, mode: Mode) -> list[Any]:
    """Return the records of one mode."""
    if len(block.modes) == 1:
        return block.records
    return [record for record in block.records if type(record) is mode.kind]
