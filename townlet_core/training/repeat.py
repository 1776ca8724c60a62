"""Repeat a run: what its config.yaml means to another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import count
from townlet_core.training.origin import origin_of
from townlet_core.training.run_file import refuse_other_recordings_than
from townlet_core.training.run_json import read_run
from townlet_core.training.settings import FILES, PLACES, resolve_settings, with_absolute_paths


class Repeat(NamedTuple):
    """How the settings of a run change for a run that repeats it."""

    instead: dict[str, Any]  # as of resolve_settings
    warnings: list[str]


def repeat_of(config: Path) -> Repeat:
    """Return what takes the place of paths in the config.yaml of a run.

    The scenario is the run's copy if the original has changed. Recordings inside the run stay where they are;
    a log or recordings that it wrote into its own folder get their default place in the new one.
    Raises InputError if the run's recordings or its copy of the scenario have changed.
    """
    folder = config.parent
    run_file, (written, _) = read_run(folder), resolve_settings({}, config, environment=False)
    placed = with_absolute_paths(written, folder)
    refuse_other_recordings_than(folder, run_file, placed)
    instead: dict[str, Any] = {name: list(getattr(placed, name)) for name in FILES if getattr(placed, name)}
    for name in PLACES:
        own = getattr(written, name)
        if own is not None and not own.is_absolute():
            instead[name] = None
    warnings = []
    if written.scenario == run_file.scenario_source and (origin := origin_of(folder, run_file)):
        instead["scenario"] = origin.name
        warnings += [origin.warning] if origin.warning else []
    if run_file.cycles not in (None, written.cycles):
        warnings.append(
            f"{config}: says {count(written.cycles, 'cycle')}, and the run was resumed to {run_file.cycles}: "
            f"--cycles {run_file.cycles} repeats all of them"
        )
    return Repeat(instead, warnings)
