"""Axes: round numbers to label, and the place of a number between the ends."""

from __future__ import annotations

import math
from typing import NamedTuple

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class Scale(NamedTuple):
    """A linear scale from numbers to pixels, with the numbers to label."""

    low: float
    high: float
    start: float  # pixel of low
    end: float  # pixel of high
    ticks: tuple[float, ...]
    step: float  # between ticks

    def place(self, value: float) -> float:
        """Return the pixel of a value, kept within the scale."""
        # Halved: the difference of two huge numbers overflows.
        span = self.high / 2 - self.low / 2
        share = (value / 2 - self.low / 2) / span if span > 0 else 0.5
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)

    def label(self, value: float) -> str:
        """Write the number of a tick, with the digits that its step needs."""
        return format_tick(value, self.step)


def nice_scale(low: float, high: float, start: float, end: float, count: int, to_ticks: bool) -> Scale:
    """Make a scale of about `count` ticks; to_ticks: widen the ends to the ticks outside of them."""
    low, high = _widened(low, high)
    step = nice_step(high / count - low / count)
    first, last = math.floor(low / step), math.ceil(high / step)
    if not to_ticks:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple(n * step for n in range(first, last + 1))
    return Scale(ticks[0] if to_ticks else low, ticks[-1] if to_ticks else high, start, end, ticks, step)


def nice_step(rough: float) -> float:
    """Return the smallest round number, 1, 2, 2.5 or 5 times a power of ten, that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in _ROUND if factor * power >= rough * (1 - 1e-9)), 10 * power)


def _widened(low: float, high: float) -> tuple[float, float]:
    """Give a constant some room around it, more than the precision of its digits."""
    largest = max(abs(low), abs(high))
    if largest == 0:
        return 0.0, 1.0
    if high / 2 - low / 2 > largest * 1e-6:
        return low, high
    return low - 0.05 * largest, high + 0.05 * largest


def format_tick(value: float, step: float) -> str:
    """Write a number with the digits that a step needs: 20k, 0.05, -1.5, 2e-05."""
    if abs(value) < step * 1e-6:
        return "0"
    if step >= 1e12 or step < 1e-4 or abs(value) >= 1e13:
        return f"{value:.3g}"
    size, suffix = next(((s, t) for s, t in _SUFFIXES if step * 2 >= s or abs(value) >= 10 * s), (1.0, ""))
    digits = max(0, -math.floor(math.log10(step / size) + 1e-9))
    digits += not math.isclose(round(step / size, digits), step / size, rel_tol=1e-6)  # a step of 2.5
    return f"{value / size:.{digits}f}{suffix}"


def format_value(value: float) -> str:
    """Write a measured number: whole ones with separators, others with four digits."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
