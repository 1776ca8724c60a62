"""Export recordings as a Minari dataset (docs/exchange.md, Minari)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core import __version__
from townlet_core.errors import InputError, count
from townlet_core.exchange.bounds import bounds_of
from townlet_core.exchange.episodes import Episode, NotNarrow, Recordings, Shared
from townlet_core.exchange.export import write_export
from townlet_core.exchange.libraries import check_version, missing
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits

_NEEDED_BY = "export for Minari"
try:
    import h5py  # noqa: F401 - without it Minari fails in the middle
    import minari

    check_version(minari, _NEEDED_BY)
    from gymnasium import spaces
    from minari.data_collector.episode_buffer import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage
except ModuleNotFoundError as error:
    raise missing(error, _NEEDED_BY) from error

TOGETHER = 4096  # transitions after which episodes are written; memory holds these, or one sample
_ID = re.compile(r"[-_\w]+-v\d+")


class _Episode(NamedTuple):
    """An episode as Minari stores it, and its description."""

    buffer: EpisodeBuffer
    about: dict[str, Any]


def export_minari(
    path: Path | str,
    output: Path | str,
    force: bool = False,
    limits: ReadLimits = DEFAULT_LIMITS,
    after_sample: Callable[[], Any] = lambda: None,
) -> dict[str, Any]:
    """Write the recordings behind `path` as a Minari dataset, and return what was written.

    An episode that did not terminate is one transition shorter than its recording: the observation after its
    last tick was not recorded (docs/exchange.md, Minari).
    Raises SampleError for samples that are damaged or do not fit together, InputError if `output` exists,
    MissingError or DiskError.
    """

    def write(recordings: Recordings, folder: Path, narrow: bool) -> dict[str, Any]:
        return write_minari(recordings, folder, narrow, dataset_id(output))

    return write_export(Recordings(path, limits, after_sample), output, "minari", write, force)


def dataset_id(output: Path | str) -> str:
    """Return the id of a dataset in this folder: the folder's name, with `-v0` if it has no version."""
    name = re.sub(r"[^-_\w]", "_", Path(output).name)
    return name if _ID.fullmatch(name) else f"{name}-v0"


def write_minari(recordings: Recordings, folder: Path, narrow: bool, name: str) -> dict[str, Any]:
    """Write `data/`, the folder of a Minari dataset called `name`."""
    space = observation_space(recordings.shared, narrow)
    storage = MinariStorage.new(
        folder / "data",
        observation_space=space,
        action_space=spaces.Discrete(recordings.shared.action_dim),
    )
    waiting: list[_Episode] = []
    counts = {"episodes": 0, "transitions": 0, "left_out": 0}
    behaviours = set()
    for episode in recordings.episodes(narrow):
        _check_range(episode, space)
        steps = episode.timesteps - (not episode.terminations[-1])
        if not steps:
            counts["left_out"] += 1
            continue
        waiting.append(_convert(episode, steps, counts["episodes"], space["map"].dtype))
        behaviours.add(str(episode.about["behaviour"]))
        counts["episodes"] += 1
        counts["transitions"] += steps
        if sum(len(one.buffer) for one in waiting) >= TOGETHER:
            _write(storage, waiting)
            waiting = []
    _write(storage, waiting)
    if not counts["episodes"]:
        left_out = count(counts["left_out"], "episode")
        raise InputError(
            f"nothing to export: found {left_out} of a single tick that did not terminate",
            "capture longer ones with --ticks",
        )
    storage.update_metadata(
        {
            "dataset_id": name,
            "minari_version": minari.__version__,
            "algorithm_name": ", ".join(sorted(behaviours)),
            "requirements": [f"townlet=={__version__}"],
            "townlet": recordings.shared.as_dict(),
        }
    )
    return counts


def observation_space(shared: Shared, narrow: bool) -> spaces.Dict:
    """Return the space of an observation.

    narrow: the map is 0 and 1, as uint8, and features are in the ranges of docs/data.md; otherwise both
    are float32 without bounds.
    """
    low, high = bounds_of(shared.feature_names)
    if not narrow:
        low, high = np.full_like(low, -np.inf), np.full_like(high, np.inf)
    box = spaces.Box(low, high, dtype=np.float32)
    tiles = (
        spaces.Box(0, 1, shared.map_shape, np.uint8)
        if narrow
        else spaces.Box(-np.inf, np.inf, shared.map_shape, np.float32)
    )
    return spaces.Dict({"map": tiles, "features": box})


def _check_range(episode: Episode, space: spaces.Dict) -> None:
    """Raise NotNarrow if a feature is out of its range."""
    box, features = space["features"], episode.sample.features
    if not ((features >= box.low) & (features <= box.high)).all():  # type: ignore[attr-defined]
        raise NotNarrow


def _convert(episode: Episode, steps: int, number: int, map_type: Any) -> _Episode:
    """Return the first `steps` transitions of an episode, and their steps + 1 observations."""
    sample = episode.sample
    rows = np.minimum(np.arange(steps + 1), episode.timesteps - 1)  # what follows a termination is not used
    truncations = episode.truncations[:steps].copy()
    truncations[-1] |= not episode.terminations[-1]
    buffer = EpisodeBuffer(
        id=number,
        observations={"map": sample.map[rows].astype(map_type), "features": sample.features[rows]},
        actions=sample.actions[:steps],
        rewards=sample.rewards[:steps],
        terminations=episode.terminations[:steps],
        truncations=truncations,
        infos=_infos(episode, steps, rows),
    )
    about = {key: value for key, value in episode.about.items() if value is not None}
    return _Episode(buffer, about)


def _infos(episode: Episode, steps: int, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the other arrays, steps + 1 rows: of an observation, or of the step that led to it."""
    sample = episode.sample
    infos = {"value_preds": sample.value_preds[: steps + 1]}
    for name, array in {"old_log_probs": sample.old_log_probs, **sample.optional}.items():
        if name in ("old_log_probs", "action_mask"):
            infos[name] = array[rows]
        elif name not in ("terminations", "truncations"):
            infos[name] = np.concatenate([np.zeros_like(array[:1]), array[:steps]])
    return infos


def _write(storage: MinariStorage, episodes: list[_Episode]) -> None:
    if episodes:
        storage.update_episodes([one.buffer for one in episodes])
        numbers = [one.buffer.id for one in episodes]
        storage.update_episode_metadata([one.about for one in episodes], numbers)
