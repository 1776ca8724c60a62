"""Which of several old things go: by number, by age, by what they take on the disk."""

from __future__ import annotations

import re
from typing import NamedTuple

from townlet_core.errors import InputError, shown

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, **{f"{unit}B": 1000**power for power, unit in enumerate("kMGT", start=1)}}
_BYTES |= {"KB": 1000} | {f"{unit}iB": 1024**power for power, unit in enumerate("KMGT", start=1)} | {"B": 1}


class Rules(NamedTuple):
    """Which of several things go: those beyond any of these limits."""

    keep: int | None = None  # the newest stay
    older_than: float | None = None  # seconds
    max_bytes: int | None = None  # of those that stay

    def remove(self, age: float, newer: int, size: int) -> bool:
        """Whether a thing goes.

        age: seconds. newer: how many newer ones stay. size: bytes of it and of all newer ones.
        """
        return (
            (self.keep is not None and newer >= self.keep)
            or (self.older_than is not None and age > self.older_than)
            or (self.max_bytes is not None and size > self.max_bytes)
        )


def parse_age(text: str) -> float:
    """Read an age such as 30d, 12h, 90m or 2w, in seconds. Raises InputError for anything else."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)([mhdw])", text)
    if match is None:
        raise InputError(f"--older-than: {shown(text)}, expected a number and m, h, d or w, such as 30d")
    return float(match[1]) * _SECONDS[match[2]]


def parse_bytes(text: str) -> int:
    """Read a size such as 5GB, 500MB or 2GiB, in bytes. Raises InputError for anything else."""
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,6})?) ?([kKMGT]?i?B)?", text)
    if match is None or (match[2] or "") not in _BYTES:
        raise InputError(f"--max-bytes: {shown(text)}, expected a size such as 5GB, 500MB or 2GiB")
    return round(float(match[1]) * _BYTES[match[2] or ""])
