"""One record as a line of a log: check it and encode it at once; every doubt is left to the plain path.

A msgspec type, built from FIELDS, knows the type of every field that our writer writes, and refuses any other
field. It checks and encodes in C, in the order of FIELDS. It accepts only records that `check_record` finds
nothing to say about, and writes the bytes that orjson writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
import orjson

from townlet_core.errors import RunFailed
from townlet_core.telemetry.decode import COUNTS, WHOLE, attribute_of
from townlet_core.telemetry.fields import FIELDS, Field, required_fields
from townlet_core.telemetry.records import Record, check_known, check_record, not_finite
from townlet_core.vocab import DATA_MODES, TELEMETRY_VERSION

_OWN = ("telemetry_version", "log_stream_offset", "log_every")  # the writer's, whatever a record holds
# NaN is refused by a bound, too. From 1e16 on, orjson writes 1e+16 and msgspec 1e16.
_FLOAT = Annotated[float, msgspec.Meta(gt=-1e16, lt=1e16)]
_TYPES: dict[str, Any] = {"int": WHOLE, "float": WHOLE | _FLOAT, "str": str, "histogram": COUNTS}
# msgspec takes subclasses for these, and decimals, tuples and sets.
_EXACT, _EXACT_COUNT = frozenset((int, float, str, list)), frozenset((int,))


def to_line(record: Mapping[str, Any], offset: int, log_every: int) -> bytes:
    """Return the record as a line, with version, offset and log_every.

    Raises RunFailed with every problem of the record.
    """
    line = encode_at_once(record, offset, log_every)
    if line is not None:
        return line
    own = dict(zip(_OWN, (TELEMETRY_VERSION, offset, log_every), strict=True))
    return encode_plainly({**record, **own})


def encode_at_once(record: Mapping[str, Any], offset: int, log_every: int) -> bytes | None:
    """Return the line of a record without a problem; None for a record that needs a closer look."""
    try:
        counts = record.get("rivalry_max_histogram", ())
        if not (_EXACT.issuperset(map(type, record.values())) and _EXACT_COUNT.issuperset(map(type, counts))):
            return None
        made: Any = msgspec.convert(record, _WRITTEN)
        if made.data_mode == "replay" and made.rollout_ticks:
            return None
        made.telemetry_version, made.log_stream_offset, made.log_every = TELEMETRY_VERSION, offset, log_every
        _encoder.encode_into(made, _buffer)
    except (msgspec.MsgspecError, TypeError, UnicodeError):
        return None
    _buffer.append(ord("\n"))
    return bytes(_buffer)


def encode_plainly(record: Record) -> bytes:
    """Encode a whole record in the order of FIELDS, from its dictionary. Raises RunFailed as to_line."""
    place = f"telemetry record of epoch {record.get('epoch')}"
    names = _in_order(tuple(record))
    try:
        line = orjson.dumps({name: record[name] for name in names}, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:  # an integer of more than 64 bits, text that is not UTF-8
        line, refused = b"", error
    # orjson writes numbers that are not finite as null, which no field may be.
    is_sound = line and b"null" not in line and len(names) == len(record)
    problems = (
        check_record(record) if is_sound else not_finite(record) + check_known(record) + check_record(record)
    )
    if problems:
        what = "; ".join(f"{name}: {problem}" for name, problem in problems)
        hint = "a number that is not finite means training diverged: lower the learning rate"
        raise RunFailed(f"{place}: {what}", hint)
    if not line:
        raise RunFailed(f"{place}: {refused}") from refused
    return line


@lru_cache(maxsize=64)
def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that FIELDS defines, in its order."""
    return tuple(field.name for field in FIELDS if field.name in names)


def _definition(field: Field) -> tuple[str, Any, Any]:
    """Return a field of the msgspec type; a record that lacks an optional field is written without it."""
    kind: Any = Literal[DATA_MODES] if field.name == "data_mode" else _TYPES[field.type]
    attribute = attribute_of(field.name)
    if field.name in required_fields(TELEMETRY_VERSION) and field.name not in _OWN:
        return attribute, kind, msgspec.field(name=field.name)
    return attribute, kind | msgspec.UnsetType, msgspec.field(name=field.name, default=msgspec.UNSET)


_WRITTEN = msgspec.defstruct(
    "Written",
    [_definition(field) for field in FIELDS],
    kw_only=True,  # a field with a default may stand before one without
    forbid_unknown_fields=True,
    gc=False,
)
_encoder = msgspec.json.Encoder()
_buffer = bytearray(4096)  # used again, for one record is as long as another
