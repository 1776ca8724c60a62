"""Capture many towns, and hold memory and rate to their limits. What `make soak-capture` runs.

Each capture runs in processes of its own. The largest resident memory of any of them is measured. The rate is
compared with that of the simulator alone: the scripted policy, observations and the tick. It is per CPU
second, which depends less on what else the machine does.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.manifest import load_manifest
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import MANY_TOWNS, Towns

LIMIT_MB = 400
POLL_SECONDS = 0.1


class Used(NamedTuple):
    """What a command took."""

    seconds: float
    cpu_seconds: float  # of all processes, starting them included
    peak_mb: float  # the largest resident memory of one process


def main() -> int:
    """Print a table, and return 1 if a process took more memory than the limit."""
    options = arguments()
    alone = simulator_rate(options.scenario)
    print(f"{options.scenario}: the simulator alone plays {alone:,.0f} transitions per CPU second")
    print(
        "| form | towns | workers | transitions | seconds | CPU seconds | transitions per CPU second | peak MB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    worst = 0.0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for form, towns in (("arrow", options.arrow_towns), ("npz", options.npz_towns)):
            for workers in options.workers:
                output = Path(folder) / f"{form}-{workers}"
                words = ["--format", form, "--towns", str(towns), "--workers", str(workers)]
                used = run(["capture", options.scenario, *words, "--output", str(output)])
                entries = load_manifest(output / "rollout_sample_manifest.json").entries
                transitions = sum(entry.frame_count or 0 for entry in entries)
                rate = transitions / used.cpu_seconds
                worst = max(worst, used.peak_mb)
                numbers = (f"{towns:,}", workers, f"{transitions:,}", f"{used.seconds:.0f}")
                numbers += (
                    f"{used.cpu_seconds:.0f}",
                    f"{rate:,.0f} ({rate / alone:.1%})",
                    f"{used.peak_mb:.0f}",
                )
                print(f"| {form} | {' | '.join(map(str, numbers))} |", flush=True)
    print(f"at most {worst:.0f} MB, the limit is {LIMIT_MB}")
    return 1 if worst > LIMIT_MB else 0


def arguments() -> Namespace:
    parser = ArgumentParser(description="capture many towns, and measure memory and rate")
    parser.add_argument("--scenario", default="queue_conflict")
    parser.add_argument("--arrow-towns", type=int, default=10_000)
    parser.add_argument("--npz-towns", type=int, default=2_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", type=Path, help="where to write; by default where temporary files are")
    return parser.parse_args()


def simulator_rate(name: str) -> float:
    """Return the transitions per CPU second of towns that nobody records."""
    scenario = load_scenario(name)
    towns, policy = Towns(scenario, MANY_TOWNS - 1), ScriptedPolicy(scenario)
    seen = towns.empty_observations(np.uint8)
    rates = []
    for _ in range(3):
        started = time.process_time()
        for _ in range(scenario.ticks):
            towns.step(policy.act(towns, towns.observe(seen)).actions)
            if towns.over_count:
                towns.restart(towns.state.towns["over"].copy())
        rates.append(scenario.ticks * towns.state.agents.size / (time.process_time() - started))
    return max(rates)


def run(words: list[str]) -> Used:
    """Run a command and measure all its processes."""
    started, peak, before = time.perf_counter(), 0.0, resource.getrusage(resource.RUSAGE_CHILDREN)
    command = subprocess.Popen(
        [sys.executable, "-m", "townlet_cli", "-q", *words], stdout=subprocess.DEVNULL, start_new_session=True
    )
    while command.poll() is None:
        peak = max(peak, *map(resident_mb, processes_of(command.pid)), 0.0)
        time.sleep(POLL_SECONDS)
    if command.returncode:
        raise SystemExit(f"`townlet {' '.join(words)}` ended with {command.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Used(time.perf_counter() - started, cpu, peak)


def processes_of(session: int) -> list[int]:
    """List the processes of a session."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getsid(int(name)) == session:
                found.append(int(name))
        except ProcessLookupError:
            pass
    return found


def resident_mb(process: int) -> float:
    """Return the largest resident memory that a process has had; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


if __name__ == "__main__":
    sys.exit(main())
