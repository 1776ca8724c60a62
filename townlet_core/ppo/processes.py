"""The processes of a run that `torchrun` started: who they are, and what they send each other.

Nothing but arrays and text is sent. A process that ends or hangs ends the others, and they name it.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np

from townlet_core.errors import InputError, RunFailed, count, shown
from townlet_core.ppo.device import torch

distributed = torch.distributed
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # which every launcher of torch sets
TIMEOUT = 600.0  # seconds; a machine with an empty cache compiles for a minute or two
MOMENT = 0.02  # seconds between two looks at the store
GRACE = 2.0  # seconds in which the processes that are alive notice that another one is not


class Processes:
    """The processes of a run. All of them make the same calls in the same order.

    rank: of this one. size: how many there are. timeout: seconds to wait for another one.
    """

    def __init__(self, store: Any, rank: int, size: int, timeout: float) -> None:
        self.store, self.rank, self.size, self.timeout = store, rank, size, timeout

    def add_up(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Add vectors (n,), as many from each process, in order of the ranks; each process gets the sum.

        Each process adds up its own slice of all vectors, and sends it to the others: so a process receives
        about two vectors, however many processes there are.
        """
        own, length = len(vectors), len(vectors[0])
        size = -(-length // self.size)  # of a slice
        mine = vectors[0].new_zeros(own, self.size * size)
        for row, vector in zip(mine, vectors, strict=True):
            row[:length] = vector
        slices = mine.view(own, self.size, size).transpose(0, 1).contiguous()  # by the rank that adds them up
        every = torch.empty_like(slices)
        self._exchange(lambda: distributed.all_to_all_single(every, slices))
        total = every.view(self.size * own, size)
        summed = total[0].clone()
        for vector in total[1:]:
            summed.add_(vector)
        return torch.cat(self._gather(summed))[:length]

    def join(self, array: np.ndarray, axis: int = 0) -> np.ndarray:
        """Concatenate the arrays of all processes along an axis, the only one whose length may differ."""
        rows = np.moveaxis(array, axis, 0)
        parts = self.send(len(rows).to_bytes(8, "little") + rows.tobytes())
        length = sum(int.from_bytes(part[:8], "little") for part in parts)
        # As bytes: np.concatenate leaves those between the fields of a record as they happen to be.
        every = bytearray().join(part[8:] for part in parts)
        whole = np.ndarray((length, *rows.shape[1:]), array.dtype, every)
        return np.ascontiguousarray(np.moveaxis(whole, 0, axis))

    def send(self, data: bytes) -> list[bytes]:
        """Return the bytes of all processes, in order of their ranks."""
        sizes = [int(size) for size in self._gather(torch.tensor([len(data)]))]
        padded = data.ljust(max(1, *sizes), b"\0")  # torch sends what is as large everywhere
        every = self._gather(torch.frombuffer(bytearray(padded), dtype=torch.uint8))
        return [part.numpy()[:size].tobytes() for part, size in zip(every, sizes, strict=True)]

    def tell(self, message: dict[str, Any] | None) -> dict[str, Any]:
        """Return the message of rank 0, which the others wait for."""
        found: dict[str, Any] = json.loads(self.send(json.dumps(message).encode())[0])
        return found

    def refuse_differences(self, identity: dict[str, Any]) -> None:
        """Raise InputError if a process differs from rank 0 in anything that decides about results."""
        every = [json.loads(text) for text in self.send(json.dumps(identity).encode())]
        for rank, other in enumerate(every):
            for name, value in every[0].items():
                if other.get(name) != value:
                    raise InputError(
                        f"rank {rank} has {name} {shown(other.get(name))}, rank 0 has {shown(value)}: the "
                        "processes would not give the result of one",
                        "start the same command on machines of the same kind, with the same versions",
                    )

    def _gather(self, mine: torch.Tensor) -> list[torch.Tensor]:
        """Return the tensors of all processes, in order of their ranks."""
        every = [torch.empty_like(mine) for _ in range(self.size)]
        self._exchange(lambda: distributed.all_gather(every, mine))
        return every

    def _exchange(self, exchange: Callable[[], Any]) -> None:
        """Exchange something. Raises RunFailed naming the processes that did not take part."""
        began = time.monotonic()
        try:
            exchange()
        except RuntimeError as error:
            raise self._lost(time.monotonic() - began, error) from error

    def _lost(self, waited: float, error: RuntimeError) -> RunFailed:
        """Note that this process is alive, wait for the others to do so, and name those that did not."""
        hint = "start the command again with --resume; torchrun --max-restarts N does so by itself"
        try:
            self.store.set(f"alive/{self.rank}", "")
            time.sleep(GRACE)
            lost = [rank for rank in range(self.size) if not self.store.check([f"alive/{rank}"])]
            names = ", ".join(f"{rank} on {self.store.get(f'host/{rank}').decode()}" for rank in lost)
        except RuntimeError:  # the machine that keeps the store is gone
            lost = []
        if not lost:
            return RunFailed(f"rank {self.rank} lost its connection: {first_line(error)}", hint)
        if waited >= self.timeout:
            return RunFailed(f"rank {names} has not answered for {waited:.0f} s (--timeout)", hint)
        return RunFailed(f"rank {names} has ended", hint)


def first_line(error: Exception) -> str:
    """Return the first line of a message of torch, which may end with a stack."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def launched() -> int:
    """Return how many processes a launcher of torch started for this command: 1 without one.

    Raises InputError if its variables are not numbers that belong together.
    """
    if not all(map(os.environ.get, VARIABLES)):
        return 1
    numbers = [os.environ[name] for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")]
    rank, size, port = (int(text) if text.isdecimal() else -1 for text in numbers)
    if not (0 <= rank < size and 0 < port < 1 << 16):
        raise InputError(
            f"RANK, WORLD_SIZE and MASTER_PORT are {', '.join(map(shown, numbers))}: expected a rank below "
            "the number of processes, and a port",
            "start the command with torchrun, or unset the variables",
        )
    return size


@contextmanager
def joined(timeout: float | None = None) -> Iterator[Processes | None]:
    """Join the processes that a launcher started beside this one; yield None if there are none.

    timeout: seconds to wait for another process, wherever they wait for each other.
    Raises RunFailed naming those that did not come.
    """
    size = launched()
    if size == 1:
        yield None
        return
    rank, timeout = int(os.environ["RANK"]), TIMEOUT if timeout is None else timeout
    limit = timedelta(seconds=timeout)
    # torchrun keeps the store itself, for all its attempts.
    is_kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    try:
        store = distributed.TCPStore(
            *place, is_master=rank == 0 and not is_kept, timeout=limit, wait_for_workers=False
        )
    except RuntimeError as error:
        raise RunFailed(
            f"rank {rank} cannot meet the others at {place[0]}:{place[1]}: {first_line(error)}",
            "check MASTER_ADDR and MASTER_PORT, start rank 0 there, or use a port that is free",
        ) from error
    own = distributed.PrefixStore(meet(store, rank, size, timeout), store)
    own.set(f"host/{rank}", socket.gethostname())
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0))
    distributed.init_process_group(backend, store=own, rank=rank, world_size=size, timeout=limit)
    try:
        yield Processes(own, rank, size, timeout)
    finally:
        distributed.destroy_process_group()


def meet(store: Any, rank: int, size: int, timeout: float) -> str:
    """Return a name for the processes that meet now, which those of an earlier attempt did not know.

    A launcher keeps the store when it starts processes again, on some machines sooner than on others, and
    does not count its attempts alike on all of them. So each process offers a word of its own; rank 0
    answers every word with the name, until each rank has answered with that name.
    """
    own, end = secrets.token_hex(8), time.monotonic() + timeout
    if rank:
        store.set(f"word/{rank}", own)
        while not store.check([f"name/{own}"]):
            _wait_until(end, "rank 0")
        name: str = store.get(f"name/{own}").decode()
        store.set(f"{name}/{rank}", "")
        return name
    missing = set(range(1, size))
    while missing:
        for other in list(missing):
            if store.check([f"word/{other}"]):
                store.set(f"name/{store.get(f'word/{other}').decode()}", own)
        missing = {other for other in missing if not store.check([f"{own}/{other}"])}
        if missing:
            _wait_until(end, f"rank {', '.join(map(str, sorted(missing)))}")
    return own


def _wait_until(end: float, who: str) -> None:
    """Wait a moment. Raises RunFailed when the time is up."""
    if time.monotonic() > end:
        raise RunFailed(
            f"{who} has not come (--timeout)", "start as many processes as WORLD_SIZE says, or wait longer"
        )
    time.sleep(MOMENT)


def has_restarted(processes: Processes | None) -> bool:
    """Whether the launcher started any of the processes again, after another one had ended."""
    own = int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0) > 0
    return bool(processes and processes.join(np.array([own])).any())


def may_restart() -> bool:
    """Whether torchrun would start the processes again."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS") or 0) > 0


def refuse_uneven(shards: int, processes: Processes | None) -> None:
    """Raise InputError if the shards cannot be shared out evenly."""
    if processes and shards % processes.size:
        raise InputError(
            f"--shards {shards} and {count(processes.size, 'process')}: expected a multiple, so that each "
            "computes as many",
            f"use --shards {-(-shards // processes.size) * processes.size}, or start fewer processes",
        )
