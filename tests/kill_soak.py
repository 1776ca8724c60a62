"""Kill training runs anywhere, resume them, and hold what they end with to the run that nobody killed.

What `make soak-resume` runs. The run is short and has everything: recordings, warm start, both halves of a
cycle, running statistics, a rotated log. Every other kill is at a call to the disk, from the first to the
last in even steps; the others are at moments that chance chooses. What was killed is resumed, and what
resumed it may be killed again. In the end weights, recordings, telemetry (but for its clocks) and the best
checkpoint must be those of the run that nobody killed, and no temporary file may be left.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from dying import die_at_disk_call

from townlet_cli.main import run
from townlet_core import io
from townlet_core.cpus import available_cpus
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.ppo.device import torch
from townlet_core.telemetry.reader import read_records

CLOCKS = (
    "timestamp",
    "epoch_duration_sec",
    "eval_duration_sec",
    "steps_per_second",
    "env_steps_per_second",
    "run_id",
)
TRAIN = shlex.split(
    "train queue_conflict --mode mixed --cycles 3 --warm-start bc --warm-start-epochs 2 "
    "--capture-towns 1 --num-towns 3 --rollout-ticks 20 --num-epochs 2 --num-mini-batches 2 --hidden-size 8 "
    "--normalise-observations --normalise-returns --log-max-bytes 4096"
)
forks = get_context("fork")


class Kill(NamedTuple):
    """When a command is killed: at a call to the disk, or after so many seconds."""

    call: int = 0
    seconds: float | None = None


NEVER = Kill()


class Ended(NamedTuple):
    """How a command ended."""

    code: int  # negative: killed by that signal
    words: str  # the call to the disk it was killed at, or how many calls there were
    seconds: float


def main() -> int:
    """Kill, resume, compare, tell how it goes, and return 1 after a difference."""
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        ended, expected = run_unharmed(Path(folder))
        say(f"the run that nobody kills: {ended.words}, {ended.seconds:.1f} s")
        numbers = range(options.kills) if options.number is None else [options.number]
        with ProcessPoolExecutor(options.processes, forks) as pool:
            waiting = [
                pool.submit(kill_and_resume, Path(folder) / str(number), kills_of(number, ended, options))
                for number in numbers
            ]
            different = 0
            for number, done in zip(numbers, waiting, strict=True):
                story, found = done.result()
                wrong = differences(found, expected)
                different += bool(wrong)
                say(f"{number}: {story}: {'; '.join(wrong) or 'no difference'}")
                if wrong:
                    again = f"--kills {options.kills} --seed {options.seed} --number {number}"
                    print(f"again: python tests/kill_soak.py {again}", file=sys.stderr)
    say(f"{len(numbers)} runs killed and resumed, {different} of them ended differently")
    return 1 if different else 0


def arguments() -> Namespace:
    parser = ArgumentParser(description="kill training runs anywhere, resume them, compare how they end")
    parser.add_argument("--kills", type=int, default=100, help="how many runs to kill")
    parser.add_argument("--seed", type=int, default=0, help="chooses the moments")
    parser.add_argument("--number", type=int, help="kill the run of this number only, to see it again")
    parser.add_argument("--processes", type=int, default=available_cpus(), help="how many run at once")
    parser.add_argument("--folder", type=Path, help="where to write; by default where temporary files are")
    return parser.parse_args()


def kills_of(number: int, straight: Ended, options: Namespace) -> list[Kill]:
    """When the run of this number is killed, and when what resumed it is, at most twice."""
    chance = Random(f"{options.seed} {number}")
    calls = int(straight.words.split()[0])
    step = calls / max(1, options.kills // 2)
    first = Kill(call=1 + int(step * (number // 2 + chance.random())) % calls)
    kills = [first if number % 2 == 0 else Kill(seconds=chance.random() * straight.seconds)]
    while len(kills) < 3 and chance.random() < 0.4:
        again = (Kill(call=chance.randint(1, calls)), Kill(seconds=chance.random() * straight.seconds))
        kills.append(chance.choice(again))
    return kills


def run_unharmed(folder: Path) -> tuple[Ended, dict[str, Any]]:
    """Let a run end; returns how it did, and what it left."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), suppress(SystemExit):
        # Once in this process: what torch and numba load only when they are asked, all forks have then.
        sys.argv = ["townlet", *TRAIN, "--output", str(folder / "first")]
        run()
    ended = townlet([*TRAIN, "--output", folder / "unharmed"], NEVER)
    assert ended.code == 0, f"exit code {ended.code} of the run that nobody kills: {ended.words}"
    return ended, what_is_there(folder / "unharmed")


def kill_and_resume(folder: Path, kills: list[Kill]) -> tuple[str, dict[str, Any]]:
    """Kill a run and what resumes it, then let it end; returns the story, and what it left."""
    story: list[str] = []
    for kill in (*kills, NEVER):
        begun = (folder / "run.json").exists()
        ended = townlet(["train", "--resume", folder] if begun else [*TRAIN, "--output", folder], kill)
        if ended.code == 0:
            break
        if ended.code != -signal.SIGKILL:
            return ", ".join([*story, f"exit code {ended.code}"]), {"output": ended.words}
        story.append(f"killed at {ended.words}" if kill.call else f"killed after {kill.seconds:.2f} s")
    found = what_is_there(folder)
    shutil.rmtree(folder)
    return ", ".join(story) or "had ended before it was killed", found


def townlet(arguments: list[Any], kill: Kill) -> Ended:
    """Run a command in a process of its own, which is killed where it is said."""
    with tempfile.NamedTemporaryFile() as told:
        started = time.monotonic()
        child = start(arguments, told.name, kill.call)
        child.join(kill.seconds)
        if child.is_alive():
            child.kill()
            child.join()
        assert child.exitcode is not None
        words = Path(told.name).read_text().strip().split("\n")[-1]
        return Ended(child.exitcode, words, time.monotonic() - started)


def start(
    arguments: list[Any], told: str, fatal: int = 0, before: Callable[[], Any] = lambda: None
) -> ForkProcess:
    """Begin a command in a process of its own, which does something before."""
    child = forks.Process(target=be_townlet, args=(arguments, told, fatal, before))
    child.start()
    return child


def be_townlet(arguments: list[Any], told: str, fatal: int, before: Callable[[], Any]) -> None:
    """Be the command; what it prints goes to the file `told`, and then its last words."""
    with open(told, "w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        sys.stdout = sys.stderr = file
        torch.set_num_threads(1)  # a fork has none of its parent's threads, and would wait for them
        before()
        calls = die_at_disk_call(fatal, lambda words: print(words, file=file, flush=True))
        sys.argv = ["townlet", *map(str, arguments)]
        try:
            run()
        except SystemExit as left:
            if left.code == 0:
                print(f"{calls()} calls to the disk", file=file)
            raise


def what_is_there(folder: Path) -> dict[str, Any]:
    """All that a finished run left and that no clock decides."""
    checkpoints = folder / "checkpoints"
    last = load_checkpoint(folder)
    about = io.read_json(folder / "run.json")
    damage: list[str] = []
    records = read_records(folder / "telemetry.jsonl", lambda line, problem: damage.append(problem))
    return {
        "weights": last.metadata.weights_sha256,
        "counters": last.state,
        "best checkpoint": load_checkpoint(checkpoints / "best.json").metadata.weights_sha256,
        "warnings": last.warnings,
        "telemetry": [{k: v for k, v in record.items() if k not in CLOCKS} for _, record in records],
        "damaged lines": damage,
        "recordings": {path.name: io.sha256(path.read_bytes()) for path in folder.glob("samples/rollout*")},
        "configuration": (folder / "config.yaml").read_text(),
        "end": (about["status"], about["warm_start"]),
        "temporary files": [path.name for path in folder.rglob(".*.tmp")],
    }


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Name what is not as expected."""
    if "output" in found:
        return [found["output"]]
    return [f"another {name}: {short(found[name])}" for name in expected if found[name] != expected[name]]


def short(value: Any) -> str:
    return str(value)[:200]


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
