"""The clock of a run: how far its cycle is, and how long the cycles that are left will take."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any


class Pace:
    """Times the parts of each cycle: rollouts, updates, evaluation.

    A part counts by the time it took when it was last played, and like any other until all were played once.
    moved: told the number of cycles done, with the fraction of the current one.
    """

    def __init__(self, moved: Callable[[float], Any]) -> None:
        self._moved = moved
        self._took: dict[str, float] = {}
        self._parts: list[str] = []
        self._weights: list[float] = []  # of the parts; fixed for a cycle, so that it never moves back
        self._at = self._done = 0
        self._cycles: list[float] = [0.0, 0.0, 0.0]  # seconds of the first cycle; of the others; their number
        self.began = self._part_began = time.perf_counter()

    def begin(self, done: int, parts: list[str]) -> None:
        """Begin a cycle of these parts, after so many cycles of the run."""
        self._done, self._parts, self._at = done, parts, 0
        is_known = all(part in self._took for part in parts)
        self._weights = [self._took[part] if is_known else 1.0 for part in parts]
        self.began = self._part_began = time.perf_counter()

    def move(self, fraction: float) -> None:
        """Tell how much of the current part is done."""
        before, current = sum(self._weights[: self._at]), self._weights[self._at]
        self._moved(self._done + (before + current * fraction) / max(sum(self._weights), 1e-9))

    def counting(self, call: Callable[[], Any], total: int) -> Callable[[], Any]:
        """Return a function that moves on by one of `total` steps and calls another one."""
        steps = itertools.count(1)

        def counted() -> Any:
            self.move(next(steps) / total)
            return call()

        return counted

    def end_part(self) -> None:
        """End the current part; the next one begins."""
        now = time.perf_counter()
        self._took[self._parts[self._at]] = now - self._part_began
        self._at, self._part_began = self._at + 1, now

    def end(self) -> float:
        """End the cycle and return its seconds."""
        seconds = time.perf_counter() - self.began
        first, others, number = self._cycles
        self._cycles = [first, others + seconds, number + 1] if first else [seconds, others, number]
        return seconds

    def seconds_left(self, cycles: int) -> float:
        """Estimate the time of so many more cycles; the first one, which may compile, counts while alone."""
        first, others, number = self._cycles
        return cycles * (others / number if number else first)
