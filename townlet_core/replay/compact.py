"""The narrowest form of a map that keeps every bit: bits for 0 and 1, bytes for 0 to 255, else float32."""

from __future__ import annotations

from typing import Literal

import numpy as np

MapType = Literal["bool", "uint8", "float32"]
MAP_TYPES: tuple[MapType, ...] = ("bool", "uint8", "float32")  # from the narrowest
_ONE = 0x3F800000  # 1.0 as float32


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


def unpack_bits(packed: np.ndarray, length: int) -> np.ndarray:
    """Return packed flags as bool, flat."""
    return np.unpackbits(packed, count=length, bitorder="little").view(bool)


def compact_bytes(values: np.ndarray) -> tuple[MapType, np.ndarray]:
    """Return a map in its narrowest type, flat."""
    kind = narrowest_type(values)
    if kind == "bool":
        return kind, pack_bits(values)
    return kind, np.ascontiguousarray(values.astype(kind)).reshape(-1)
