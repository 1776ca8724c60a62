"""The command line: milliseconds per process, beside an empty Typer app and Python itself."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.figures import Effort, Figure, Measure, in_turn, rate

EMPTY_APP = str(Path(__file__).parent / "workers" / "empty_app.py")
OURS = {f"townlet {flag}": ("-m", "townlet_cli", flag) for flag in ("--help", "--version")}
PEER, LIMIT = "an empty Typer app, --help", "Python that does nothing"


def measure(effort: Effort) -> list[Figure]:
    """Start each process a few times, in turn."""
    commands = {**OURS, PEER: (EMPTY_APP, "--help"), LIMIT: ("-c", "pass")}
    measures: dict[str, Measure] = {
        name: partial(_milliseconds, arguments, effort.seconds) for name, arguments in commands.items()
    }
    medians = in_turn(effort.rounds, measures)
    return [Figure(name, medians[name], "ms", 1, PEER, medians[PEER], LIMIT, medians[LIMIT]) for name in OURS]


def _milliseconds(arguments: tuple[str, ...], seconds: float) -> float:
    def start() -> None:
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)

    return 1000 / rate(start, 1, seconds)
