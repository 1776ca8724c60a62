"""Which files make a log: the live file and its closed segments, wherever the path that was given leads.

The segments of `log` are `log.1`, `log.2`, … in the order they were closed, then `log` itself, the live file.
A job may have compressed them since: `log.1.gz` is read like `log.1`, other compressions are told.
"""

from __future__ import annotations

import os
import re
import stat
from io import FileIO
from pathlib import Path

from townlet_core import io
from townlet_core.errors import InputError, MissingError
from townlet_core.yaml.reader import read_yaml

GZIP = ".gz"
UNREAD = (".zst", ".xz", ".bz2", ".lz4", ".zip", ".Z")  # compressions that are told, not read
RUN_LOG, RUN_FILE, RUN_CONFIG = "telemetry.jsonl", "run.json", "config.yaml"  # in a run folder
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})")


def find_log(path: Path) -> Path | None:
    """Return the log that a path names, there or not: itself, or a run folder's; None for another folder.

    The log of a run is the one that its settings name, else its telemetry.jsonl.
    Raises InputError if the settings cannot be read, DiskError.
    """
    path = Path(path)
    if is_stream(path) or io.kind_of(path) != "folder":
        return path
    named = _named_in(path)
    if named is not None:
        return path / named
    is_run = any(io.kind_of(path / name) for name in (RUN_CONFIG, RUN_LOG))
    return path / RUN_LOG if is_run or closed_segments(path / RUN_LOG) else None


def _named_in(run: Path) -> str | None:
    """Return training.ppo_log of a run, if it has one: from run.json, or from an older run's YAML."""
    about = io.read_json(run / RUN_FILE) if io.kind_of(run / RUN_FILE) else None
    content = about.get("settings") if isinstance(about, dict) else None
    if content is None and io.kind_of(run / RUN_CONFIG):
        content = read_yaml(run / RUN_CONFIG)
    training = content.get("training") if isinstance(content, dict) else None
    named = training.get("ppo_log") if isinstance(training, dict) else None
    return named if isinstance(named, str) else None


def is_there(path: Path) -> bool:
    """Whether there is something to read: a stream, the live file, or closed segments alone."""
    return is_stream(path) or io.kind_of(live_file(path)) is not None or bool(closed_segments(path))


def refuse_missing(path: Path) -> None:
    """Raise MissingError where there is no log, and InputError for a folder or a device."""
    path = Path(path)
    if is_stream(path):
        return
    kind = io.kind_of(path)
    if kind == "folder":
        raise InputError(f"{path}: is a folder, expected a log", f"try {path / RUN_LOG}")
    if kind == "other":
        raise InputError(f"{path}: is a device, expected a log", "a pipe can be read, also as -")
    if not is_there(path):
        raise MissingError(f"{path}: no such log", "check the path; townlet train writes RUN/telemetry.jsonl")


def descriptor_of(path: Path) -> int | None:
    """Return the number of the open file that a name stands for: `-`, /dev/stdin, or /dev/fd/N of a shell."""
    if str(path) in ("-", "/dev/stdin"):
        return 0
    match = _DESCRIPTOR.fullmatch(str(path))
    return int(match[1]) if match else None


def is_stream(path: Path) -> bool:
    """Whether a path is read once, to its end, as a pipe is: without segments, and never again."""
    if descriptor_of(path) is not None:
        return True
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):  # not there, or out of reach: opening it says which
        return False


def log_name(path: Path) -> Path:
    """Return the name that the segments are numbered after: of the file a link leads to, without .gz."""
    real = _linked(path)
    return real.with_suffix("") if real.suffix == GZIP else real


def live_file(path: Path) -> Path:
    """Return the file that is written, or was last; the compressed one where only that is left."""
    real = _linked(path)
    compressed = real.with_name(real.name + GZIP) if real.name else real
    return compressed if not os.path.lexists(real) and os.path.lexists(compressed) else real


def _linked(path: Path) -> Path:
    return Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)


def closed_segments(path: Path) -> dict[int, Path]:
    """Return the closed segments of a log by number, in order; of two with one number, the plain one."""
    segments: dict[int, Path] = {}
    for number, file in segment_files(path):
        segments.setdefault(number, file)
    return segments


def segment_files(path: Path) -> list[tuple[int, Path]]:
    """Return every closed file of a log with its number, in order; a plain file before its compressed copy.

    A job that compresses leaves both for a while, and the copy is whole only once the plain one is gone.
    """
    name = log_name(path)
    endings = "|".join(map(re.escape, (GZIP, *UNREAD)))
    pattern = re.compile(rf"{re.escape(name.name)}\.([1-9][0-9]{{0,8}})({endings})?")
    try:
        matches = [pattern.fullmatch(file) for file in os.listdir(name.parent)]
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []
    except OSError as error:
        raise io.disk_error(error, name.parent) from error
    order = ("", GZIP, *UNREAD)
    found = sorted((int(match[1]), order.index(match[2] or ""), match[0]) for match in matches if match)
    return [(number, name.with_name(file)) for number, _, file in found]


def segment_gaps(path: Path) -> list[tuple[Path, str]]:
    """Return what of a log cannot be read, as far as names tell: the file, and what is wrong with it."""
    name, before = log_name(path), 0
    gaps: list[tuple[Path, str]] = []
    for number, file in closed_segments(path).items():
        if number > before + 1:
            up_to = f", and so is every segment up to .{number - 1}" if number > before + 2 else ""
            gaps.append((name.with_name(f"{name.name}.{before + 1}"), f"this segment is missing{up_to}"))
        if file.suffix in UNREAD:
            gaps.append((file, "is compressed in a way that is not read; decompress it, or use gzip"))
        before = number
    return gaps


def open_segment(path: Path) -> FileIO:
    """Open a segment; never waits, as opening a pipe would. Raises OSError, or InputError for a device."""
    file = FileIO(path, "r", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputError(f"{path}: is a pipe or a device, expected a segment of a log", "move it away")
    return file
