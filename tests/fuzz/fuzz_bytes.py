"""Mutations of bytes that know nothing of a format, and the integers that break readers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Files = dict[str, bytes]  # an input: the files of a folder, by name
Mutation = Callable[[bytearray, Random], None]

INTEGERS = (
    *(
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        9,
        16,
        63,
        64,
        65,
        100,
        127,
        128,
        255,
        256,
        4095,
        4096,
        32767,
        32768,
        65535,
        65536,
    ),
    *(10**6, 1 << 20, 1 << 24, 1 << 28, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40),
    *(10**12, (1 << 62) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 8),
)


def mutate_bytes(data: bytes, chance: Random, start: int = 0, stop: int | None = None) -> bytes:
    """Return the data with one mutation between `start` and `stop`."""
    part = bytearray(data[start:stop])
    chance.choice(_MUTATIONS)(part, chance)
    return data[:start] + bytes(part) + (b"" if stop is None else data[stop:])


def mutate_in_place(data: bytes, chance: Random, start: int = 0, stop: int | None = None) -> bytes:
    """Return the data with one mutation between `start` and `stop` that keeps every length."""
    part = bytearray(data[start:stop])
    chance.choice(_IN_PLACE)(part, chance)
    return data[:start] + bytes(part) + (b"" if stop is None else data[stop:])


def write_integer(data: bytearray, position: int, width: int, value: int) -> None:
    """Write the low bytes of a whole number, little-endian."""
    data[position : position + width] = (value % (1 << 8 * width)).to_bytes(width, "little")


def read_integer(data: bytes | bytearray, position: int, width: int) -> int:
    """Read a little-endian whole number of at least 0."""
    return int.from_bytes(data[position : position + width], "little")


def change_integer(data: bytearray, position: int, width: int, chance: Random) -> None:
    """Replace an integer with one that breaks readers, or move it a little."""
    now = read_integer(data, position, width)
    near = now + chance.choice((-64, -8, -4, -2, -1, 1, 2, 4, 8, 64))
    value = chance.choice((chance.choice(INTEGERS), near, now * 2, len(data), len(data) - position))
    write_integer(data, position, width, value)


def span(length: int, chance: Random, most: int = 64) -> slice:
    """Choose a short piece of something of this length."""
    start = chance.randrange(length + 1)
    return slice(start, min(length, start + chance.randint(1, most)))


def _flip_bit(data: bytearray, chance: Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set_byte(data: bytearray, chance: Random) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _set_integer(data: bytearray, chance: Random) -> None:
    width = chance.choice((1, 2, 4, 8))
    if len(data) >= width:
        step = chance.choice((1, width))  # most fields are aligned
        change_integer(data, chance.randrange((len(data) - width) // step + 1) * step, width, chance)


def _copy_over(data: bytearray, chance: Random) -> None:
    piece = data[span(len(data), chance)]
    start = chance.randrange(len(data) + 1)
    data[start : start + len(piece)] = piece[: len(data) - start]


def _fill(data: bytearray, chance: Random) -> None:
    where = span(len(data), chance)
    data[where] = bytes([chance.choice((0, 0xFF, 0x20))]) * (where.stop - where.start)


def _truncate(data: bytearray, chance: Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _remove(data: bytearray, chance: Random) -> None:
    del data[span(len(data), chance)]


def _duplicate(data: bytearray, chance: Random) -> None:
    where = span(len(data), chance, chance.choice((8, 64, 4096)))
    data[where.start : where.start] = data[where] * chance.choice((1, 1, 2, 50))


def _swap(data: bytearray, chance: Random) -> None:
    first, second = sorted((span(len(data), chance), span(len(data), chance)), key=lambda where: where.start)
    if first.stop <= second.start:
        data[first.start : second.stop] = data[second] + data[first.stop : second.start] + data[first]


def _insert(data: bytearray, chance: Random) -> None:
    where = chance.randrange(len(data) + 1)
    data[where:where] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))


_IN_PLACE: tuple[Mutation, ...] = (_flip_bit, _set_byte, _set_integer, _set_integer, _copy_over, _fill)
_MUTATIONS: tuple[Mutation, ...] = (*_IN_PLACE, _truncate, _remove, _duplicate, _swap, _insert)
