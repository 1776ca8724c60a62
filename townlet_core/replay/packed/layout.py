"""The columns of a shard: how the arrays of samples become rows, and rows become arrays again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from townlet_core.errors import SampleError, shown
from townlet_core.replay.compact import MAP_TYPES, Bits, MapType, narrowest_type, pack_bits
from townlet_core.replay.format import ARRAYS, TRAINING_ARRAYS
from townlet_core.replay.npz import RESTORE
from townlet_core.replay.sample import ReplaySample

FORMAT = 1
KEY = b"townlet"  # in the metadata of both schemas: a JSON object
# Metadata that all samples of a shard share.
SHARED_KEYS = (
    "schema_version",
    "variant",
    "map_shape",
    "map_channels",
    "feature_names",
    "reward_terms",
    "training_arrays",
    "action_lookup",
    "action_dim",
)
_OLDER_OWN = "action_lookup"  # in the older generation each sample has its own
_TYPES = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_(), "uint8": pa.uint8()}


@dataclass(frozen=True)
class Layout:
    """What the samples of one shard have in common."""

    widths: dict[str, tuple[int, ...]]  # shape of one row by array, in the order of ARRAYS
    map_type: MapType
    shared: dict[str, Any]  # metadata, by SHARED_KEYS

    @property
    def is_older(self) -> bool:
        """Whether the samples have no schema version."""
        return "schema_version" not in self.shared

    @cached_property
    def packed_row_bytes(self) -> int:
        """Bytes of one row in the file, before compression."""
        return sum(-(-math.prod(width) * self._bits(name) // 8) for name, width in self.widths.items())

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of one row in memory: a map of flags stays packed, another flag takes a byte."""
        bits = {name: math.prod(width) * self._bits(name) for name, width in self.widths.items()}
        flags = [name for name in bits if name != "map" and self._type_of(name) == "bool"]
        return sum(bits[name] if name in flags else -(-bits[name] // 8) for name in bits)

    @cached_property
    def sample_row_bytes(self) -> int:
        """Bytes of one row in a sample, where the map is float32."""
        return sum(
            math.prod(width) * np.dtype(ARRAYS[name][0]).itemsize for name, width in self.widths.items()
        )

    def _bits(self, name: str) -> int:
        kind = self._type_of(name)
        return 1 if kind == "bool" else 8 * np.dtype(kind).itemsize

    def _type_of(self, name: str) -> str:
        return self.map_type if name == "map" else ARRAYS[name][0]

    def as_dict(self) -> dict[str, Any]:
        """Return the layout for the metadata of a schema."""
        widths = {name: list(width) for name, width in self.widths.items()}
        return {"format": FORMAT, "arrays": widths, "map": self.map_type, "shared": self.shared}

    def schema(self) -> pa.Schema:
        """Return the columns of the rows file."""
        fields = [pa.field("sample", pa.int32(), False), pa.field("tick", pa.int32(), False)]
        for name, width in self.widths.items():
            kind = _TYPES[self._type_of(name)]
            column = pa.list_(pa.field("item", kind, False), math.prod(width)) if width else kind
            fields.append(pa.field(name, column, False))
        return pa.schema(fields)


def parse_layout(about: dict[str, Any], file: str) -> Layout:
    """Return the layout that a file's schema names. Raises SampleError for an unknown format or damage."""
    arrays, shared, map_type = about.get("arrays", {}), about.get("shared"), about.get("map")
    if about.get("format") != FORMAT:
        found = shown(about.get("format"), 40)
        raise SampleError(f"{file}: is of format {found}, expected {FORMAT}", "read it with a newer townlet")
    if not isinstance(arrays, dict) or not isinstance(shared, dict) or map_type not in MAP_TYPES:
        raise SampleError(f"{file}: does not say which arrays it holds", RESTORE)
    is_right = (
        list(arrays) == [name for name in ARRAYS if name in arrays]
        and all(name in arrays for name in TRAINING_ARRAYS)
        and all(_is_shape(arrays[name], len(ARRAYS[name][1]) - 1) for name in arrays)
        and all(key in SHARED_KEYS for key in shared)
    )
    if not is_right:
        raise SampleError(f"{file}: does not say which arrays it holds", RESTORE)
    return Layout({name: tuple(width) for name, width in arrays.items()}, map_type, shared)


def _is_shape(width: Any, axes: int) -> bool:
    """Whether a value is the shape of a row, of at most 2³¹ values."""
    is_list = isinstance(width, list) and len(width) == axes
    return is_list and all(type(n) is int and 0 < n < 2**31 for n in width) and math.prod(width) < 2**31


def layout_of(sample: ReplaySample, at_least: MapType = MAP_TYPES[0]) -> Layout:
    """Return the layout that holds a sample without loss. at_least: the narrowest map type to use."""
    shared = {key: sample.metadata[key] for key in SHARED_KEYS if key in sample.metadata}
    if sample.is_older:
        shared.pop(_OLDER_OWN, None)
    widths = {name: array.shape[1:] for name, array in sample.arrays().items()}
    narrowest = max(MAP_TYPES.index(at_least), MAP_TYPES.index(narrowest_type(sample.map)))
    return Layout(widths, MAP_TYPES[narrowest], shared)


def pack_rows(
    layout: Layout, samples: Sequence[ReplaySample], first: int, schema: pa.Schema
) -> pa.RecordBatch:
    """Make a record batch of whole samples. first: number of the first one in the shard."""
    lengths = [sample.timesteps for sample in samples]
    columns = [
        pa.array(np.repeat(np.arange(first, first + len(samples), dtype=np.int32), lengths)),
        pa.array(np.concatenate([np.arange(ticks, dtype=np.int32) for ticks in lengths])),
    ]
    arrays = [sample.arrays() for sample in samples]
    for name, width in layout.widths.items():
        parts = [own[name] for own in arrays]
        if name == "value_preds":
            parts = [part[:-1] for part in parts]  # the last one is in the samples table
        values = _pack_array(parts, layout.map_type if name == "map" else None)
        columns.append(
            pa.FixedSizeListArray.from_arrays(values, type=schema.field(name).type) if width else values
        )
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _pack_array(parts: Sequence[np.ndarray], kind: str | None) -> pa.Array:
    """Return the values of one column, flat."""
    flat = np.concatenate([part.reshape(-1) for part in parts])
    if kind == "bool" or flat.dtype == bool:
        return pa.Array.from_buffers(pa.bool_(), flat.size, [None, pa.py_buffer(pack_bits(flat))])
    return pa.array(flat.astype(np.uint8) if kind == "uint8" else flat)


def is_whole(layout: Layout, batch: pa.RecordBatch, rows: int) -> bool:
    """Whether a record batch has this many rows, without missing values and without values beyond."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        values = column.values if pa.types.is_fixed_size_list(column.type) else column
        expected = rows * math.prod(layout.widths.get(name, ()))
        if len(column) != rows or len(values) != expected or column.null_count or values.null_count:
            return False
    return True


class Rows:
    """The rows of one record batch, every array by name; a map of flags is Bits, other flags are bytes."""

    def __init__(self, layout: Layout, batch: pa.RecordBatch) -> None:
        self.count = batch.num_rows
        self.sample = batch.column("sample").to_numpy()
        self.tick = batch.column("tick").to_numpy()
        self.arrays: dict[str, Any] = {
            name: _unpack_column(batch.column(name), (self.count, *width), keep_packed=name == "map")
            for name, width in layout.widths.items()
        }


def _unpack_column(column: pa.Array, shape: tuple[int, ...], keep_packed: bool) -> np.ndarray | Bits:
    """Return the values of a column. keep_packed: flags remain bits."""
    values = column.values if pa.types.is_fixed_size_list(column.type) else column
    if not pa.types.is_boolean(values.type):
        return values.to_numpy().reshape(shape)
    bits = Bits(np.frombuffer(values.buffers()[1], np.uint8), shape)
    return bits if keep_packed else bits[:]
