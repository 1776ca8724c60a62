"""How runs differ: in their settings, and in what else decides about their results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from townlet_core.errors import InputError
from townlet_core.runs.reading import Run

_CONTEXT = ("scenario", "scenario_sha256", "recordings_sha256", "torch_threads", "git")


class Difference(NamedTuple):
    """A value that is not the same in all runs, or groups of runs."""

    name: str
    values: tuple[Any, ...]  # of each; something that stands for none where it has none


class Unknown:
    """Stands for what a run did not write; it is not null, which is a value."""

    def __repr__(self) -> str:
        return "–"


UNKNOWN = Unknown()


class Comparison(NamedTuple):
    """What differs between runs, in the order of their settings."""

    runs: tuple[Run, ...]
    settings: list[Difference]
    context: list[Difference]  # scenario, recordings and versions
    equal: int  # settings that are the same in all


def compare_runs(runs: Sequence[Run]) -> Comparison:
    """Compare at least two runs. Raises InputError for fewer."""
    if len(runs) < 2:
        raise InputError("a comparison needs at least two runs", "townlet runs show describes one")
    settings = _differences([run.settings for run in runs])
    names = {name for run in runs for name in run.settings}
    context = _differences([_context(run) for run in runs])
    return Comparison(tuple(runs), settings, context, len(names) - len(settings))


def _context(run: Run) -> dict[str, Any]:
    """Return what decides about results besides the settings, as far as the run wrote it."""
    own = {name: getattr(run.about, name) for name in _CONTEXT}
    versions = {f"version of {name}": version for name, version in run.about.versions.items()}
    return {name: value for name, value in {**own, **versions}.items() if value is not None}


def _differences(values: Sequence[dict[str, Any]]) -> list[Difference]:
    names = dict.fromkeys(name for own in values for name in own)
    found = (Difference(name, tuple(own.get(name, UNKNOWN) for own in values)) for name in names)
    return [one for one in found if any(value != one.values[0] for value in one.values[1:])]
