"""What the replay benchmark asks of Townlet and its peers: open data, deliver an epoch, say the memory."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

# What a batch of Townlet delivers, besides `dones`, which follow from the two ends.
NAMES = (
    "map",
    "features",
    "actions",
    "old_log_probs",
    "value_preds",
    "rewards",
    "terminations",
    "truncations",
    "action_mask",
    "conflict_events",
    "conflict_intensity",
)
BATCH = 8  # episodes, as in ReplayDatasetConfig
OPENED: dict[str, Any] = {}  # by folder


def read_episodes(files: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """Read one episode per NPZ file, each array (T, …); value_preds lack the last value."""
    for file in files:
        with np.load(file) as arrays:
            ticks = len(arrays["actions"])
            yield {name: arrays[name][:ticks] for name in NAMES}


def answer(
    open_data: Callable[[Path], Any],
    deliver: Callable[[Any], Iterator[Mapping[str, Any]]],
    what: str,
    folder: str = "",
    transitions: int = 0,
) -> float:
    """Answer a request about the data in a folder.

    `open`: seconds. `epoch`: transitions per second, of data that was opened for an earlier request, if there
    was one. `first`: the same, including opening. `memory`: of the process so far, at most, in MB.
    deliver: iterates over the batches of an epoch in a random order; a batch maps NAMES to arrays.
    transitions: how many an epoch must deliver.
    """
    if what == "memory":
        return resident_megabytes()
    if what == "epoch" and folder not in OPENED:
        OPENED[folder] = open_data(Path(folder))
    start = time.perf_counter()
    data = OPENED[folder] if what == "epoch" else open_data(Path(folder))
    if what == "open":
        return time.perf_counter() - start
    delivered = 0
    for batch in deliver(data):
        assert all(name in batch for name in NAMES)
        delivered += math.prod(batch["actions"].shape[:2])
    elapsed = time.perf_counter() - start
    assert delivered == transitions, f"{delivered:,} transitions, expected {transitions:,}"
    return delivered / elapsed


def resident_megabytes() -> float:
    """Return the largest resident set of this process so far, in MB of 10⁶ bytes.

    Linux: from /proc, because what getrusage says begins with the size of the parent.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
