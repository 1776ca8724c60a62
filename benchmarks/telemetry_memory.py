"""How much more memory than at its start a process needs that reads a log.

`python -m benchmarks.telemetry_memory validate|summary LOG` prints it in MB.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.workers.episodes import resident_megabytes
from townlet_core.telemetry.summary import summarise
from townlet_core.telemetry.validate import LogCheck


def memory_of_reading(log: Path, records: int) -> list[Figure]:
    """Validate and summarise a log, each in a process of its own."""
    return [
        Figure(f"{what} {records:,} records, memory over start-up", _megabytes(what, log), "MB", 1)
        for what in ("validate", "summary")
    ]


def _megabytes(what: str, log: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.telemetry_memory", what, str(log)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main(what: str, log: Path) -> None:
    """Read a log and print by how much the peak has grown since everything was imported."""
    before = resident_megabytes()
    if what == "validate":
        assert not list(LogCheck(log).problems())
    else:
        summarise(log)
    print(resident_megabytes() - before)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
