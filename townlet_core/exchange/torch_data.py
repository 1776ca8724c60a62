"""A ReplayDataset behind torch's data loaders: its batches, or its transitions (docs/exchange.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from townlet_core.errors import InputError, count, shown
from townlet_core.ppo.device import torch
from townlet_core.replay.batch import ReplayBatch
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.replay.episodes import learned_ticks

_STATE = ("epoch", "first", "served", "workers")
_OBSERVATION = ("map", "features", "action_mask")


class ReplayBatches(torch.utils.data.IterableDataset):
    """The batches of an epoch as dicts of tensors (T, N, …), for a DataLoader with `batch_size=None`.

    With W workers, worker w reads the batches w, w + W, w + 2W and so on, and the loader takes from the
    workers in turn. So an epoch has the same batches in the same order for any number of workers. It does
    not advance by itself: call set_epoch before each epoch, as for torch's DistributedSampler.
    """

    def __init__(self, dataset: ReplayDataset) -> None:
        self.dataset = dataset
        # In shared memory, so that set_epoch also reaches workers that persist.
        self._place = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._served = 0  # by this copy, in the epoch
        self._resumed: dict[str, int] | None = None

    def __len__(self) -> int:
        """Return the number of batches of the epoch, from the first on."""
        epoch, first = self._place.tolist()
        return max(0, len(self.dataset.batch_order(epoch)) - first)

    def set_epoch(self, epoch: int, first: int = 0) -> None:
        """Set the epoch, and the batch it begins with; earlier ones are not read."""
        if epoch < 0 or first < 0:
            raise InputError(f"epoch {epoch}, first {first}: expected at least 0")
        self._place[:] = torch.tensor([epoch, first])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the batches of this worker."""
        worker, workers = _worker()
        self._served = self._take_resumed(workers)
        epoch, first = self._place.tolist()
        order = self.dataset.batch_order(epoch)
        for number in range(first + worker + self._served * workers, len(order), workers):
            self._served += 1  # before the batch is out: the loader asks for the state after it
            yield to_tensors(self.dataset.stack(order[number]))

    def _take_resumed(self, workers: int) -> int:
        """Return how many batches this worker has served before the state that was loaded."""
        state, self._resumed = self._resumed, None
        if state is None or not state["served"]:
            return 0
        if state["workers"] != workers:
            before = count(state["workers"], "worker")
            raise InputError(
                f"state of {before}, found {workers}", "use as many, or resume with set_epoch(epoch, first)"
            )
        return state["served"]

    def state_dict(self) -> dict[str, int]:
        """Return where this copy stands, for load_state_dict (torchdata's StatefulDataLoader)."""
        epoch, first = self._place.tolist()
        return {"epoch": epoch, "first": first, "served": self._served, "workers": _worker()[1]}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue there: the next iteration begins with the batch after the last one served."""
        if not isinstance(state, dict) or not all(
            type(state.get(key)) is int and state[key] >= 0 for key in _STATE
        ):
            raise InputError(f"state: {shown(state)}, expected whole numbers {', '.join(_STATE)}")
        self.set_epoch(state["epoch"], state["first"])
        self._served, self._resumed = state["served"], state


class ReplayTransitions:
    """Every transition with a training target, by number: a map-style dataset for a DataLoader.

    An item has `map`, `features`, `action_mask`, `actions`, `rewards` and `terminations` of a tick, and
    `next_map`, `next_features` and `next_action_mask` of the next one. After a termination these repeat the
    tick's own: nothing follows. The last tick of an episode that did not terminate is left out: what follows
    it was not recorded.
    """

    def __init__(self, dataset: ReplayDataset) -> None:
        """Find the transitions, which reads the ends of every episode once."""
        self.dataset = dataset
        lengths = []
        for member in range(dataset.sample_count):
            batch = dataset.stack([member])
            learned = learned_ticks(batch.dones[:, 0], batch.terminations[:, 0], bootstrap_truncations=True)
            lengths.append(int(learned.sum()))  # only a last tick can be without
        self._stops = np.cumsum(lengths)
        self._recent: tuple[int, ReplayBatch] | None = None

    def __len__(self) -> int:
        """Return the number of transitions."""
        return int(self._stops[-1])

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Return a transition as tensors. Raises IndexError."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"transition {number} of {len(self)}")
        number %= len(self)
        member = int(np.searchsorted(self._stops, number, side="right"))
        tick = number - (int(self._stops[member - 1]) if member else 0)
        if self._recent is None or self._recent[0] != member:
            self._recent = member, self.dataset.stack([member])
        return _transition(self._recent[1], tick)

    def __getitems__(self, numbers: list[int]) -> list[dict[str, Any]]:
        """Return the transitions of a batch; each episode is read once."""
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        found = {i: self[numbers[i]] for i in order}
        return [found[i] for i in range(len(numbers))]


def to_tensors(batch: ReplayBatch) -> dict[str, Any]:
    """Return the arrays of a batch as tensors by name, (T, N, …), and the names of its samples."""
    arrays = {name: value for name, value in batch._asdict().items() if isinstance(value, np.ndarray)}
    return {name: torch.from_numpy(array) for name, array in arrays.items()} | {"names": list(batch.names)}


def _transition(batch: ReplayBatch, tick: int) -> dict[str, Any]:
    """Return a tick of a batch of one episode. The tensors share no memory with it."""
    is_over = bool(batch.terminations[tick, 0])
    following = tick if is_over else tick + 1
    fields = (*_OBSERVATION, "actions", "rewards", "terminations")
    now = {name: getattr(batch, name)[tick, 0] for name in fields}
    after = {f"next_{name}": getattr(batch, name)[following, 0] for name in _OBSERVATION}
    return {name: torch.tensor(value) for name, value in (now | after).items()}


def _worker() -> tuple[int, int]:
    """Return the number of this worker, and of all; 0 of 1 outside a loader's workers."""
    info = torch.utils.data.get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)
