"""Read mutants in a child process, within bounds of time and memory, and note the first wrong answer."""

from __future__ import annotations

import faulthandler
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from fuzz_bytes import Files, mutate_bytes
from fuzz_targets import FORMATS, Format

from townlet_core.errors import TownletError

CPU_SECONDS = 1.0
MEMORY_BYTES = 256 << 20  # beyond what the process has when it begins
SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None  # memory, which is faster than a disk
HANGS_AFTER = 60  # seconds in which a library never comes back
MOST_STEPS = 4


class Outcome(NamedTuple):
    """Counts of the mutants read so far, the largest time and memory, and the first fault."""

    mutants: int = 0
    refused: int = 0
    slowest: float = 0.0  # seconds of processor time
    memory: int = 0  # bytes that the process grew by
    fault: tuple[int, str] | None = None  # the number of the first mutant that is one, and what happened


class OutOfTime(BaseException):
    """A mutant takes more than CPU_SECONDS; no reader may catch it."""


def mutant(form: Format, inputs: list[Files], seed: str, steps: int | None = None) -> Files:
    """Return a mutant: a function of the seed. steps: apply only the first mutations of it."""
    chance = Random(seed)
    files, most = dict(chance.choice(inputs)), chance.choice((1, 1, 2, MOST_STEPS))
    for step in range(most if steps is None else min(steps, most)):
        files = mutated(form.again if step else form.mutate, files, chance)
    return files


def mutated(mutate: Callable[[Files, Random], Files], files: Files, chance: Random) -> Files:
    """Return the files with one mutation, of bytes where the files are too damaged for the wanted one."""
    try:
        return mutate(files, chance)
    except Exception:  # any that a library raises
        name = chance.choice(sorted(files))
        return {**files, name: mutate_bytes(files[name], chance)}


def bound_memory() -> None:
    """Limit the memory of this process to MEMORY_BYTES more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stack
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))


def judge(form: Format, folder: Path) -> tuple[str, bool]:
    """Read a folder; return what is wrong with the answer, if anything, and whether it was refused."""
    warnings.simplefilter("error")
    signal.signal(signal.SIGPROF, _out_of_time)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        form.check(folder)
        return "", False
    except TownletError as error:
        hidden = _hides(error)
        return (f"{hidden!r} is called {type(error).__name__}: {error}" if hidden else ""), True
    except OutOfTime:
        return f"takes more than {CPU_SECONDS:g} s of processor time\n{traceback.format_exc()}", False
    except MemoryError:
        return f"takes more than {MEMORY_BYTES >> 20} MB of memory\n{traceback.format_exc()}", False
    except Exception:  # whatever it is: that is what we look for
        return traceback.format_exc(), False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _out_of_time(*_: Any) -> None:
    raise OutOfTime


def _hides(error: BaseException) -> BaseException | None:
    """Return the lack of memory behind a typed error: it is not what the file is blamed for."""
    cause = error.__cause__ or error.__context__
    if cause is None or isinstance(cause, MemoryError):
        return cause
    return _hides(cause)


def write_files(folder: Path, files: Files, written: Files) -> None:
    """Write what has changed since `written`, which is kept up to date."""
    for name in written.keys() - files.keys():
        del written[name]
        (folder / name).unlink()
    for name, data in files.items():
        if written.get(name) is not data:
            (folder / name).write_bytes(data)
            written[name] = data


def read_mutants(name: str, inputs: list[Files], seed: int, numbers: Iterable[int], folder: Path) -> Outcome:
    """Read mutants in this process, which is bounded from now on; stop at the first fault."""
    form, written = FORMATS[name], Files()
    for files in inputs:  # what is loaded at first use is no growth
        write_files(folder, files, written)
        form.check(folder)
    bound_memory()
    grown, slowest, refused, done = _peak(), 0.0, 0, 0
    for number in numbers:
        if number % 64 == 0:
            faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
        write_files(folder, mutant(form, inputs, f"{seed}/{name}/{number}"), written)
        start = time.process_time()
        fault, is_refused = judge(form, folder)
        slowest = max(slowest, time.process_time() - start)
        done, refused = done + 1, refused + is_refused
        if not fault and _peak() - grown > MEMORY_BYTES:
            fault = f"the process grew by {(_peak() - grown) >> 20} MB"
        if fault:
            return Outcome(done, refused, slowest, _peak() - grown, (number, fault))
    return Outcome(done, refused, slowest, _peak() - grown)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
