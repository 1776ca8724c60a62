"""Dump of a non-finite minibatch: its arrays, and a report of the NaN and infinite numbers."""

from __future__ import annotations

import io as memory
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core import io
from townlet_core.ppo.losses import PPOLoss
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.shards import Shards
from townlet_core.ppo.statistics import SkippedUpdate, TrainBatch

ARRAYS, REPORT = "not_finite.npz", "not_finite.json"


class NotFinite(NamedTuple):
    """Where numbers were not finite."""

    columns: dict[str, int]  # how many, by column of the batch
    weights: dict[str, int]  # how many, by name of the weight
    numbers: list[str]  # which losses and norms


class Report(NamedTuple):
    """The content of not_finite.json; cycle, epoch and minibatch count from 1."""

    cycle: int
    data_mode: str
    epoch: int
    minibatch: int
    transitions: int
    not_finite: NotFinite
    largest_weight: float
    numbers: dict[str, float | str]  # losses and norms of the minibatch


def save_minibatch(
    folder: Path,
    cycle: int,
    data_mode: str,
    parts: Sequence[TrainBatch],
    skipped: SkippedUpdate,
    network: ActorCritic,
    shards: Shards,
) -> Path:
    """Write the arrays of a skipped minibatch and a report of its bad numbers; return the arrays' path.

    The arrays are the columns of TrainBatch, `shard`, and `rows`, their places in the batch of that shard.
    Every process calls this, and the first one writes.
    """
    columns = {
        name: shards.join(
            np.concatenate(
                [getattr(part, name)[rows] for part, rows in zip(parts, skipped.rows, strict=True)]
            )
        )
        for name in TrainBatch._fields
    }
    rows = shards.join(np.concatenate(skipped.rows))
    sizes = list(map(len, skipped.rows))
    buffer = memory.BytesIO()
    shard = shards.join(np.repeat(np.array(shards.own), sizes))
    np.savez(buffer, allow_pickle=False, rows=rows, shard=shard, **columns)
    weights = {name: as_array(tensor) for name, tensor in network.state_dict().items()}
    numbers = numbers_of(skipped)
    not_finite = NotFinite(
        columns=count_bad(columns),
        weights=count_bad(weights),
        numbers=[name for name, number in numbers.items() if not np.isfinite(number)],
    )
    report = Report(
        cycle=cycle,
        data_mode=data_mode,
        epoch=skipped.epoch + 1,
        minibatch=skipped.minibatch + 1,
        transitions=len(rows),
        not_finite=not_finite,
        largest_weight=max(map(largest, weights.values())),
        numbers={name: writable(number) for name, number in numbers.items()},
    )
    if shards.is_first:
        io.write_file(folder / ARRAYS, buffer.getvalue())
        io.write_json(folder / REPORT, {**report._asdict(), "not_finite": not_finite._asdict()})
    return folder / ARRAYS


def as_array(tensor: Any) -> np.ndarray:
    """Copy a tensor to the CPU as an array."""
    return np.asarray(tensor.detach().cpu().numpy())


def count_bad(arrays: dict[str, np.ndarray]) -> dict[str, int]:
    """Count the NaN and infinite numbers of each array; arrays without any are left out."""
    counts = {name: int((~np.isfinite(array)).sum()) for name, array in arrays.items()}
    return {name: count for name, count in counts.items() if count}


def largest(array: np.ndarray) -> float:
    """Return the largest absolute value of the finite numbers."""
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))


def numbers_of(skipped: SkippedUpdate) -> dict[str, float]:
    """Return the losses and the gradient by name, in the order in which they are computed."""
    losses = dict(zip(PPOLoss._fields, skipped.stats.losses, strict=True))
    return {**losses, "grad_norm": skipped.stats.grad_norm, "advantage_std": skipped.stats.advantage_std}


def writable(number: float) -> float | str:
    """JSON has no NaN: non-finite numbers are written as text."""
    return number if np.isfinite(number) else str(number)
