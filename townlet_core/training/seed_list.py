"""The seeds of `townlet train --seeds`, as people write them."""

from __future__ import annotations

from townlet_core.errors import InputError, count

MAX_SEEDS = 1000


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read `0-4` or `0,3,7-9`. Raises InputError for anything else, a repeated seed, or only one."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = [first, last] if dash else [first, first]
        if not all(end.isdecimal() and end.isascii() and len(end) < 19 for end in ends):
            raise InputError(f"--seeds {text!r}: expected seeds such as 0-4 or 0,3,7-9")
        low, high = map(int, ends)
        if low > high or high - low >= MAX_SEEDS:
            raise InputError(
                f"--seeds {part.strip()!r}: expected at most {MAX_SEEDS:,} seeds, the lowest first"
            )
        seeds += range(low, high + 1)
    if not 2 <= len(set(seeds)) == len(seeds) <= MAX_SEEDS:
        raise InputError(
            f"--seeds {text!r}: found {count(len(set(seeds)), 'seed')} of {len(seeds):,}, expected 2 to "
            f"{MAX_SEEDS:,} different ones",
            "train one run with --seed",
        )
    return tuple(seeds)
