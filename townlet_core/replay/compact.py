"""The narrowest form of a map that keeps every bit: bits for 0 and 1, bytes for 0 to 255, else float32."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

MapType = Literal["bool", "uint8", "float32"]
MAP_TYPES: tuple[MapType, ...] = ("bool", "uint8", "float32")  # from the narrowest
_ONE = 0x3F800000  # 1.0 as float32
# The eight flags of every byte, as float32.
_FLOATS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.float32)


def narrowest_type(values: np.ndarray) -> MapType:
    """Return the narrowest type for a float32 map; -0.0 and NaN need float32."""
    words = np.ascontiguousarray(values).view(np.uint32)
    if not np.any((words != 0) & (words != _ONE)):
        return "bool"
    with np.errstate(invalid="ignore"):
        back = values.astype(np.uint8).astype(np.float32)
    return "uint8" if np.array_equal(np.ascontiguousarray(back).view(np.uint32), words) else "float32"


def pack_bits(flags: np.ndarray) -> np.ndarray:
    """Pack flags, zero or not, eight to a byte, the first in the lowest bit."""
    return np.packbits(flags.reshape(-1) != 0, bitorder="little")


def compact_bytes(values: np.ndarray) -> tuple[MapType, np.ndarray]:
    """Return a map in its narrowest type, flat."""
    kind = narrowest_type(values)
    if kind == "bool":
        return kind, pack_bits(values)
    return kind, np.ascontiguousarray(values.astype(kind)).reshape(-1)


class Bits:
    """Packed flags with the axes (T, …). Slices along T are bool arrays."""

    def __init__(self, packed: np.ndarray, shape: tuple[int, ...]) -> None:
        self.packed, self.shape = packed, shape
        self._width = math.prod(shape[1:])

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        first, last = start * self._width, stop * self._width
        flags = np.unpackbits(self.packed[first // 8 : -(-last // 8)], bitorder="little").view(bool)
        return flags[first % 8 : first % 8 + last - first].reshape(stop - start, *self.shape[1:])

    def expand(self, rows: slice, out: np.ndarray) -> None:
        """Write rows as float32 into a contiguous array: eight values per look-up, if they fill bytes."""
        first, last = rows.start * self._width, rows.stop * self._width
        if first % 8 or last % 8:
            out[:] = self[rows]
            return
        np.take(_FLOATS, self.packed[first // 8 : last // 8], axis=0, out=out.reshape(-1, 8), mode="clip")
