"""Errors that users cause or meet: exit codes (docs/cli.md) and Python base classes (docs/python.md)."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from itertools import islice

MAX_SHOWN = 80  # characters of a value, and of a word compared with known ones
_LEVELS, _ENTRIES = 3, 4  # of a list or mapping that is shown

DISK_HINT = "check free space and permissions, then run the command again"


class TownletError(Exception):
    """Say what went wrong in one sentence, and what to do next in `hint`.

    The message names file, place, what was found and what was expected. The command line prints
    `error: message` and `hint: hint`, and exits with `exit_code`.
    """

    exit_code = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:  # not OSError's, which writes errno and file name around it
        return str(self.args[0])


class CheckFailed(TownletError):
    """A check ran to its end and found problems."""

    exit_code = 1


class InputError(TownletError, ValueError):
    """A flag, a configuration, or the content of a file is not usable."""

    exit_code = 2


class ScenarioError(InputError):
    """A scenario does not load; the message lists every mistake, one per line, with file:line:column."""


class SettingsError(InputError):
    """Settings of a run are not usable; the message lists every mistake, one per line, with its place."""


class SampleError(InputError):
    """A replay sample or manifest is damaged, incomplete, or does not fit the others."""


class ShapeError(InputError):
    """Arrays that belong together disagree in length or shape."""


class NotFiniteError(InputError):
    """A network's output is NaN or infinite: its weights or its input are."""


class MissingError(TownletError):
    """Something required is missing: a file, a library, a GPU."""

    exit_code = 3


class MissingFileError(MissingError, FileNotFoundError):
    """A file or folder does not exist."""


class MissingLibraryError(MissingError, ImportError):
    """A library is not installed, or its version is too old."""


class RunFailed(TownletError, RuntimeError):
    """A training run ended in a known way, such as numbers that are no longer finite."""

    exit_code = 4


class DiskError(TownletError, OSError):
    """The disk refused: no space, no permission, or an I/O error. `errno` and `filename` as in OSError."""

    exit_code = 5

    def __init__(
        self, message: str, hint: str = "", number: int | None = None, filename: str | None = None
    ) -> None:
        super().__init__(message, hint)
        self.errno, self.filename = number, filename
        self.strerror = os.strerror(number) if number else message

    def __reduce__(self) -> tuple[type[DiskError], tuple[object, ...]]:
        return type(self), (str(self), self.hint, self.errno, self.filename)


class BusyError(TownletError, BlockingIOError):
    """Another process is writing there."""

    exit_code = 73


class Interrupted(TownletError):
    """A signal asked us to stop, and everything worth keeping was saved.

    It is no KeyboardInterrupt: SIGTERM and SIGHUP raise it, too, and it says how to resume.
    """

    def __init__(self, signal_number: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signal_number

    def __reduce__(self) -> tuple[type[Interrupted], tuple[object, ...]]:
        return type(self), (self.exit_code - 128, str(self), self.hint)


class TownletWarning(UserWarning):
    """Something that stops nothing and that its user should know."""


def printable(text: str) -> str:
    """Show what cannot be printed as escapes, line ends among them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def count(number: int, noun: str) -> str:
    """Say how many: `no problems`, `1 problem`, `2 problems`, `1,234 passes`."""
    plural = "" if number == 1 else "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{number:,} {noun}{plural}" if number else f"no {noun}{plural}"


def name_list(names: Sequence[str], most: int = 3) -> str:
    """List the first names, and the number of the others: `a, b, c and 2 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def name_difference(
    first: Sequence[str], second: Sequence[str], one: str = "the first", other: str = "the second"
) -> str:
    """Say how two lists of names differ, calling them `one` and `other`; empty if they are equal."""
    parts = [
        f"only in {label}: {name_list(only)}"
        for label, names, others in ((one, first, second), (other, second, first))
        if (only := [name for name in names if name not in others])
    ]
    if parts or tuple(first) == tuple(second):
        return "; ".join(parts)
    place = next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return f"another order: number {place} is {first[place]} in {one}, {second[place]} in {other}"


def shown(value: object, most: int = MAX_SHOWN) -> str:
    """Show a value that was found, for a message: on one line, escaped, in at most `most` characters.

    What it costs does not depend on the value: a list that holds another a thousand times over, as aliases
    in YAML make it, and a text of a gigabyte take no longer than a number.
    """
    text = printable(repr(value[: most + 1]) if isinstance(value, str) else _brief(value, _LEVELS))
    if len(text) <= most:
        return text
    return text[: most - 4] + "...'" if isinstance(value, str) else text[: most - 3] + "..."


def _brief(value: object, levels: int) -> str:
    """Write a value as Python does, but only the first entries of what has many, and so many levels deep."""
    if isinstance(value, str | bytes):
        return repr(value[: MAX_SHOWN + 1])
    if isinstance(value, int) and value.bit_length() > 256:  # Python refuses to write very long ones
        return f"a number of {value.bit_length():,} bits"
    if isinstance(value, dict | list | tuple):
        left, right = "{}" if isinstance(value, dict) else "[]" if isinstance(value, list) else "()"
        if value and levels == 0:
            return f"{left}...{right}"
        first = list(islice(value.items() if isinstance(value, dict) else value, _ENTRIES))
        if isinstance(value, dict):
            words = [f"{_brief(key, 0)}: {_brief(entry, levels - 1)}" for key, entry in first]
        else:
            words = [_brief(entry, levels - 1) for entry in first]
        return left + ", ".join(words + ["..."] * (len(value) > _ENTRIES)) + right
    return f"a value of type {type(value).__name__}" if hasattr(value, "__len__") else repr(value)


def did_you_mean(word: object, known: list[str] | tuple[str, ...]) -> str:
    """Return ` (did you mean 'x'?)` for the known word nearest to `word`, or an empty string."""
    is_word = isinstance(word, str) and len(word) <= MAX_SHOWN  # comparing takes time with longer ones
    nearest = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5) if is_word else []
    return f" (did you mean '{nearest[0]}'?)" if nearest else ""
