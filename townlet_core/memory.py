"""Free memory, checked before large allocations: the system kills a process that exceeds it."""

from __future__ import annotations

import re
from pathlib import Path

SYSTEM = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # of a container, whose limit may be far below the machine's memory


def require_memory(wanted: int, what: str) -> None:
    """Raise MemoryError if `wanted` bytes are not free; if that is unknown, assume they are."""
    free = free_memory()
    if free is not None and wanted > free:
        raise MemoryError(f"{what}: needs about {wanted / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")


def free_memory() -> int | None:
    """Return how many bytes can be had, in this container and on this machine; None if neither is known."""
    known = []
    on_machine = _number(SYSTEM, r"^MemAvailable: +(\d+) kB$")
    if on_machine is not None:
        known.append(on_machine * 1024)
    limit, taken = _number(GROUP / "memory.max", r"^(\d+)$"), _number(GROUP / "memory.stat", r"^anon (\d+)$")
    if limit is not None and taken is not None:
        known.append(max(0, limit - taken))
    return min(known, default=None)


def _number(file: Path, pattern: str) -> int | None:
    try:
        found = re.search(pattern, file.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None
