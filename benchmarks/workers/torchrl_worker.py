"""TorchRL: a replay buffer on memory-mapped tensors; one item is an episode, sampled without replacement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from episodes import BATCH, answer, read_episodes
from serve import serve
from tensordict import TensorDict
from torchrl.data import SamplerWithoutReplacement, TensorDictReplayBuffer, TensorStorage


def make(files: list[str], folder: Path) -> float:
    """Write the episodes of NPZ files as one memory-mapped TensorDict (episodes, ticks); return how many."""
    stored: TensorDict | None = None
    for n, episode in enumerate(read_episodes(files)):
        tensors = {name: torch.from_numpy(array) for name, array in episode.items()}
        if stored is None:
            like = {name: tensor[None].expand(len(files), *tensor.shape) for name, tensor in tensors.items()}
            stored = TensorDict(like, [len(files), len(episode["actions"])]).memmap_like(folder)
        for name, tensor in tensors.items():
            stored[name][n] = tensor
    return float(len(files))


def open_buffer(folder: Path) -> TensorDictReplayBuffer:
    storage = TensorStorage(TensorDict.load_memmap(folder))
    return TensorDictReplayBuffer(storage=storage, sampler=SamplerWithoutReplacement(), batch_size=BATCH)


def deliver(buffer: TensorDictReplayBuffer) -> Iterator[TensorDict]:
    return iter(buffer)


def measure(what: str, **request: Any) -> float:
    if what == "make":
        return make(request["files"], Path(request["folder"]))
    return answer(open_buffer, deliver, what, **request)


torch.set_num_threads(1)
serve(measure)
