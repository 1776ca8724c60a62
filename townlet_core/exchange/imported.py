"""Episodes of someone else's data as samples of ours: what both imports have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core import __version__, io
from townlet_core.bulk import output_folder
from townlet_core.errors import InputError, count, shown
from townlet_core.exchange.mapping import Mapping
from townlet_core.exchange.sources import Arrays, read_array, read_column, read_columns
from townlet_core.replay.limits import DEFAULT_LIMITS
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.metadata import sample_metadata
from townlet_core.replay.metrics import with_metrics
from townlet_core.replay.sample import ReplaySample, save_sample
from townlet_core.vocab import ACTION_COUNT

PREFIX = "imported"
MARKER = f"{PREFIX}_manifest.json"
_NAMES = re.compile(rf"README\.md|{PREFIX}_[A-Za-z0-9_.-]+\.(npz|json|yaml)")
_NO_MAP = ("none",)  # the channel of a map that is not there: one tile, 0


class ForeignEpisode(NamedTuple):
    """One episode as it was read. `arrays`: `observation`, `action` and others, at least T rows each."""

    arrays: Arrays
    rewards: np.ndarray  # (T,)
    terminations: np.ndarray  # (T,) bool
    truncations: np.ndarray  # (T,) bool


def write_import(
    episodes: Iterable[ForeignEpisode],
    mapping: Mapping,
    output: Path | str,
    origin: dict[str, Any],
    force: bool,
) -> dict[str, Any]:
    """Write a sample for each episode, and a manifest, into the folder `output`, which appears whole.

    origin: name, format and digest of the data, for the metadata. Returns what was written.
    Raises InputError for data that the mapping does not fit, SampleError for numbers that no sample may have,
    or DiskError.
    """
    entries, transitions = [], 0
    with output_folder(output, force, MARKER, _NAMES) as folder:
        for number, episode in enumerate(episodes):
            if number == DEFAULT_LIMITS.max_samples:
                most = count(number, "episode")
                raise InputError(f"{origin['name']}: has more than {most}, too many for a manifest")
            sample = convert(episode, mapping, number, origin)
            entries.append(save_sample(sample, folder, f"{PREFIX}_{mapping.agent}_{number + 1:03d}"))
            transitions += sample.timesteps
        if not entries:
            raise InputError(f"{origin['name']}: holds no episodes")
        copy = folder / f"{PREFIX}_mapping.yaml"
        io.write_file(copy, mapping.data)
        about = {"scenario": mapping.scenario, "source": origin}
        metadata = {"behaviour": mapping.behaviour, "value_source": "none", "capture": about}
        save_manifest(folder, PREFIX, entries, metadata, [copy])
    manifest = str(Path(output) / MARKER)
    return {"output": manifest, "episodes": len(entries), "transitions": transitions}


def convert(episode: ForeignEpisode, mapping: Mapping, number: int, origin: dict[str, Any]) -> ReplaySample:
    """Return an episode as a sample. The critic's values are 0, and so are unknown log-probabilities."""
    ticks, file, arrays = len(episode.rewards), origin["name"], episode.arrays
    features = _features(mapping, arrays, ticks, file)
    tiles, channels = _map(mapping, arrays, ticks, file)
    mask = np.zeros((ticks, ACTION_COUNT), bool)
    mask[:, mapping.actions.possible] = True
    optional = {
        "terminations": episode.terminations,
        "truncations": episode.truncations,
        "action_mask": mask,
    }
    metadata = sample_metadata(
        timesteps=ticks,
        feature_names=list(features),
        agent_id=mapping.agent,
        behaviour=mapping.behaviour,
        capture={
            "scenario": mapping.scenario,
            "ticks": ticks,
            "town": 0,
            "episode": number,
            "first_frame": 0,
            "source": origin,
            "versions": {"townlet": __version__},
        },
        optional_arrays=tuple(optional),
        map_shape=tiles.shape[1:],
        map_channels=channels,
    )
    log_probs = read_column(mapping.log_probs, arrays, ticks, file)
    return with_metrics(
        ReplaySample(
            map=tiles,
            features=np.stack(list(features.values()), axis=1).astype(np.float32),
            actions=_actions(mapping, arrays, ticks, file),
            old_log_probs=log_probs.astype(np.float32),
            value_preds=np.zeros(ticks + 1, np.float32),
            rewards=np.asarray(episode.rewards, np.float32),
            dones=episode.terminations | episode.truncations,
            optional=optional,
            metadata=metadata,
        )
    )


def _features(mapping: Mapping, arrays: Arrays, ticks: int, file: str) -> dict[str, np.ndarray]:
    """Return the columns by name; a range becomes NAME_0, NAME_1 and so on."""
    columns: dict[str, np.ndarray] = {}
    for name, source in mapping.features.items():
        if source.last is None:
            found = {name: read_column(source, arrays, ticks, file)}
        else:
            values = read_columns(source, arrays, ticks, file)
            found = {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
        if twice := [name for name in found if name in columns]:
            raise InputError(f"{source.place}: gives a second feature {twice[0]}, expected different names")
        columns |= found
    return columns


def _map(mapping: Mapping, arrays: Arrays, ticks: int, file: str) -> tuple[np.ndarray, tuple[str, ...]]:
    if mapping.map is None:
        return np.zeros((ticks, 1, 1, 1), np.float32), _NO_MAP
    tiles = read_array(mapping.map.source, arrays, ticks, file)
    channels = mapping.map.channels
    if tiles.ndim != 4 or tiles.shape[1] != len(channels):
        raise InputError(
            f"{mapping.map.source.place}: has shape {tiles.shape}, expected (T, C, H, W) with C = "
            f"{len(channels)}, the number of channels"
        )
    return tiles.astype(np.float32), channels


def _actions(mapping: Mapping, arrays: Arrays, ticks: int, file: str) -> np.ndarray:
    """Return our ids. Raises InputError for actions that the mapping does not name."""
    source, ids = mapping.actions.source, mapping.actions.ids
    values = read_column(source, arrays, ticks, file)
    if ids is None:
        intervals = np.array(mapping.actions.intervals, np.int64)
        return intervals[np.searchsorted(mapping.actions.edges, values, side="right")]
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        tick = int((values != np.floor(values)).argmax())
        raise InputError(
            f"{source.place}: {'.'.join(source.path)} of {file} is {values[tick]:.4g} at tick {tick}: "
            "the actions are continuous, and those of Townlet are not",
            "give edges and a name for each interval, if that loses nothing",
        )
    unknown = [value for value in np.unique(values).tolist() if value not in ids]
    if unknown:
        known = ", ".join(map(str, sorted(ids)))
        raise InputError(
            f"{source.place}: action {shown(int(unknown[0]))} of {file} has no name, only {known} have",
            "add it to actions.names",
        )
    return np.array([ids[int(value)] for value in values.tolist()], np.int64)
