"""Townlet in a process of its own, torch included; and plain loops over the same files.

Runs in Townlet's environment, unlike the workers of the peers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from episodes import answer
from serve import serve

from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig

CHUNK = 1 << 20


def measure(what: str, streaming: bool = True, **request: Any) -> float:
    """Answer what `answer` answers, with streaming=False from memory.

    `files` and `bytes`: transitions per second of np.load and of reading the bytes. cold: files to evict.
    """
    if files := request.pop("cold", ()):
        evict(files)
    if what in WORK:
        return per_second(partial(WORK[what], request["files"]), request["transitions"])
    return answer(partial(open_dataset, streaming=streaming), deliver, what, **request)


def open_dataset(manifest: Path, streaming: bool) -> ReplayDataset:
    return ReplayDataset(ReplayDatasetConfig(manifests=(manifest,), streaming=streaming))


def deliver(dataset: ReplayDataset) -> Iterator[dict[str, Any]]:
    """Iterate over the batches of an epoch, as tensors that share the memory of the arrays."""
    for batch in dataset:
        yield {name: torch.from_numpy(value) for name, value in batch._asdict().items() if is_array(value)}


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def per_second(work: Callable[[], None], units: int) -> float:
    start = time.perf_counter()
    work()
    return units / (time.perf_counter() - start)


def load_each(files: list[str]) -> None:
    for file in files:
        with np.load(file, allow_pickle=False) as arrays:
            for name in arrays.files:
                arrays[name]


def read_bytes(files: list[str]) -> None:
    into = bytearray(CHUNK)
    for file in files:
        with open(file, "rb", buffering=0) as opened:
            while opened.readinto(into):
                pass


def evict(files: list[str]) -> None:
    """Remove the pages of files from the page cache."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)  # only clean pages are removed
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


WORK = {"files": load_each, "bytes": read_bytes}
serve(measure)
