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
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core.capture.rollout import allocate_frames, collect
from townlet_core.capture.samples import cut_samples
from townlet_core.capture.settings import CaptureSettings, describe_origin
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.checks import check_sample
from townlet_core.replay.manifest import load_manifest
from townlet_core.replay.packed.writer import ShardWriter
from townlet_core.replay.totals import part_of
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import MANY_TOWNS, Towns

LIMIT_MB = 400
POLL_SECONDS = 0.1
STEP_TOWNS = 48  # of which each step is timed


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
    print("| step | CPU µs per transition |\n| --- | --- |")
    for step, microseconds in steps_of(options.scenario).items():
        print(f"| {step} | {microseconds:.1f} |", flush=True)
    columns = ("form", "towns", "workers", "transitions", "seconds", "CPU seconds", "per CPU second", "MB")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
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
                row = f"| {form} | {towns:,} | {workers} | {transitions:,} | {used.seconds:.0f} | "
                row += f"{used.cpu_seconds:.0f} | {rate:,.0f} ({rate / alone:.1%}) | {used.peak_mb:.0f} |"
                print(row, flush=True)
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


def steps_of(name: str) -> dict[str, float]:
    """Return the CPU microseconds per transition of the steps of a packed capture, in this process."""
    scenario = load_scenario(name)
    origin = describe_origin(scenario, CaptureSettings(ticks=scenario.ticks))
    towns, policy = Towns(scenario, STEP_TOWNS), ScriptedPolicy(scenario)
    frames = allocate_frames(towns, scenario.ticks)
    seconds: dict[str, float] = {}

    def timed(step: str, act: Callable[..., Any], *arguments: Any) -> Any:
        started = time.process_time()
        result = act(*arguments)
        seconds[step] = seconds.get(step, 0.0) + time.process_time() - started
        return result

    for _ in range(2):  # the first round warms up
        seconds.clear()
        transitions = 0
        timed("play, and describe events", collect, towns, policy, frames, towns.new_events)
        with tempfile.TemporaryDirectory() as folder:
            writer = ShardWriter(Path(folder), "soak_00001")
            for b, i in product(range(STEP_TOWNS), range(len(towns.agent_ids))):
                about = {**origin, "capture": {**origin["capture"], "town": b}}
                samples = cut_samples(frames, i, towns.agent_ids[i], towns.feature_names, about, b)
                while sample := timed("cut samples, and compute their metrics", next, samples, None):
                    timed("reduce them to totals", part_of, sample, sample.metadata["metrics"])
                    timed("check them", check_sample, sample.arrays(), sample.metadata, "", "")
                    timed("describe, digest, encode and write them", writer.add, sample)
                    transitions += sample.timesteps
            timed("describe, digest, encode and write them", writer.close)
    seconds["describe, digest, encode and write them"] -= seconds["check them"]  # which the writer does too
    return {step: 1e6 * spent / transitions for step, spent in seconds.items()}


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
