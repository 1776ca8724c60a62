"""Mutations of shards: of bytes, with and without the right digests, and of their tables and descriptions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
from fuzz_bytes import Files, change_integer, mutate_bytes, mutate_in_place, read_integer
from fuzz_values import ODD_VALUES, mutate_json, mutate_value

ROWS, TABLE, MANIFEST = "x_00001.arrow", "x_00001_samples.arrow", "x_manifest.json"
KEY = b"townlet"
_BATCHES = re.compile(rb'"batches": ?(\[\[[^{}]*\]\])')
_ODD_TYPES = (
    *(
        pa.int8(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.float64(),
        pa.string(),
    ),
    *(pa.large_string(), pa.binary(), pa.bool_(), pa.null(), pa.list_(pa.int32())),
    pa.large_list(pa.uint8()),
)
_ODD_CELLS = (*ODD_VALUES, float("nan"), float("inf"), b"{", b"\xff", b"x" * 32, [1], [5], [2, 3], [[1]])
_ZEROS = 1 << 26  # bytes of a column that compresses to almost nothing


def mutate_shard(files: Files, chance: Random) -> Files:
    """Return the files of a shard with one mutation. Most leave all digests right, so that readers decode."""
    files = dict(files)
    if chance.random() < 0.7:
        files.pop(MANIFEST, None)  # which has the digests of both files
    chance.choice(_KINDS)(files, chance)
    return files


def mutate_shard_bytes(files: Files, chance: Random) -> Files:
    """Return the files of a shard with one mutation, without parsing them: pyarrow aborts at some damage."""
    files = dict(files)
    chance.choice((_any_bytes, _table_bytes, _row_bytes))(files, chance)
    return files


def _any_bytes(files: Files, chance: Random) -> None:
    name = chance.choice(sorted(files))
    files[name] = (mutate_json if name == MANIFEST else mutate_bytes)(files[name], chance)


def _table_bytes(files: Files, chance: Random) -> None:
    """Change the samples table, which has a digest only in a manifest."""
    data = files[TABLE]
    first = 16 + read_integer(data, 12, 4)  # where the message of the schema ends
    second = first + 8 + read_integer(data, first + 4, 4)
    files[TABLE] = _in_message(data, first, second, len(data), chance)


def _row_bytes(files: Files, chance: Random) -> None:
    """Change a record batch or the schema of the rows, and give its digest to the table."""
    data, batches = files[ROWS], json.loads(_BATCHES.search(files[TABLE])[1])
    offset, size, _, _ = chance.choice(batches)
    if chance.random() < 0.15:
        offset, size = 0, batches[0][0]
        new = mutate_in_place(data, chance, 8, size)
    else:
        end = offset + 8 + read_integer(data, offset + 4, 4)
        new = _in_message(data, offset, end, offset + size, chance)
    old, now = (sha256(version[offset : offset + size]).hexdigest().encode() for version in (data, new))
    files[ROWS], files[TABLE] = new, files[TABLE].replace(old, now)


def _in_message(data: bytes, start: int, body: int, stop: int, chance: Random) -> bytes:
    """Change one integer or some bytes of a message, mostly of what describes its body."""
    kind = chance.random()
    if kind < 0.25:
        return mutate_in_place(data, chance, start, body)
    if kind < 0.45:
        return mutate_in_place(data, chance, body, stop)
    changed = bytearray(data)
    if kind < 0.75:
        width = chance.choice((2, 4, 8, 8))
        position = start + chance.randrange(max(1, (body - start - width) // width)) * width
    else:  # the declared size of a compressed buffer, or an offset of a list
        width, position = 8, body + chance.randrange(max(1, (stop - body) // 8)) * 8
    change_integer(changed, position, width, chance)
    return bytes(changed)


def _description(files: Files, chance: Random) -> None:
    """Change what the samples table says of the shard."""
    table, about = _read(files[TABLE]), _about(files)
    part = chance.choice((about, about["batches"], about["arrays"], about["shared"]))
    mutate_value(part, chance)
    files[TABLE] = _write_table(table, about)


def _cells(files: Files, chance: Random) -> None:
    """Change a value, a column or the order of the samples table."""
    files[TABLE] = _write_table(_changed(_read(files[TABLE]), chance), _about(files))


def _rows(files: Files, chance: Random) -> None:
    """Change a value, a column or the order of the rows, and describe them anew."""
    about, table = _about(files), _read(files[ROWS])
    lengths = [rows for _, _, rows, _ in about["batches"]]
    table = _changed(table, chance)
    if chance.random() < 0.1:
        chance.shuffle(lengths)
    _seal(files, about, table, lengths, chance)


def _missing_values(files: Files, chance: Random) -> None:
    """Put missing values into the lists of a column."""
    about, table = _about(files), _read(files[ROWS])
    names = [field.name for field in table.schema if pa.types.is_fixed_size_list(field.type)]
    name = chance.choice(names)
    column = table.column(name).combine_chunks()
    values = column.flatten().to_pylist()
    values[chance.randrange(len(values))] = None
    new = pa.FixedSizeListArray.from_arrays(pa.array(values, column.type.value_type), column.type.list_size)
    keep = column.type if chance.random() < 0.5 else new.type
    where = table.schema.get_field_index(name)
    table = table.set_column(where, pa.field(name, keep, False), pa.chunked_array([new]).cast(new.type))
    _seal(files, about, table, [rows for _, _, rows, _ in about["batches"]], chance)


def _zeros(files: Files, chance: Random) -> None:
    """Make a shard of one sample that compresses to almost nothing; rarely, because it takes long to read."""
    if chance.random() > 0.02:
        return _description(files, chance)
    about, table = _about(files), _read(files[ROWS])
    ticks = _ZEROS // max(1, sum(np.prod(width) for width in about["arrays"].values()))
    rows = pa.concat_tables([table.slice(0, 1)] * int(ticks)).combine_chunks()
    _seal(files, about, rows, [int(ticks)], chance)
    return None


def _swapped_batches(files: Files, chance: Random) -> None:
    """Swap, repeat or drop record batches, with their right digests."""
    about = _about(files)
    batches = about["batches"]
    i, j = chance.randrange(len(batches)), chance.randrange(len(batches))
    kind = chance.random()
    if kind < 0.4:
        batches[i], batches[j] = batches[j], batches[i]
    elif kind < 0.7:
        pieces = [files[ROWS][offset : offset + size] for offset, size, *_ in batches]
        pieces[i], pieces[j] = pieces[j], pieces[i]
        start, stop = batches[0][0], batches[-1][0] + batches[-1][1]
        files[ROWS] = files[ROWS][:start] + b"".join(pieces) + files[ROWS][stop:]
        _describe_pieces(about, pieces, start)
    else:
        batches[i] = [*batches[j][:3], batches[i][3]]
    files[TABLE] = _write_table(_read(files[TABLE]), about)


_KINDS: tuple[Callable[[Files, Random], None], ...] = (
    *(_any_bytes, _table_bytes, _table_bytes, _row_bytes, _row_bytes, _row_bytes, _description),
    _description,
    *(_cells, _cells, _rows, _rows, _missing_values, _zeros, _swapped_batches),
)


def _changed(table: pa.Table, chance: Random) -> pa.Table:
    """Return a table with one change."""
    kind, where = chance.random(), chance.randrange(table.num_columns)
    name, column = table.schema.field(where), table.column(where).combine_chunks()
    if kind < 0.35:
        values = column.to_pylist()
        cell = chance.randrange(len(values))
        values[cell] = _near(values[cell], chance) if chance.random() < 0.5 else chance.choice(_ODD_CELLS)
        return table.set_column(where, name.with_nullable(True), pa.array(values, name.type))
    if kind < 0.5:
        return table.set_column(where, name.name, column.cast(chance.choice(_ODD_TYPES), safe=False))
    if kind < 0.6:
        return table.drop_columns([name.name])
    if kind < 0.7:
        return table.rename_columns([*table.column_names[:-1], chance.choice((name.name, "other", ""))])
    if kind < 0.8:
        return table.append_column(chance.choice((name.name, "other")), column)
    if kind < 0.9:
        order = chance.sample(range(table.num_rows), table.num_rows)
        return (
            table.take(order) if kind < 0.85 else table.set_column(where, name, column.take(pa.array(order)))
        )
    return table.slice(chance.randrange(2), chance.randrange(table.num_rows + 1))


def _near(value: Any, chance: Random) -> Any:
    """Return a value of the same kind that is not the same, somewhere inside a list or a JSON text."""
    if isinstance(value, list) and value:
        value[chance.randrange(len(value))] = chance.choice((0, 1, 2, None, 255, True, float("nan"), 1e9))
        return value
    if isinstance(value, bytes):
        return mutate_json(value, chance)
    return mutate_value([value], chance)[0]


def _about(files: Files) -> Any:
    return json.loads(_read(files[TABLE]).schema.metadata[KEY])


def _read(data: bytes) -> pa.Table:
    return pa.ipc.open_file(pa.py_buffer(data)).read_all()


def _write_table(table: pa.Table, about: Any) -> bytes:
    table = table.replace_schema_metadata({KEY: json.dumps(about)}).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        for batch in table.to_batches():
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _seal(files: Files, about: Any, table: pa.Table, lengths: list[int], chance: Random) -> None:
    """Write the rows in record batches of these lengths, and the table with their places and digests."""
    sink, start, pieces = pa.BufferOutputStream(), 0, []
    options = pa.ipc.IpcWriteOptions(compression=chance.choice(("zstd", "lz4", None)))
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        header = 8 + table.schema.serialize().size
        for rows in lengths:
            before = max(header, sink.tell())
            writer.write_batch(table.slice(start, rows).combine_chunks().to_batches()[0])
            pieces.append((before, sink.tell()))
            start += rows
    data = sink.getvalue().to_pybytes()
    files[ROWS] = data
    about["header_sha256"] = sha256(data[:header]).hexdigest()
    about["batches"] = [[0, 0, rows, ""] for rows in lengths]
    _describe_pieces(about, [data[begin:end] for begin, end in pieces], header)
    files[TABLE] = _write_table(_read(files[TABLE]), about)


def _describe_pieces(about: Any, pieces: list[bytes], start: int) -> None:
    for entry, piece in zip(about["batches"], pieces, strict=True):
        entry[0], entry[1], entry[3] = start, len(piece), sha256(piece).hexdigest()
        start += len(piece)
