"""Where the columns of a sample come from: a constant, or numbers of an array of someone else's data."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from townlet_core.errors import InputError, count, did_you_mean, name_list, shown

GRAMMAR = "a number, or an array and one of its numbers, such as observation[3], or some, such as action[0:2]"
_PATH = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)(?:\[(\d{1,6})(?::(\d{1,6}))?\])?")

Arrays = dict[str, Any]  # (T, …) arrays by name, or such dicts


class Source(NamedTuple):
    """A constant, or a path into the arrays with a range of numbers."""

    place: str  # in the mapping file, for messages
    constant: float | None = None
    path: tuple[str, ...] = ()
    first: int | None = None  # None for all numbers
    last: int | None = None  # exclusive; None for one number


def parse_source(value: Any, place: str) -> Source:
    """Read a source. Raises InputError for what is none."""
    if type(value) in (int, float):
        return Source(place, constant=float(value))
    found = _PATH.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InputError(f"{place}: is {shown(value)}, expected {GRAMMAR}")
    path, first, last = found.groups()
    if last is not None and int(last) <= int(first):
        raise InputError(f"{place}: {shown(value)} is empty, expected a range such as [0:2]")
    return Source(
        place,
        path=tuple(path.split(".")),
        first=None if first is None else int(first),
        last=None if last is None else int(last),
    )


def read_array(source: Source, arrays: Arrays, ticks: int, file: str) -> np.ndarray:
    """Return the array behind a path, its first `ticks` rows. Raises InputError if it is not there."""
    found: Any = arrays
    for depth, name in enumerate(source.path):
        if not isinstance(found, dict) or name not in found:
            known = sorted(found) if isinstance(found, dict) else []
            has = f"it has {name_list(known, 8)}" if known else "it is an array"
            where = ".".join(source.path[:depth]) or file
            raise InputError(f"{source.place}: {where} has no {name}; {has}{did_you_mean(name, known)}")
        found = found[name]
    array = None if isinstance(found, dict) else np.asarray(found)
    if array is None or array.dtype.kind not in "biuf":
        raise InputError(f"{source.place}: {'.'.join(source.path)} of {file} is not an array of numbers")
    if array.ndim == 0 or len(array) < ticks:
        rows = "no rows" if array.ndim == 0 else count(len(array), "row")
        raise InputError(
            f"{source.place}: {'.'.join(source.path)} of {file} has {rows}, expected {ticks}, one per tick"
        )
    return array[:ticks]


def read_columns(source: Source, arrays: Arrays, ticks: int, file: str) -> np.ndarray:
    """Return the numbers of a source, (T, N). Raises InputError for numbers that are not there."""
    if source.constant is not None:
        return np.full((ticks, 1), source.constant)
    values = read_array(source, arrays, ticks, file).reshape(ticks, -1)
    if source.first is None:
        return values
    last = source.first + 1 if source.last is None else source.last
    if last > values.shape[1]:
        raise InputError(
            f"{source.place}: number {last - 1} of {'.'.join(source.path)} is not there; {file} has "
            f"{count(values.shape[1], 'number')} in it, counted from 0"
        )
    return values[:, source.first : last]


def read_column(source: Source, arrays: Arrays, ticks: int, file: str) -> np.ndarray:
    """Return one number per tick, (T,). Raises InputError if the source has several."""
    values = read_columns(source, arrays, ticks, file)
    if values.shape[1] != 1:
        raise InputError(
            f"{source.place}: {'.'.join(source.path)} of {file} has {count(values.shape[1], 'number')} per "
            "tick, expected one",
            f"name it, such as {'.'.join(source.path)}[0]",
        )
    return values[:, 0]
