"""Shards: the I-th of N parts of a capture or an evaluation, and whether parts make up the whole.

A plan is everything that decides the bytes of a result, as JSON. Its `shard` is [I, N], from 1, or null.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from townlet_core.errors import InputError, name_list, shown


def parse_shard(text: str) -> tuple[int, int]:
    """Read `I/N`. Raises InputError unless 1 ≤ I ≤ N."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"shard {shown(text)}: expected I/N, such as 2/8, with I from 1 to N")
    return int(match[1]), int(match[2])


def blocks_of_shard(blocks: int, shard: Sequence[int] | None) -> range:
    """Return the numbers of a shard's blocks of work, from 0: consecutive, divided evenly; None has all."""
    number, shards = shard or (1, 1)
    return range(blocks * (number - 1) // shards, blocks * number // shards)


def check_shards(what: str, shards: Sequence[tuple[Path, dict[str, Any]]], hint: str) -> None:
    """Raise InputError unless these are all the shards of one whole, each once.

    what: `capture` or `evaluation`. shards: place and plan of each. hint: how to make those that are missing.
    """
    place, first = shards[0]
    for other, plan in shards[1:]:
        one = {**first, "shard": first["shard"][1]}
        if difference := plan_difference(one, {**plan, "shard": plan["shard"][1]}):
            name, mine, theirs = difference
            name = "number of shards" if name == "shard" else name
            raise InputError(
                f"{place} and {other} are of different {what}s: "
                f"{name} is {mine} in the first, {theirs} in the second"
            )
    count = first["shard"][1]
    given: dict[int, Path] = {}
    for place, plan in shards:
        number = plan["shard"][0]
        if number in given:
            raise InputError(f"{given[number]} and {place} are both shard {number}/{count}")
        given[number] = place
    if missing := [f"{number}/{count}" for number in range(1, count + 1) if number not in given]:
        raise InputError(f"shards are missing: {name_list(missing, 8)}", hint)


def plan_difference(one: dict[str, Any], other: dict[str, Any]) -> tuple[str, str, str] | None:
    """Return the name of a setting that differs and its two values, for a message; None for equal plans.

    A difference in the versions of libraries comes last.
    """
    first, second = _flat(one), _flat(other)
    names = sorted({**first, **second}, key=lambda name: name.startswith("versions"))
    for name in names:
        if first.get(name) != second.get(name):
            return name, shown(first.get(name, "missing")), shown(second.get(name, "missing"))
    return None


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested objects as one; only versions keep the name of the object they are in."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, "versions." if name == "versions" else "")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
