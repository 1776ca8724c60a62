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


class Numbers(NamedTuple):
    """The numbers of some records."""

    modes: np.ndarray  # (n,) int64, places in DATA_MODES
    table: np.ndarray  # (n, len(NUMBERS)) float64, NaN where a record has none


class Block(NamedTuple):
    """The records of some lines without a problem of their own, in the order of the lines."""

    size: int
    runs: frozenset[str]  # their run_ids
    every: frozenset[int]  # their values of log_every
    offsets: tuple[int, ...]
    numbers: Numbers | None  # if asked for


class Mode:
    """What the records of one data mode hold, and the type that decodes them."""

    def __init__(self, name: str, always: frozenset[str], sometimes: frozenset[str]) -> None:
        self.place = DATA_MODES.index(name)
        self.keys = len(always) + 1  # and data_mode
        numbers = [number for number in NUMBERS if number in always | sometimes]
        others = [field for field in BY_NAME if field in always and field not in NUMBERS]
        self._width = len(numbers)
        self._places = [numbers.index(number) if number in numbers else 0 for number in NUMBERS]
        self._missing = [i for i, number in enumerate(NUMBERS) if number not in numbers]
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
        self._pack = struct.Struct(f"{self._width}d").pack

    def table(self, records: Sequence[Any]) -> np.ndarray:
        """Return the numbers of the records of this mode: (n, len(NUMBERS)), NaN where a record has none."""
        width, values, pack = self._width, msgspec.structs.astuple, self._pack
        rows = b"".join([pack(*values(record)[:width]) for record in self._own(records)])
        table = np.frombuffer(rows).reshape(-1, width).take(self._places, axis=1)
        table[:, self._missing] = MISSING
        return table

    def keys_of(self, records: Sequence[Any], kinds: list[type]) -> int:
        """Return how many fields the records of this mode hold in all."""
        keys = kinds.count(self.kind) * self.keys
        for name in self.sometimes:
            keys += sum(value == value for value in map(attrgetter(name), self._own(records)))
        return keys

    def _own(self, records: Sequence[Any]) -> list[Any]:
        return [record for record in records if type(record) is self.kind]


class BlockDecoder:
    """Decodes blocks of lines of one log, once it has seen records of its kind."""

    def __init__(self) -> None:
        self._shapes: set[tuple[str, tuple[str, ...]]] = set()  # mode and names
        self._refused: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._modes: dict[type, Mode] = {}
        self.typed: msgspec.json.Decoder[Any] | None = None
        self._names: tuple[str, ...] = ()  # of columns: telemetry_version, and those of ALL_OR_NONE there are
        self._versions: frozenset[float] = frozenset()

    def decode(self, data: bytes, with_numbers: bool) -> Block | None:
        """Decode whole lines, newlines included; None where any of them needs a closer look."""
        if self.typed is None or len(data) > MAX_LINE_BYTES or b"\\" in data:
            return None
        try:
            records = self.typed.decode_lines(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if not _are_objects(data, len(records)):
            return None
        columns = dict(zip(self._names, zip(*map(self._get_columns, records), strict=True), strict=True))
        kinds = list(map(type, records))
        modes = [self._modes[kind] for kind in set(kinds)]
        keys = sum(mode.keys_of(records, kinds) for mode in modes)
        if not self._versions.issuperset(columns["telemetry_version"]) or keys != _count_keys(data, columns):
            return None
        runs, every = (frozenset(columns.get(name, ())) for name in ("run_id", "log_every"))
        offsets = columns.get("log_stream_offset", ())
        numbers = self._numbers_of(records, kinds, modes) if with_numbers else None
        return Block(len(records), runs, every, offsets, numbers)

    def _numbers_of(self, records: list[Any], kinds: list[type], modes: list[Mode]) -> Numbers:
        places = np.array([self._modes[kind].place for kind in kinds])
        table = np.empty((len(records), len(NUMBERS)))
        for mode in modes:
            table[places == mode.place] = mode.table(records)
        return Numbers(places, table)

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
        common_names = [name for name in ALL_OR_NONE if name in union]
        self._versions = frozenset(
            version for version in VERSIONS if common.issuperset({*required_fields(version)} - {"data_mode"})
        )
        self.typed = None
        if common.issuperset(common_names) and self._versions:
            modes = [
                Mode(mode, always[mode], frozenset[str]().union(*sets) - always[mode])
                for mode, sets in names.items()
            ]
            self._modes = {mode.kind: mode for mode in modes}
            self._names = ("telemetry_version", *common_names)
            self._get_columns = attrgetter(*self._names)
            self.typed = msgspec.json.Decoder(reduce(or_, self._modes))


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


def _count_keys(data: bytes, columns: dict[str, tuple[Any, ...]]) -> int:
    """Count the keys of all lines, also those that come twice: colons that are not inside text."""
    colons = np.count_nonzero(np.frombuffer(data, np.uint8) == _COLON)
    return int(colons) - sum("".join(columns[name]).count(":") for name in _TEXTS if name in columns)


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
