"""What users of the environments hand in: which town, which seed, which type of map."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core.errors import InputError, ScenarioError
from townlet_core.scenario.check import check_scenario
from townlet_core.scenario.document import path_text
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import Scenario

SEEDS = 2**63  # seeds are below
MAP_TYPES = ("float32", "uint8")


def as_scenario(scenario: Scenario | str | Path) -> Scenario:
    """Take a scenario, or load the one of this name or path.

    Raises what load_scenario raises, and InputError if nobody lives there. A scenario that was built in
    Python is held to the same rules as a file.
    """
    if not isinstance(scenario, Scenario | str | Path):
        raise InputError(f"scenario: found {scenario!r}, expected a name, the path of a file, or a Scenario")
    plan = _checked(scenario) if isinstance(scenario, Scenario) else load_scenario(scenario)
    if not plan.agents:
        raise InputError(f"{plan.name}: has no agents to act in it")
    return plan


def _checked(plan: Scenario) -> Scenario:
    if mistakes := check_scenario(plan):
        lines = (f"{plan.name}: {path_text(path)}: {message}" for path, message in mistakes)
        raise ScenarioError("\n".join(lines), "mend the scenario")
    return plan


def as_seed(seed: Any) -> int:
    """Take one whole number for all towns. Raises InputError for anything else, such as a list."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < SEEDS:
        raise InputError(f"seed: found {seed!r}, expected one whole number from 0 to {SEEDS - 1:,}")
    return number


def as_map_type(map_type: Any) -> type:
    """Take float32 or uint8, by name or as a numpy type. Raises InputError for others."""
    try:
        name = np.dtype(map_type).name
    except TypeError:
        name = ""
    if name not in MAP_TYPES:
        raise InputError(f"map_type: found {map_type!r}, expected one of: {', '.join(MAP_TYPES)}")
    return np.dtype(name).type


def as_render_mode(mode: str | None, known: list[str]) -> str | None:
    """Take a way to draw, or None for never. Raises InputError for others."""
    if mode is not None and mode not in known:
        raise InputError(f"render_mode: found {mode!r}, expected None or one of: {', '.join(known)}")
    return mode
