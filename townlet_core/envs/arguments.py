"""What users of the environments hand in: which town, how many, which seed, which type of map."""

from __future__ import annotations

import operator
import reprlib
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from townlet_core.errors import InputError, ScenarioError
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.scenario.validate import check_scenario
from townlet_core.yaml.tree import path_text

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
    return as_whole("seed", seed, 0, SEEDS - 1)


def as_whole(name: str, value: Any, least: int, most: int) -> int:
    """Take one whole number of this range. Raises InputError for anything else."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        found = reprlib.repr(value)
        raise InputError(f"{name}: found {found}, expected one whole number from {least} to {most:,}")
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


def as_autoreset_mode(mode: AutoresetMode | str, plan: Scenario) -> AutoresetMode:
    """Take a mode, by its name as well. Raises InputError for others, and where the town does not allow it.

    Who faints shows its last sight in its row for one step, unless that is in `final_obs`: SAME_STEP.
    """
    named = {name: known for known in AutoresetMode for name in (known.name, known.value)}
    chosen = mode if isinstance(mode, AutoresetMode) else named.get(mode)
    if chosen is None:
        names = ", ".join(known.name for known in AutoresetMode)
        raise InputError(f"autoreset_mode: found {mode!r}, expected one of: {names}")
    if chosen is not AutoresetMode.SAME_STEP and plan.rules.needs.respawn_delay_ticks == 0:
        raise InputError(
            f"autoreset_mode: found {chosen.name}, expected SAME_STEP: in {plan.name} a newcomer takes the"
            " row of who faints in the same tick",
            "set rules.needs.respawn_delay_ticks to at least 1, or to null",
        )
    return chosen


def as_reset_mask(mask: Any, rows: int) -> np.ndarray:
    """Take which rows to reset, (N,) bool. Raises InputError for anything else, and if it names none."""
    if not isinstance(mask, np.ndarray) or mask.shape != (rows,) or mask.dtype != bool or not mask.any():
        raise InputError(
            f"options['reset_mask']: found {reprlib.repr(mask)}, expected a bool array of shape ({rows},)"
            " with at least one True"
        )
    return mask
