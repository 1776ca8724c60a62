"""Hugging Face datasets: one row per episode in Arrow files, shuffled, in numpy format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from episodes import BATCH, NAMES, answer, read_episodes
from serve import serve

ROUNDS = np.random.default_rng(0)


def make(files: list[str], folder: Path) -> float:
    first = next(read_episodes(files[:1]))
    shapes = {name: (len(first["actions"]), first[name][0].size) for name in NAMES}
    features = datasets.Features(
        {name: datasets.Array2D(shapes[name], first[name].dtype.name) for name in NAMES}
    )

    def rows() -> Iterator[dict[str, np.ndarray]]:
        for episode in read_episodes(files):
            yield {name: array.reshape(shapes[name]) for name, array in episode.items()}

    made = datasets.Dataset.from_generator(
        rows, features, cache_dir=str(folder / "cache"), writer_batch_size=BATCH
    )
    made.save_to_disk(folder)
    return float(len(files))


def open_dataset(folder: Path) -> datasets.Dataset:
    return datasets.load_from_disk(folder).with_format("numpy")


def deliver(dataset: datasets.Dataset) -> Iterator[dict[str, np.ndarray]]:
    return iter(dataset.shuffle(seed=int(ROUNDS.integers(2**32))).iter(BATCH))


def measure(what: str, **request: Any) -> float:
    if what == "make":
        return make(request["files"], Path(request["folder"]))
    return answer(open_dataset, deliver, what, **request)


datasets.disable_progress_bars()
serve(measure)
