"""`python -m benchmarks [ONLY]`: run the benchmarks, print a table each, write results.json."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from datetime import datetime
from pathlib import Path

from benchmarks.figures import Effort, print_figures
from townlet_cli.console import note
from townlet_core import io
from townlet_core.errors import TownletError

NAMES = ("simulation", "ppo", "replay", "telemetry", "watch", "cli", "scaling")
RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Run all benchmarks, or the one named. What is written comes from this run alone."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="?", choices=NAMES, metavar="ONLY", help=f"one of {', '.join(NAMES)}")
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds: does it run? The figures mean nothing."
    )
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="instead of %(default)s")
    arguments = parser.parse_args()
    effort = Effort.quick() if arguments.quick else Effort()
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    note(f"{datetime.now():%Y-%m-%d}, {machine}, Python {platform.python_version()}")
    figures = []
    for name in [arguments.only] if arguments.only else NAMES:
        # Imported when its turn comes, so that torch's threads are not there while others are measured.
        found = importlib.import_module(f"benchmarks.{name}").measure(effort)
        print_figures(name, found)
        figures += found
    io.write_json(arguments.output, [figure.row() for figure in figures])
    note(f"wrote {arguments.output}")


if __name__ == "__main__":
    try:
        main()
    except TownletError as error:
        print(f"error: {error}", *([f"hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        sys.exit(error.exit_code)
