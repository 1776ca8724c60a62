"""Mutate files of every format and read them: what `make fuzz` runs.

A reader must refuse a mutant with a TownletError, or return what an independent reader sees in it, within a
second of processor time and 256 MB of memory. Mutants are a function of the seed. The first fault of each
format is made smaller and written below build/fuzz, with the command that reads it again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]
os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the usual one reserves more than it uses

from fuzz_bytes import Files  # noqa: E402
from fuzz_corpus import read_corpus  # noqa: E402
from fuzz_targets import FORMATS  # noqa: E402
from fuzz_worker import MOST_STEPS, SCRATCH, Outcome, bound_memory, judge, mutant, read_mutants, write_files  # noqa: E402

from townlet_core.cpus import available_cpus  # noqa: E402

CHUNK = 1000  # mutants to a process
FOUND = ROOT / "build" / "fuzz"
forks = get_context("fork")


def main() -> int:
    """Read mutants of every format, or one that was found before; return 1 if there is a fault."""
    options = _options()
    if options.replay:
        fault = in_child(read_once, options.replay.name.split("-")[0], _files(options.replay))
        print(fault or "no fault")
        return bool(fault)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        # In another process, so that no library has started threads in this one, which forks.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT)])}
        subprocess.run(
            [sys.executable, str(HERE / "fuzz_corpus.py"), str(corpus)], check=True, env=environment
        )
        inputs = {name: read_corpus(corpus, name) for name in options.formats}
    print(f"seed {options.seed}\nformat      mutants   refused  slowest   memory   seconds")
    faults = [hunt(name, inputs[name], options) for name in options.formats]
    return any(faults)


def hunt(name: str, inputs: list[Files], options: Namespace) -> bool:
    """Read the mutants of a format, print the counts, and return whether there is a fault."""
    start, total = time.monotonic(), Outcome()
    calls = ((name, inputs, options.seed, numbers) for numbers in _chunks(options.mutants))
    for (*_, numbers), answer in in_children(read_chunk, calls, options.processes):
        outcome = (
            answer if isinstance(answer, Outcome) else cause_of(name, inputs, options.seed, numbers, answer)
        )
        total = Outcome(
            total.mutants + outcome.mutants,
            total.refused + outcome.refused,
            max(total.slowest, outcome.slowest),
            max(total.memory, outcome.memory),
            min(filter(None, (total.fault, outcome.fault)), default=None),
        )
        if total.fault:
            break
    seconds = time.monotonic() - start
    print(
        f"{name:8} {total.mutants:10,}{total.refused:10,}{total.slowest:7.2f} s"
        f"{total.memory >> 20:6} MB{seconds:10.1f}",
        flush=True,
    )
    if total.fault:
        report(name, inputs, options.seed, *total.fault)
    return bool(total.fault)


def _chunks(mutants: int) -> Iterator[range]:
    return (range(first, min(first + CHUNK, mutants)) for first in range(0, mutants, CHUNK))


def read_chunk(name: str, inputs: list[Files], seed: int, numbers: range) -> Outcome:
    """Read some mutants in a folder of their own."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        return read_mutants(name, inputs, seed, numbers, Path(folder))


def cause_of(name: str, inputs: list[Files], seed: int, numbers: range, died: str) -> Outcome:
    """Find the mutant that a process died of, by reading each in a process of its own."""
    for number in numbers:
        if fault := in_child(read_once, name, mutant(FORMATS[name], inputs, f"{seed}/{name}/{number}")):
            return Outcome(number - numbers[0] + 1, fault=(number, fault))
    return Outcome(fault=(numbers[0], f"{died}, and of no single mutant from {numbers[0]} to {numbers[-1]}"))


def in_children(
    call: Callable[..., Any], calls: Iterable[tuple[Any, ...]], most: int
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Run calls in child processes, a few at a time; yield the arguments and the answer of each as it comes.

    The answer is a text if the process died.
    """
    waiting, running = iter(calls), {}
    while True:
        for arguments in islice(waiting, most - len(running)):
            ours, theirs = forks.Pipe(duplex=False)
            child = forks.Process(target=_answer, args=(theirs, call, arguments), daemon=True)
            child.start()
            theirs.close()
            running[ours] = child, arguments
        if not running:
            return
        for connection in wait(list(running)):
            child, arguments = running.pop(connection)
            try:
                answer = connection.recv()
            except EOFError:
                child.join()
                answer = f"the process died with exit code {child.exitcode}"
            child.join()
            connection.close()
            yield arguments, answer


def in_child(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns in a child process, or a text about how the process died."""
    return next(in_children(call, [arguments], 1))[1]


def _answer(connection: Connection, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    connection.send(call(*arguments))
    connection.close()


def read_once(name: str, files: Files) -> str:
    """Read one input within the bounds; return what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files, {})
        bound_memory()
        return judge(FORMATS[name], Path(folder))[0]


def report(name: str, inputs: list[Files], seed: int, number: int, fault: str) -> None:
    """Make a fault smaller, write it below build/fuzz, and say how to read it again."""
    form, label = FORMATS[name], f"{seed}/{name}/{number}"
    files = mutant(form, inputs, label)
    for steps in range(1, MOST_STEPS):
        fewer = mutant(form, inputs, label, steps)
        if found := in_child(read_once, name, fewer):
            files, fault = fewer, found
            break
    original = mutant(form, inputs, label, 0)
    files = smaller(files, original, lambda files: bool(in_child(read_once, name, files)))
    folder = FOUND / f"{name}-{seed}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    changed = [file for file in files if files[file] != original.get(file)]
    print(f"\n{name}: mutant {number}, changed in {', '.join(changed)}: {fault}", file=sys.stderr)
    print(f"again: python tests/fuzz/fuzz.py --replay {folder.relative_to(ROOT)}\n", file=sys.stderr)


def smaller(files: Files, original: Files, is_fault: Callable[[Files], bool]) -> Files:
    """Put back what can be as it was without losing the fault: files, then runs of bytes of equal files."""
    for name in files.keys() & original.keys():
        if files[name] == original[name]:
            continue
        if is_fault({**files, name: original[name]}):
            files = {**files, name: original[name]}
        elif len(files[name]) == len(original[name]):
            for start, stop in _differences(files[name], original[name])[:64]:
                back = files[name][:start] + original[name][start:stop] + files[name][stop:]
                if is_fault({**files, name: back}):
                    files = {**files, name: back}
    return files


def _differences(data: bytes, other: bytes) -> list[tuple[int, int]]:
    """Return the runs of bytes that differ."""
    places = [i for i in range(len(data)) if data[i] != other[i]]
    begins = [i for i in places if i == 0 or data[i - 1] == other[i - 1]]
    ends = [i + 1 for i in places if i + 1 == len(data) or data[i + 1] == other[i + 1]]
    return list(zip(begins, ends, strict=True))


def _files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _options() -> Namespace:
    parser = ArgumentParser(description="Mutate files of every format and read them.")
    parser.add_argument("--mutants", type=int, default=20_000, help="of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--processes", type=int, default=available_cpus())
    parser.add_argument("--replay", type=Path, help="read one input that was found before")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
