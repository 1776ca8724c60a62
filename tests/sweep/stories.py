"""What the sweep tells of: commands on a disk that dies or fails, and how what they leave is judged.

Run by sweep.py, with fault.c preloaded. A story is a command in a folder that others may have filled before.
It is played once undisturbed, which counts its operations, and then with a fault at one operation after the
other. After a fault, what is there is whole; after the command was given again, or the run resumed,
everything is as the undisturbed one left it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from itertools import product
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from townlet_cli.main import run
from townlet_core import io
from townlet_core.cpus import available_cpus
from townlet_core.errors import TownletError
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.ppo.device import torch
from townlet_core.replay.manifest import load_manifest, read_entry
from townlet_core.telemetry.reader import read_records

CLOCKS = (
    "timestamp",
    "epoch_duration_sec",
    "eval_duration_sec",
    "steps_per_second",
    "env_steps_per_second",
    "run_id",
)
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOLCK)
CAPTURE = "capture queue_conflict --ticks 12 --output capture"
TRAIN = (
    "train queue_conflict --mode mixed --cycles 2 --capture-towns 1 --num-towns 2 --rollout-ticks 12 "
    "--num-epochs 2 --num-mini-batches 1 --hidden-size 4 --log-max-bytes 2048 --output run"
)
LOGGED = f"{TRAIN} --ppo-log log/log.jsonl"
DONE, USAGE, DISK = 0, 2, 5
forks = get_context("fork")


class Story(NamedTuple):
    """A command, what came before it, and how it is given again."""

    name: str
    command: str
    before: tuple[str, ...] = ()
    resumed_if: str | None = None  # the run is resumed once its config.yaml has this line; else given again


STORIES = (
    Story("capture", CAPTURE),
    Story("capture --force", f"{CAPTURE} --force", (f"{CAPTURE} --towns 2 --seed 5",)),
    Story("capture --format arrow", f"{CAPTURE} --format arrow"),
    Story("merge shards", "replay merge shard --output capture", (f"{CAPTURE} --shard 1/1 --output shard",)),
    Story("train", TRAIN, resumed_if="seed: 0"),
    Story("resume", "train --resume run --cycles 3", (TRAIN,)),
    Story("train --force", f"{LOGGED} --seed 1 --force", (f"{LOGGED} --seed 2 --cycles 1",), "seed: 1"),
)


class Fault(NamedTuple):
    """At which operation, and what happens then: error 0 kills."""

    at: int = 0
    error: int = 0
    forever: bool = False

    def __str__(self) -> str:
        name = errno.errorcode[self.error] if self.error else "kill"
        return f"{name}{' from then on' if self.forever else ''} at operation {self.at}"


NONE = Fault()


class Ended(NamedTuple):
    """How a command ended."""

    code: int  # negative: killed by that signal
    said: str  # on both streams
    operations: int
    hit: str  # the operation that failed


def main() -> int:
    """Play every story with every fault, tell what was wrong, and return 1 if anything was."""
    options = arguments()
    wrong = 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        warm_up(Path(folder) / "warm")
        for number, story in enumerate(STORIES):
            if options.story in (None, story.name):
                wrong += sweep(story, Path(folder) / str(number), options)
    return 1 if wrong else 0


def arguments() -> Namespace:
    parser = ArgumentParser(description="let the disk die or fail under commands, and see what they leave")
    parser.add_argument("--story", choices=[story.name for story in STORIES], help="this one only")
    parser.add_argument("--at", type=int, help="this operation only")
    parser.add_argument("--faults", type=int, help="at most so many faults of each story, chosen evenly")
    parser.add_argument("--seed", type=int, default=0, help="chooses among the faults")
    parser.add_argument("--processes", type=int, default=available_cpus(), help="how many run at once")
    parser.add_argument("--folder", type=Path, help="where to write; by default where temporary files are")
    return parser.parse_args()


def warm_up(folder: Path) -> None:
    """Play everything once in this process: what torch and numba load only then, all forks have."""
    os.makedirs(folder)
    before = os.getcwd()
    os.chdir(folder)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        for command in (CAPTURE, TRAIN):
            sys.argv = ["townlet", *shlex.split(command)]
            with suppress(SystemExit):
                run()
    os.chdir(before)


def sweep(story: Story, folder: Path, options: Namespace) -> int:
    """Play one story with its faults; return how many of them it did not survive."""
    began = time.monotonic()
    template, straight = folder / "before", folder / "straight"
    os.makedirs(template)
    for command in story.before:
        prepared = townlet(command, template)
        assert prepared.code == DONE, prepared.said
    shutil.copytree(template, straight)
    ended = townlet(story.command, straight)
    assert ended.code == DONE, ended.said
    expected = what_is_there(straight)
    faults = list(chosen(ended.operations, options))
    wrong = 0
    with ProcessPoolExecutor(options.processes, forks) as pool:
        places = (folder / str(number) for number in range(len(faults)))
        told = [
            pool.submit(suffer, story, fault, template, place, expected)
            for fault, place in zip(faults, places, strict=False)
        ]
        for fault, done in zip(faults, told, strict=True):
            problems = done.result()
            wrong += bool(problems)
            for problem in problems:
                print(f"{story.name}: {fault}: {problem}", flush=True)
    seconds = time.monotonic() - began
    counted = f"{ended.operations} operations, {len(faults)} faults, {wrong} of them not survived"
    print(f"{story.name}: {counted}, {seconds:.0f} s", flush=True)
    return wrong


def chosen(operations: int, options: Namespace) -> Iterator[Fault]:
    """List the faults: at each operation a kill, an error, and one that stays; the errors take turns."""
    every = []
    for at, (kills, forever) in product(
        range(1, operations + 1), ((True, False), (False, False), (False, True))
    ):
        error = 0 if kills else ERRORS[(at + 2 * forever) % len(ERRORS)]
        if options.at in (None, at):
            every += [Fault(at, error, forever)]
    if options.at is not None:
        every = [
            *every[:1],
            *(Fault(options.at, error, forever) for error, forever in product(ERRORS, (0, 1))),
        ]
    step = max(1.0, len(every) / options.faults) if options.faults else 1.0
    phase = Random(options.seed).random()
    while int(phase * step) < len(every):
        yield every[int(phase * step)]
        phase += 1


def suffer(story: Story, fault: Fault, template: Path, here: Path, expected: dict[str, Any]) -> list[str]:
    """Give the command with a fault and, if it failed, again without one; return what was not right."""
    shutil.copytree(template, here)
    old = contents(here)
    ended = townlet(story.command, here, fault)
    problems = [f"{ended.hit}: {problem}" for problem in fused_loss_and_gradient(ended, fault)]
    problems += [f"{ended.hit}: {problem}" for problem in damage(here, old, expected)]
    after = ended.hit
    if ended.code != DONE:
        again = how_again(story, here)
        after += f", then `{again}`"
        finished = townlet(again, here)
        is_there_already = finished.code == USAGE and "already exists" in finished.said
        if finished.code != DONE and not is_there_already:
            return [*problems, f"{after} ended with {finished.code}: {last_line(finished)}"]
    found = what_is_there(here)
    shutil.rmtree(here)
    different = (name for name in expected if found.get(name) != expected[name])
    return problems + [
        f"{after}: another {name}: {difference(found.get(name), expected[name])}" for name in different
    ]


def how_again(story: Story, here: Path) -> str:
    """The command that finishes what a fault ended: to resume the run if it has begun, or the same again."""
    config = here / "run" / "config.yaml"
    has_begun = (here / "run" / "run.json").exists() and config.exists()
    if has_begun and story.resumed_if and re.search(f"^ *{story.resumed_if}$", config.read_text(), re.M):
        return "train --resume run"
    return story.command


def fused_loss_and_gradient(ended: Ended, fault: Fault) -> Iterator[str]:
    """Tell what is wrong with how the command ended: exit code, and what it said of the file."""
    if not ended.hit:
        return
    if fault.error == 0:
        if ended.code != -signal.SIGKILL:
            yield f"exit code {ended.code}, expected to be killed"
    elif ended.code not in (DISK, DONE):
        yield f"exit code {ended.code}: {last_line(ended)}"
    elif ended.code == DISK and not re.search(r"^error: \S*(capture|run|log)\b\S*: ", ended.said, re.M):
        yield f"names no file: {last_line(ended)}"


def last_line(ended: Ended) -> str:
    lines = [line for line in ended.said.splitlines() if line.startswith("error: ")]
    return lines[-1] if lines else ended.said[-200:]


def damage(here: Path, old: dict[str, bytes], expected: dict[str, Any]) -> Iterator[str]:
    """Tell what is neither old nor new right after the fault, without anybody's help."""
    try:
        for manifest in list(here.rglob("*_manifest.json")):
            for entry in load_manifest(manifest).entries:
                read_entry(entry)
        if (here / "run" / "checkpoints" / "latest.json").exists():
            yield from load_checkpoint(here / "run").warnings
        for path in here.rglob("run.json"):
            io.read_json(path)
    except TownletError as error:
        yield f"is not whole: {error}"
    files = expected["files"]
    for name, data in contents(here).items():
        if name in files and name in old and data != old[name] and io.sha256(data) != files[name]:
            yield f"{name} is neither old nor new"


def contents(here: Path) -> dict[str, bytes]:
    return {str(path.relative_to(here)): path.read_bytes() for path in here.rglob("*") if path.is_file()}


def what_is_there(here: Path) -> dict[str, Any]:
    """All that a finished command left and that no clock decides."""
    names = sorted(str(path.relative_to(here)) for path in here.rglob("*"))
    timeless = [
        name for name in names if re.search(r"capture/|samples/", name) and not name.endswith(".lock")
    ]
    found: dict[str, Any] = {
        "files": {name: io.sha256((here / name).read_bytes()) for name in timeless if (here / name).is_file()}
    }
    generations = dict.fromkeys(re.findall(r"\bg\d{6}\b", " ".join(names)))
    aged = {name: f"g-{len(generations) - place}" for place, name in enumerate(generations)}
    aging = [re.sub(r"\bg\d{6}\b", lambda match: aged[match.group()], name) for name in names]
    # The lock of a log that could not be removed, which locks nothing and is taken over by the next writer.
    found["names"] = [name for name in aging if not re.search(r"/\.[^/]+\.lock$", name)]
    if not (here / "run").exists():
        return found
    last, about = load_checkpoint(here / "run"), io.read_json(here / "run" / "run.json")
    best = load_checkpoint(here / "run" / "checkpoints" / "best.json")
    damaged: list[str] = []
    log = here / "log" / "log.jsonl" if (here / "log").exists() else here / "run" / "telemetry.jsonl"
    records = read_records(log, lambda line, problem: damaged.append(problem))
    found["telemetry"] = [{k: v for k, v in record.items() if k not in CLOCKS} for _, record in records]
    found["damaged lines"] = damaged
    found["weights"] = (last.metadata.weights_sha256, best.metadata.weights_sha256, last.state, last.warnings)
    found["configuration"] = (here / "run" / "config.yaml").read_text().replace(str(here), "")
    found["end"] = about["status"]
    return found


def difference(found: Any, expected: Any) -> str:
    """Say where two values part, in a few words."""
    if isinstance(found, dict) and isinstance(expected, dict):
        found, expected = sorted(found.items()), sorted(expected.items())
    if isinstance(found, list) and isinstance(expected, list):
        more = [item for item in found if item not in expected]
        less = [item for item in expected if item not in found]
        return f"{str(more)[:300]} instead of {str(less)[:300]}"
    return f"{str(found)[:200]} instead of {str(expected)[:200]}"


def townlet(command: str, here: Path, fault: Fault = NONE) -> Ended:
    """Run a command in a process of its own, in the folder `here`, with a fault below it."""
    shared = RawArray(ctypes.c_char, 8192)
    with tempfile.TemporaryFile("w+", errors="replace") as told:
        child = forks.Process(target=be_townlet, args=(command, here, fault, told.fileno(), shared))
        child.start()
        child.join()
        assert child.exitcode is not None
        told.seek(0)
        count = ctypes.c_long.from_buffer(shared).value
        hit = ctypes.string_at(ctypes.addressof(shared) + ctypes.sizeof(ctypes.c_long)).decode()
        return Ended(child.exitcode, told.read(), count, hit.replace(f"{here}/", ""))


def be_townlet(command: str, here: Path, fault: Fault, told: int, shared: Any) -> None:
    """Be the command; what it prints goes to the file `told`."""
    for stream in (1, 2):
        os.dup2(told, stream)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    os.chdir(here)
    torch.set_num_threads(1)  # a fork has none of its parent's threads, and would wait for them
    sys.argv = ["townlet", *shlex.split(command)]
    arm: Callable[..., Any] = ctypes.CDLL(None).fault_arm
    arm(os.fsencode(here), ctypes.c_long(fault.at), fault.error, fault.forever, 0, shared)
    run()


if __name__ == "__main__":
    sys.exit(main())
