"""Every error a user can cause or meet, each with its exit code (docs/cli.md)."""

from __future__ import annotations

import difflib

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


class CheckFailed(TownletError):
    """A check ran to its end and found problems."""

    exit_code = 1


class InputError(TownletError):
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
    """A network's output is NaN or infinite: its weights or what it saw are."""


class MissingError(TownletError):
    """Something needed is not there: a file, a folder, a library."""

    exit_code = 3


class RunFailed(TownletError):
    """A training run ended in a known way, such as numbers that are no longer finite."""

    exit_code = 4


class DiskError(TownletError):
    """The disk refused: no space, no permission, or an I/O error."""

    exit_code = 5


class BusyError(TownletError):
    """Another process is writing there."""

    exit_code = 73


class Interrupted(TownletError):
    """A signal asked us to stop, and everything worth keeping was saved."""

    def __init__(self, signal_number: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signal_number


class TownletWarning(UserWarning):
    """Something that stops nothing and that its user should know."""


def printable(text: str) -> str:
    """Show what cannot be printed as escapes, line ends among them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def count(number: int, noun: str) -> str:
    """Say how many: `no problems`, `1 problem`, `2 problems`, `1,234 passes`."""
    plural = "" if number == 1 else "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{number:,} {noun}{plural}" if number else f"no {noun}{plural}"


def did_you_mean(word: str, known: list[str] | tuple[str, ...]) -> str:
    """Return ` (did you mean 'x'?)` for the known word nearest to `word`, or an empty string."""
    nearest = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" (did you mean '{nearest[0]}'?)" if nearest else ""
