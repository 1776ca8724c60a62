"""How many CPUs this process may use, and what says so: affinity, a control group's quota, or Slurm."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

GROUPS = Path("/sys/fs/cgroup")  # where control groups are mounted
OWN_GROUP = Path("/proc/self/cgroup")  # the groups of this process, a line per hierarchy
TASK, NODE = (
    "SLURM_CPUS_PER_TASK",
    "SLURM_CPUS_ON_NODE",
)  # of a task; of all its job's tasks


class CpuBound(NamedTuple):
    """A number of CPUs, and where it comes from."""

    cpus: int
    source: str


def available_cpus() -> int:
    """Return how many CPUs this process may use, at least 1."""
    return cpu_bound().cpus


def cpu_bound() -> CpuBound:
    """Return the least bound on the CPUs of this process; of equal ones, the first of _bounds."""
    return min(_bounds(), key=lambda bound: bound.cpus)


def _bounds() -> Iterator[CpuBound]:
    yield CpuBound(os.cpu_count() or 1, "machine")
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        yield CpuBound(len(os.sched_getaffinity(0)), "affinity")
    quota = min(_quotas(), default=math.inf)
    if quota < math.inf:
        yield CpuBound(max(1, math.ceil(quota)), "control group")  # 1.5 CPUs keep two threads busier than one
    variable = TASK if os.environ.get(TASK) else NODE
    text = os.environ.get(variable, "")
    if text.isdecimal() and int(text):
        yield CpuBound(int(text), variable)


def _quotas() -> Iterator[float]:
    """Yield the CPUs' worth of time that this process's control groups have, and the groups above them."""
    for line in _read(OWN_GROUP).splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:  # version 2; where version 1 is used as well, systemd mounts it apart
            for folder in _folders(group, "", "unified"):
                yield _quota(_read(folder / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for folder in _folders(group, controllers, "cpu"):
                files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                yield _quota([_read(folder / name).strip() for name in files])


def _folders(group: str, *mounts: str) -> Iterator[Path]:
    """Yield where a group and those above it may be. A container sees its own group as the mount itself."""
    below = PurePosixPath(group.lstrip("/"))
    for mount in mounts:
        for part in (below, *below.parents):
            yield GROUPS / mount / part


def _quota(words: list[str]) -> float:
    """Return quota / period; infinity for `max`, -1, and a file that is not there."""
    if len(words) == 2 and all(map(str.isdecimal, words)) and int(words[1]):
        return int(words[0]) / int(words[1])
    return math.inf


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
