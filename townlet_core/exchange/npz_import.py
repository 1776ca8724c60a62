"""Import offline data from an NPZ file with the arrays of D4RL (docs/exchange.md, Import)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core import io
from townlet_core.addresses import refuse_address
from townlet_core.errors import InputError, SampleError, count, name_list
from townlet_core.exchange.imported import ForeignEpisode, write_import
from townlet_core.exchange.mapping import load_mapping
from townlet_core.replay.episodes import find_episodes
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.npz import list_members, read_array

_REQUIRED = ("observations", "actions", "rewards", "terminals")
_SAVE = f"save it with {', '.join(_REQUIRED)} and, if episodes were cut off, timeouts"
_NAMES = {"observations": "observation", "actions": "action"}  # in a mapping; others keep their names


def import_npz(
    path: Path | str,
    mapping: Path | str,
    output: Path | str,
    force: bool = False,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> dict[str, Any]:
    """Write samples of an NPZ file with observations, actions, rewards, terminals and, if any, timeouts.

    mapping: the mapping file. Returns what was written. Raises InputError for data or a mapping that is not
    usable, SampleError for a damaged file, MissingError or DiskError.
    """
    for place in (path, output):
        refuse_address(place)
    plan = load_mapping(mapping)
    data = io.read_file(Path(path), limits.max_sample_bytes)
    try:
        members = list_members(data, str(path), limits)
    except SampleError as error:
        raise SampleError(str(error), _SAVE) from error
    if missing := [name for name in _REQUIRED if name not in members]:
        raise InputError(f"{path}: has no {', '.join(missing)}; {_has(members)}", _SAVE)
    for source in plan.sources:
        if source.path and source.path[0] not in (*_NAMES.values(), *members):
            raise InputError(f"{source.place}: {path} has no {source.path[0]}; {_has(members)}")
    wanted = {*_REQUIRED, "timeouts", *(source.path[0] for source in plan.sources if source.path)}
    arrays = {name: read_array(data, members[name], str(path)) for name in members if name in wanted}
    origin = {"format": "npz", "name": Path(path).name, "sha256": io.sha256(data)}
    return write_import(_episodes(arrays, str(path)), plan, output, origin, force)


def _has(names: Iterable[str]) -> str:
    return f"it has {name_list(sorted(names), 8)}"


def _episodes(arrays: dict[str, np.ndarray], file: str) -> Iterator[ForeignEpisode]:
    """Cut the arrays after each terminal and each timeout."""
    rows = len(arrays["rewards"]) if arrays["rewards"].ndim else 0
    for name, array in arrays.items():
        if name in (*_REQUIRED, "timeouts") and (array.ndim == 0 or len(array) != rows):
            found = count(len(array), "row") if array.ndim else "no rows"
            raise InputError(f"{file}: {name} has {found}, rewards has {rows:,}")
    terminations = _flags(arrays, "terminals", rows, file)
    truncations = _flags(arrays, "timeouts", rows, file) & ~terminations
    rewards = arrays["rewards"].reshape(rows, -1)
    if rewards.shape[1] != 1:
        raise InputError(f"{file}: rewards has {rewards.shape[1]} numbers per row, expected one")
    named = {_NAMES.get(name, name): array for name, array in arrays.items()}
    for part in find_episodes(terminations | truncations):
        own = {name: array[part] for name, array in named.items() if array.ndim and len(array) == rows}
        yield ForeignEpisode(own, rewards[part, 0], terminations[part], truncations[part])


def _flags(arrays: dict[str, np.ndarray], name: str, rows: int, file: str) -> np.ndarray:
    """Return flags, (T,) bool; all False without the array."""
    if name not in arrays:
        return np.zeros(rows, bool)
    values = arrays[name].reshape(rows, -1)
    if values.shape[1] != 1 or not np.isin(values, (0, 1)).all():
        raise InputError(f"{file}: {name} is not 0 or 1 at every row, expected flags")
    return values[:, 0].astype(bool)
