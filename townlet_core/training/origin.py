"""The scenario of a run: its own copy, and whether the original file has changed since."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.errors import InputError, MissingError
from townlet_core.inputs import STDIN, read_input
from townlet_core.scenario.catalogue import find_scenario
from townlet_core.scenario.load import MAX_SCENARIO_BYTES, load_scenario, scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.training.run_directory import SCENARIO, is_run
from townlet_core.training.run_json import RunFile, read_run


class Origin(NamedTuple):
    """The scenario that a run was trained in."""

    scenario: Scenario
    name: str  # bundled name or file to load it from; the run's copy if the original has changed
    warning: str  # how the original file has changed; empty if it has not


def read_text(name_or_path: str) -> bytes:
    """Return the YAML of a scenario as it is, to be kept in a run."""
    return read_input(find_scenario(name_or_path), MAX_SCENARIO_BYTES)


def find_origin(path: str | Path) -> Origin | None:
    """Find the scenario of a checkpoint's run; path: the run, or a file or folder of its checkpoints.

    None outside of a run, and where origin_of returns None. Raises what origin_of raises.
    """
    for folder in (Path(path), *Path(path).parents[:2]):  # of a run, of its checkpoints, of a generation
        if is_run(folder):
            return origin_of(folder, read_run(folder))
    return None


def origin_of(folder: Path, run_file: RunFile) -> Origin | None:
    """Load the scenario that a run was trained in; None for a run on recordings alone.

    A run of an older version has no copy; its scenario is then the original file.
    Raises InputError if the copy has changed since the run began, ScenarioError or MissingError.
    """
    source, digest = run_file.scenario_source, run_file.scenario_sha256
    if source is None:
        return None
    own = folder / SCENARIO
    if io.kind_of(own) is None:
        scenario = load_scenario(source)
        changed = digest is not None and scenario_sha256(scenario) != digest
        return Origin(
            scenario, source, f"{source}: the scenario has changed since {folder} began" if changed else ""
        )
    scenario = load_scenario(own)
    if digest is not None and scenario_sha256(scenario) != digest:
        raise InputError(
            f"{own}: is not the scenario that the run began with",
            "restore it from a copy; if it is as it was, resume with the version that began the run",
        )
    change = _change_of(source, own, digest)
    if change is None:
        return Origin(scenario, source, "")
    warning = f"{source}: {change} since {folder} began; its own copy is used, {own}" if change else ""
    return Origin(scenario, str(own), warning)


def _change_of(source: str, own: Path, digest: str | None) -> str | None:
    """Describe how the original file has changed; empty if it is gone, None if it is equivalent."""
    if Path(source) == STDIN:
        return ""
    try:
        if read_text(source) == io.read_file(own, MAX_SCENARIO_BYTES):
            return None
        return None if scenario_sha256(load_scenario(source)) == digest else "the scenario has changed"
    except MissingError:
        return ""
    except InputError:  # no scenario any more, or no such bundled one
        return "has become no scenario" if io.kind_of(Path(source)) else ""
