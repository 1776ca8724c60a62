"""Read one record batch of an Arrow IPC file; declared sizes are checked before memory is allocated.

The library believes the sizes that a compressed buffer declares. So they are read from the message first.
Source: the Arrow columnar format, version 1.5, "Encapsulated message format", and FlatBuffers' binary format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import pyarrow as pa

from townlet_core.errors import SampleError
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.npz import RESTORE

MAGIC = b"ARROW1\0\0"
_CONTINUATION = 0xFFFFFFFF
_RECORD_BATCH = 3  # of the union MessageHeader
_NOT_COMPRESSED = -1
_HEADER_TYPE, _HEADER, _BUFFERS, _COMPRESSION = (
    6,
    8,
    8,
    10,
)  # offsets in the vtables of Message and RecordBatch
_CODEC, _CODECS = 4, ("lz4", "zstd")  # offset in the vtable of BodyCompression, and the values


def read_schema(data: bytes, place: str) -> pa.Schema:
    """Read the schema at the beginning of an IPC file. Raises SampleError."""
    if data[: len(MAGIC)] != MAGIC:
        raise SampleError(f"{place}: is not an Arrow IPC file", RESTORE)
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(data[len(MAGIC) :]))
        _decode_names(schema)
        return schema
    except (pa.ArrowException, ValueError, OSError) as error:
        raise SampleError(f"{place}: its schema is damaged", RESTORE) from error


def _decode_names(fields: Iterable[pa.Field]) -> None:
    """Raise UnicodeDecodeError for a name that is not UTF-8; the library raises it where the name is used."""
    for field in fields:
        str(field.name)
        if pa.types.is_struct(field.type):
            _decode_names(field.type)


def decode(
    data: bytes, schema: pa.Schema, limits: ReadLimits, place: str, fields: Sequence[int] | None = None
) -> pa.RecordBatch:
    """Decode the message of one record batch. fields: indices of the columns to decode, by default all.

    Raises SampleError for damage, and for more expanded bytes than the limits allow.
    """
    try:
        expanded = _expanded_bytes(data)
    except (struct.error, IndexError) as error:
        raise SampleError(f"{place} is damaged", RESTORE) from error
    if expanded > (most := most_expanded(len(data), limits)):
        raise SampleError(
            f"{place} expands {len(data):,} bytes to {expanded:,}, expected at most {most:,}",
            "pack smaller samples, or raise max_array_bytes and max_expansion",
        )
    try:
        if fields is None:
            batch = pa.ipc.read_record_batch(pa.ipc.read_message(pa.py_buffer(data)), schema)
        else:
            stream = pa.BufferReader(schema.serialize().to_pybytes() + data)
            options = pa.ipc.IpcReadOptions(included_fields=list(fields))
            batch = pa.ipc.open_stream(stream, options=options).read_next_batch()
        batch.validate(full=True)
    except MemoryError:  # pyarrow's is an ArrowException as well
        raise
    except (pa.ArrowException, ValueError, OSError) as error:
        raise SampleError(f"{place} is damaged", RESTORE) from error
    return batch


def most_expanded(size: int, limits: ReadLimits) -> int:
    """Return how many bytes this many bytes of a file may expand to."""
    return min(limits.max_array_bytes, max(limits.small_array_bytes, limits.max_expansion * size))


def _expanded_bytes(data: bytes) -> int:
    """Return the bytes that the buffers of a record batch take, as declared. Raises struct.error."""
    marker, length = struct.unpack_from("<Ii", data)
    if marker != _CONTINUATION or not 0 <= length <= len(data) - 8:
        raise struct.error("not an encapsulated message")
    body = 8 + length
    message = 8 + struct.unpack_from("<I", data, 8)[0]
    kind = _field(data, message, _HEADER_TYPE)
    if kind == 0 or data[kind] != _RECORD_BATCH:
        raise struct.error("not a record batch")
    batch = _target(data, _field(data, message, _HEADER))
    buffers = _target(data, _field(data, batch, _BUFFERS))
    is_compressed = _field(data, batch, _COMPRESSION) != 0
    total = 0
    for i in range(struct.unpack_from("<I", data, buffers)[0]):
        offset, size = struct.unpack_from("<qq", data, buffers + 4 + 16 * i)
        if offset < 0 or size < 0 or body + offset + size > len(data):
            raise struct.error("a buffer ends after the message")
        declared = struct.unpack_from("<q", data, body + offset)[0] if is_compressed and size else size
        if declared < _NOT_COMPRESSED:
            raise struct.error("a buffer of negative size")
        total += size if declared == _NOT_COMPRESSED else declared
    return total


def compression_of(data: bytes, place: str) -> str:
    """Return how the buffers of a record batch are compressed: zstd, lz4 or none. Raises SampleError."""
    try:
        message = 8 + struct.unpack_from("<I", data, 8)[0]
        batch = _target(data, _field(data, message, _HEADER))
        compression = _field(data, batch, _COMPRESSION)
        if compression == 0:
            return "none"
        codec = _field(data, _target(data, compression), _CODEC)
        return _CODECS[data[codec] if codec else 0]
    except (struct.error, IndexError) as error:
        raise SampleError(f"{place} is damaged", RESTORE) from error


def _field(data: bytes, table: int, entry: int) -> int:
    """Return the position of a table's field, 0 if it is absent. entry: its offset in the vtable."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0 or entry + 2 > struct.unpack_from("<H", data, vtable)[0]:
        return 0
    offset = struct.unpack_from("<H", data, vtable + entry)[0]
    return table + offset if offset else 0


def _target(data: bytes, position: int) -> int:
    """Follow the offset at a position."""
    return position + struct.unpack_from("<I", data, position)[0]
