"""Shards: the parts of a batch that are computed apart and then added up, always in the same order.

The number of shards decides about the last bits of a result. The workers do not: threads of this process and,
under torchrun, other processes. So equal shards give equal weights on one thread and on many machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from townlet_core.ppo.device import threads, torch
from townlet_core.ppo.moments import Moments, merge, moments_of, packed, unpacked
from townlet_core.ppo.processes import Processes

Item = TypeVar("Item")
Result = TypeVar("Result")


class Shards:
    """The shards of a run, and the workers that share them.

    count: of all shards. own: the numbers of those that this process computes.
    """

    def __init__(self, count: int = 1, processes: Processes | None = None) -> None:
        self.count = count
        self.processes = processes
        rank, size = (processes.rank, processes.size) if processes else (0, 1)
        self.own = range(rank * count // size, (rank + 1) * count // size)
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Compute shards side by side in the block, on as many threads as torch has.

        torch itself then has one on each: the bits of a matrix product depend on how many threads shared it.
        """
        workers = min(torch.get_num_threads(), len(self.own))
        with threads(1):
            if workers == 1:
                yield
                return
            with ThreadPoolExecutor(workers, "shard", torch.set_num_threads, (1,)) as self._pool:
                try:
                    yield
                finally:
                    self._pool = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes: rank 0, or the only one."""
        return self.processes is None or self.processes.rank == 0

    def bounds(self, total: int) -> list[int]:
        """Cut `total` items into one block per shard: block k begins at bounds[k], and may be empty."""
        return [shard * total // self.count for shard in range(self.count + 1)]

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) of each item, in order, computed side by side on the threads."""
        return list(map(function, items) if self._pool is None else self._pool.map(function, items))

    def join(self, array: np.ndarray, axis: int = 0) -> np.ndarray:
        """Concatenate the arrays of all processes, in order of their ranks; each gets the whole."""
        return array if self.processes is None else self.processes.join(array, axis)

    def add_up(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Add vectors (n,), one for each own shard, to those of the other processes, in order of the shards.

        The first vector may hold the sum.
        """
        if self.processes:
            return self.processes.add_up(vectors)
        total = vectors[0]
        for vector in vectors[1:]:
            total.add_(vector)
        return total

    def moments(self, arrays: Sequence[np.ndarray]) -> Moments:
        """Return the moments of rows (N, size) of all shards, given those of each own shard."""
        return merge(unpacked(self.join(packed(self.map(moments_of, arrays)))))

    def largest(self, mine: int) -> int:
        """Return the largest of the numbers of all processes."""
        return mine if self.processes is None else int(self.join(np.array([mine])).max())

    def is_any(self, mine: bool) -> bool:
        """Whether it is true of any process."""
        return bool(self.largest(int(mine)))


ONE = Shards()  # all rows at once, on the threads that torch has
