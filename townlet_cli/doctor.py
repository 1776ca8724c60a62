"""`townlet doctor`: what a bug report needs to say about this machine, and what is wrong with it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from townlet_cli.console import count, is_terminal, note, out, print_json, safe
from townlet_core import __version__
from townlet_core.errors import CheckFailed, MissingError

FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_int8", "sve")
VARIABLES = re.compile(
    r"(TOWNLET|NUMBA|OMP|GOMP|KMP|MKL|CUDA|XDG_CACHE|SLURM_CPUS)_\w+"
    r"|NO_COLOR|FORCE_COLOR|TERM|LANG|LC_ALL|COLUMNS"
)
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # how OpenMP's threads wait
LEAST_DISK = 1 << 30  # bytes; a day of recordings takes more
LEAST_MEMORY = 1 << 30


class Problem(NamedTuple):
    """One thing that is wrong, and what to do about it."""

    message: str
    hint: str
    is_missing: bool = False  # so that the exit code is 3


def doctor(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Describe this machine for a bug report; exit 1 if something is wrong, 3 if something is missing."""
    report = examine()
    problems = list(find_problems(report))
    if json:
        print_json({**report, "problems": [problem._asdict() for problem in problems]})
    else:
        _print_report(report)
    if problems:
        missing = [problem for problem in problems if problem.is_missing]
        first = (missing or problems)[0]
        others = f" (and {count(len(problems) - 1, 'more problem')})" if len(problems) > 1 else ""
        raise (MissingError if missing else CheckFailed)(f"{first.message}{others}", first.hint)
    note("nothing is wrong; paste the above into a bug report")


def examine() -> dict[str, Any]:
    """Collect what a bug report needs."""
    return {
        "versions": versions(),
        "processor": _processor(),
        "threads": _threads(),
        "memory": _memory(),
        "gpu": _gpu(),
        "cache": _cache(),
        "disk": _disk(Path()),
        "terminal": {
            "stdout": sys.stdout.isatty(),
            "stderr": sys.stderr.isatty(),
            "columns": out.width,
            "encoding": sys.stdout.encoding,
        },
        "environment": {
            name: value for name, value in sorted(os.environ.items()) if VARIABLES.fullmatch(name)
        },
    }


def versions() -> dict[str, Any]:
    """Return the versions of Townlet, Python, the system and every library that Townlet needs."""
    return {
        "townlet": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "libraries": {name: _version(name) for name in _needed()},
    }


def _needed() -> list[str]:
    """List the libraries that the installed distribution needs without its extras, by name."""
    try:
        wanted = requires("townlet") or []
    except PackageNotFoundError:  # run from its sources
        wanted = ["numba", "numpy", "torch"]
    plain = [text for text in wanted if "extra ==" not in text]
    return sorted(re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in plain)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> dict[str, Any]:
    """Return the processor's name and which of the vector and matrix units it has."""
    text = _read(Path("/proc/cpuinfo"))
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.*)$", text, re.MULTILINE)
    found = flags[1].split() if flags else []
    return {
        "name": name[1] if name else platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "features": {feature: feature in found for feature in FEATURES} if found else None,
    }


def _threads() -> dict[str, Any]:
    from townlet_core.cpus import cpu_bound

    usable, source = cpu_bound()
    return {
        "processors": os.cpu_count(),
        "usable": usable,
        "bound": source,
        "simulation": _number_of("NUMBA_NUM_THREADS") or usable,
        "network": _number_of("OMP_NUM_THREADS") or usable,
        "waiting": {name: os.environ[name] for name in WAITING if name in os.environ},
    }


def _number_of(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else None


def _memory() -> dict[str, Any]:
    from townlet_core.memory import free_memory

    total = re.search(r"^MemTotal: +(\d+) kB$", _read(Path("/proc/meminfo")), re.MULTILINE)
    return {"total_bytes": int(total[1]) * 1024 if total else None, "free_bytes": free_memory()}


def _gpu() -> dict[str, Any]:
    """Ask torch for GPUs, if it is installed; the driver is asked either way."""
    driver = re.search(r"Kernel Module\s+(\S+)", _read(Path("/proc/driver/nvidia/version")))
    found: dict[str, Any] = {"driver": driver[1] if driver else None, "usable": None, "names": []}
    if find_spec("torch") is None:
        return found
    try:
        from townlet_core.ppo.device import gpu_names

        names = gpu_names()
    except (ImportError, OSError) as error:  # installed, and broken: a library is missing
        return {**found, "error": str(error).partition("\n")[0]}
    return {**found, "usable": bool(names), "names": names}


def _cache() -> dict[str, Any]:
    """Describe the user's folder of compiled kernels, and the shared one."""
    from townlet_core.cache import SHARED, cache_folders

    *shared, own = map(_cache_folder, cache_folders())
    return {**own, "shared": {"variable": SHARED, **shared[0]} if shared else None}


def _cache_folder(folder: Path) -> dict[str, Any]:
    from townlet_core.cache import cache_size, distrust

    is_writable = _is_writable(folder)
    files, size = cache_size(folder)
    try:
        suspicion = distrust(folder)
    except OSError as error:
        suspicion = error.strerror
    return {
        "folder": str(folder),
        "is_writable": is_writable,
        "distrusted": suspicion,
        "files": files,
        "bytes": size,
    }


def _is_writable(folder: Path) -> bool:
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _disk(folder: Path) -> dict[str, Any]:
    """Describe the disk of the current folder, where captures and runs go."""
    try:
        usage = shutil.disk_usage(folder)
        where = str(folder.absolute())
    except OSError:
        return {"folder": str(folder), "is_writable": False, "total_bytes": None, "free_bytes": None}
    return {
        "folder": where,
        "is_writable": _is_writable(folder),
        "total_bytes": usage.total,
        "free_bytes": usage.free,
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # not Linux, or no such device
        return ""


def find_problems(report: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong, what is missing first."""
    for name, found in report["versions"]["libraries"].items():
        if found is None:
            yield Problem(f"{name} is not installed", f"pip install {name}", is_missing=True)
    if "error" in report["gpu"]:
        yield Problem(f"torch cannot be loaded: {report['gpu']['error']}", "install it again", True)
    if report["gpu"]["driver"] and report["gpu"]["usable"] is False:
        hint = "install a build of torch that fits the driver, or train with --device cpu"
        yield Problem("there is an NVIDIA driver, but torch finds no GPU", hint)
    cache, disk, free = report["cache"], report["disk"], report["memory"]["free_bytes"]
    if not cache["is_writable"]:
        hint = "let XDG_CACHE_HOME name a folder that can be written"
        yield Problem(
            f"{cache['folder']}: cannot be written, so every command compiles the rules again", hint
        )
    for place in (cache, cache["shared"] or {}):
        if place.get("distrusted"):
            hint = "let only its owner write to it, or name another folder"
            yield Problem(f"{place['folder']}: not used, because {place['distrusted']}", hint)
    if not disk["is_writable"]:
        yield Problem(f"{disk['folder']}: cannot be written", "work in another folder")
    if disk["free_bytes"] is not None and disk["free_bytes"] < LEAST_DISK:
        hint = "townlet replay prune captures --keep 5"
        yield Problem(f"{disk['folder']}: {_size(disk['free_bytes'])} are free on this disk", hint)
    if free is not None and free < LEAST_MEMORY:
        yield Problem(f"{_size(free)} of memory are free", "end other programs")


def _print_report(report: dict[str, Any]) -> None:
    for name, value in _lines(report):
        out.print(f"[bold]{name:12}[/bold] {safe(value)}", soft_wrap=not is_terminal())


def _lines(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every line of the report."""
    found, cpu, threads = report["versions"], report["processor"], report["threads"]
    yield "townlet", found["townlet"]
    yield "python", f"{found['python']}, {found['system']}"
    yield "libraries", ", ".join(f"{name} {has or 'missing'}" for name, has in found["libraries"].items())
    yield "processor", f"{cpu['name']} ({cpu['architecture']})"
    features = cpu["features"] or {}
    yield (
        "features",
        " ".join(f"{'' if has else 'no '}{name}," for name, has in features.items())[:-1] or "unknown",
    )
    usable = f"{threads['usable']} of {count(threads['processors'], 'processor')}, by {threads['bound']}"
    waiting = ", ".join(f"{name}={value}" for name, value in threads["waiting"].items())
    yield (
        "threads",
        f"{usable}; simulation {threads['simulation']}, network {threads['network']}; waiting: {waiting}",
    )
    memory, gpu, cache, disk = (report[key] for key in ("memory", "gpu", "cache", "disk"))
    yield "memory", f"{_size(memory['free_bytes'])} free of {_size(memory['total_bytes'])}"
    yield "GPU", ", ".join(gpu["names"]) or ("none" if gpu["usable"] is False else "unknown, without torch")
    for place in filter(None, (cache["shared"], cache)):
        writable = "" if place["is_writable"] else ", not writable"
        size = f"{count(place['files'], 'file')}, {_size(place['bytes'])}"
        yield "cache", f"{place['folder']}: {size}{writable}"
    yield "disk", f"{disk['folder']}: {_size(disk['free_bytes'])} free of {_size(disk['total_bytes'])}"
    yield "terminal", ", ".join(f"{name} {value}" for name, value in report["terminal"].items())
    for name, value in report["environment"].items():
        yield "environment", f"{name}={value}"


def _size(number: int | None) -> str:
    return "unknown" if number is None else f"{number / 1e9:,.1f} GB"
