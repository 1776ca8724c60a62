"""Lists of whole numbers as people write them: seeds of `townlet train --seeds` and of a study, its jobs."""

from __future__ import annotations

from townlet_core.errors import InputError, count

MAX_SEEDS = 1000


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read `0-4` or `0,3,7-9`. Raises InputError for anything else, a repeated seed, or only one."""
    try:
        seeds = parse_numbers(text, "seed", MAX_SEEDS)
    except InputError as error:
        raise InputError(f"--seeds {error}") from error
    if not 2 <= len(set(seeds)) == len(seeds) <= MAX_SEEDS:
        raise InputError(
            f"--seeds {text!r}: found {count(len(set(seeds)), 'seed')} of {len(seeds):,}, expected 2 to "
            f"{MAX_SEEDS:,} different ones",
            "train one run with --seed",
        )
    return tuple(seeds)


def parse_numbers(text: str, noun: str, most: int) -> list[int]:
    """Read numbers and ranges, in the order written.

    Raises InputError, which begins with the text, for anything else, and for a range of more than `most`.
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = [first, last] if dash else [first, first]
        if not all(end.isdecimal() and end.isascii() and len(end) < 19 for end in ends):
            raise InputError(f"{text!r}: expected {noun}s such as 1-4 or 1,3,7-9")
        low, high = map(int, ends)
        if low > high or high - low >= most or len(numbers) > most:
            raise InputError(f"{part.strip()!r}: expected at most {most:,} {noun}s, the lowest first")
        numbers += range(low, high + 1)
    return numbers
