"""What the bundled rules say of runs: each sick one must be noticed, and each healthy one left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from acceptance.runs import KINDS, log_of, train_to
from acceptance.sickness import CYCLES, SCENARIO, Sickness

from townlet_core import io
from townlet_core.errors import RunFailed
from townlet_core.telemetry.follow import read_once
from townlet_core.telemetry.watch import Watch

TOWNLET = (sys.executable, "-m", "townlet_cli", "-q")
FIRST_SEED = 1000  # of healthy runs; the limits come from the first few seeds
STALE = "5s"


class Verdict(NamedTuple):
    """How a run was judged."""

    name: str
    what: str
    said: str  # "" if nothing was noticed


def judge(log: Path) -> str:
    """Return what the bundled rules say of a log: the first alert, and how many there are."""
    watch, first = Watch(log, [], bundled=True), ""
    for news in read_once(log):
        seen = watch.take(news)
        if seen and seen.alerts and not first:
            first = f"{seen.alerts[0].rule} ({seen.alerts[0].value:.3g}) at epoch {seen.record['epoch']}"
    return f"{first}, {watch.alerts} in all" if first else ""


def fall_sick(sickness: Sickness, log: Path, cycles: int = CYCLES) -> Verdict:
    """Train with a sickness, and judge the log."""
    settings = {
        "scenario": SCENARIO,
        "source": "mixed",
        "cycles": cycles,
        "seed": FIRST_SEED,
    } | sickness.settings
    with sickness.fault() if sickness.fault else nullcontext():
        train_to(log, settings)
    return Verdict(sickness.name, sickness.what, judge(log))


def stay_healthy(scenario: str, number: int, folder: Path) -> Verdict:
    """Train an ordinary run that no limit was derived from, and judge the log."""
    kind = KINDS[scenario][number % 2]
    log = log_of(folder, scenario, kind, FIRST_SEED + number)
    return Verdict(f"{scenario} {kind.name} seed {FIRST_SEED + number}", "", judge(log))


def damaged_logs(log: Path, folder: Path) -> Iterator[Verdict]:
    """Damage a healthy log, and let `watch` judge it as a gate."""
    lines = log.read_text().splitlines(keepends=True)
    damages: dict[str, tuple[str, Callable[[], list[str]]]] = {
        "lost_records": ("records are missing", lambda: lines[:5] + lines[8:]),
        "nan_in_log": ("another writer's NaN", lambda: [*lines[:-1], nan_of(lines[-1])]),
        "half_a_record": ("a line was cut", lambda: [*lines[:3], lines[3][:100] + "\n", *lines[4:]]),
    }
    for name, (what, damage) in damages.items():
        io.write_file(folder / f"{name}.jsonl", "".join(damage()).encode())
        gate = ("telemetry", "watch", str(folder / f"{name}.jsonl"), "--rules", "bundled", "--fail-on-alert")
        ended = subprocess.run([*TOWNLET, *gate], capture_output=True, text=True)
        yield Verdict(name, what, said_by(ended, 1))


def nan_of(line: str) -> str:
    """Return a record whose gradient norm is NaN."""
    before, _, after = line.partition('"grad_norm":')
    return f'{before}"grad_norm":NaN,{after.partition(",")[2]}'


def said_by(ended: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the error of a command that exited as it should, or nothing."""
    return ended.stderr.splitlines()[0] if ended.returncode == code else ""


def dying_trainers(folder: Path) -> Iterator[Verdict]:
    """Stop a trainer, then kill it, and let `watch` notice."""
    run = folder / "dying"
    train = ("train", SCENARIO, "--cycles", "1000", "--output", str(run), "--force")
    trainer = subprocess.Popen([*TOWNLET, *train], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (run / "telemetry.jsonl").exists() or not (run / "telemetry.jsonl").stat().st_size:
            if trainer.poll() is not None:
                raise RunFailed(f"{run}: the trainer ended before it wrote a record")
            time.sleep(0.1)
        watch = ("telemetry", "watch", str(run), "--stale-after", STALE)
        os.kill(trainer.pid, signal.SIGSTOP)
        ended = subprocess.run([*TOWNLET, *watch, "--follow"], capture_output=True, text=True)
        yield Verdict("stalled_trainer", "the trainer stands still", said_by(ended, 4))
        trainer.kill()
        ended = subprocess.run([*TOWNLET, *watch, "--exit-when-done"], capture_output=True, text=True)
        yield Verdict("killed_trainer", "the trainer was killed", said_by(ended, 4))
    finally:
        trainer.kill()
        trainer.wait()
