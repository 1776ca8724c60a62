"""Minari: one episode per HDF5 group; batches of episodes in a random order, stacked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from episodes import BATCH, NAMES, answer, read_episodes
from minari import EpisodeData, MinariDataset
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage
from serve import serve

SEEN = ("map", "features", "action_mask")  # with an observation after the last action, as Minari wants it
OWN = (*SEEN, "actions", "rewards", "terminations", "truncations")
ROUNDS = np.random.default_rng(0)


def make(files: list[str], folder: Path) -> float:
    """Write the episodes of NPZ files, uncompressed, which is Minari's default; return how many."""
    folder.mkdir(parents=True)
    storage: MinariStorage | None = None
    for episode in read_episodes(files):
        if storage is None:
            spaces: dict[str, gymnasium.Space] = {
                name: gymnasium.spaces.Box(-np.inf, np.inf, episode[name].shape[1:], np.float32)
                for name in SEEN[:2]
            }
            spaces["action_mask"] = gymnasium.spaces.MultiBinary(episode["action_mask"].shape[1])
            storage = MinariStorage.new(
                folder,
                observation_space=gymnasium.spaces.Dict(spaces),
                action_space=gymnasium.spaces.Discrete(episode["action_mask"].shape[1]),
                jpeg_encoding=False,
            )
        seen = {name: np.concatenate([episode[name], episode[name][-1:]]) for name in SEEN}
        infos = {name: episode[name] for name in NAMES if name not in OWN}
        rest = {name: episode[name] for name in ("actions", "rewards", "terminations", "truncations")}
        storage.update_episodes([EpisodeBuffer(observations=seen, infos=infos, **rest)])
    assert storage is not None
    storage.update_metadata({"dataset_id": "townlet/bench-v0", "minari_version": "0.5.4"})
    return float(len(files))


def deliver(dataset: MinariDataset) -> Iterator[dict[str, np.ndarray]]:
    order = ROUNDS.permutation(dataset.episode_indices)
    waiting: list[dict[str, np.ndarray]] = []
    for n, episode in enumerate(dataset.iterate_episodes(order), 1):
        waiting.append(arrays_of(episode))
        if len(waiting) == BATCH or n == len(order):
            yield {name: np.stack([one[name] for one in waiting], axis=1) for name in NAMES}
            waiting = []


def arrays_of(episode: EpisodeData) -> dict[str, np.ndarray]:
    """Return the arrays of an episode by our names, each (T, …)."""
    seen = {name: episode.observations[name][:-1] for name in SEEN}
    rest = {name: getattr(episode, name) for name in OWN if name not in SEEN}
    return {**seen, **rest, **episode.infos}


def measure(what: str, **request: Any) -> float:
    if what == "make":
        return make(request["files"], Path(request["folder"]))
    return answer(MinariDataset, deliver, what, **request)


serve(measure)
