"""A batch: the arrays of samples of one length, stacked time-major."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from townlet_core.replay.compact import Bits
from townlet_core.replay.episodes import split_ends
from townlet_core.replay.format import ARRAYS
from townlet_core.replay.sample import ReplaySample
from townlet_core.vocab import CONFLICT_FEATURES


class ReplayBatch(NamedTuple):
    """T ticks of N samples. Nothing is padded: samples of different lengths are in different batches."""

    map: np.ndarray  # (T, N, C, H, W) float32
    features: np.ndarray  # (T, N, F) float32
    actions: np.ndarray  # (T, N) int64
    old_log_probs: np.ndarray  # (T, N) float32
    value_preds: np.ndarray  # (T + 1, N) float32, the last row bootstraps
    rewards: np.ndarray  # (T, N) float32
    dones: np.ndarray  # (T, N) bool
    terminations: np.ndarray  # (T, N) bool; dones without truncations
    truncations: np.ndarray  # (T, N) bool
    action_mask: np.ndarray  # (T, N, A) bool; all True where the sample has none
    conflict_events: np.ndarray  # (T, N) float32; 0 where the sample has none
    conflict_intensity: np.ndarray  # (T, N) float32
    action_dim: int  # A
    feature_names: tuple[str, ...]
    names: tuple[str, ...]  # of the N samples

    @property
    def transitions(self) -> int:
        """The number of transitions in the batch, over all samples."""
        return self.actions.size

    def conflict_stats(self) -> dict[str, float]:
        """Return statistics of conflict over the batch, and of rivalry if it is among the features."""
        stats = {}
        for name in CONFLICT_FEATURES:
            if name in self.feature_names:
                column = self.features[..., self.feature_names.index(name)]
                stats[f"{name}_mean"] = float(column.mean(dtype=np.float64))
                stats[f"{name}_max"] = float(column.max())
        stats["queue_conflict_events"] = float(self.conflict_events.sum(dtype=np.float64))
        stats["queue_conflict_intensity_sum"] = float(self.conflict_intensity.sum(dtype=np.float64))
        return stats


class Part(NamedTuple):
    """Where the ticks of one episode lie in arrays by name, which may hold more."""

    arrays: dict[str, Any]  # arrays; a packed map is Bits
    ticks: slice
    last_value: np.float32 | None = None  # after the last tick; None where value_preds holds it


def stack_samples(
    samples: Sequence[ReplaySample], names: Sequence[str], feature_names: tuple[str, ...], action_dim: int
) -> ReplayBatch:
    """Stack samples of equal shapes. `action_dim`: size of their common vocabulary."""
    parts = [Part(sample.arrays(), slice(0, sample.timesteps)) for sample in samples]
    return stack_parts(parts, names, feature_names, action_dim)


def stack_parts(
    parts: Sequence[Part], names: Sequence[str], feature_names: tuple[str, ...], action_dim: int
) -> ReplayBatch:
    """Stack episodes of equal shapes; a compact map is expanded. `action_dim` as for stack_samples."""
    ticks = parts[0].ticks.stop - parts[0].ticks.start
    ends = [split_ends(part.arrays["dones"], part.arrays) for part in parts]

    def column(name: str) -> np.ndarray:
        shape = parts[0].arrays[name].shape[1:]
        stacked = np.empty((ticks, len(parts), *shape), ARRAYS[name][0])
        for n, part in enumerate(parts):
            stacked[:, n] = part.arrays[name][part.ticks]
        return stacked

    def maps() -> np.ndarray:
        stacked = np.empty((len(parts), ticks, *parts[0].arrays["map"].shape[1:]), np.float32)
        for n, part in enumerate(parts):
            stored = part.arrays["map"]
            if isinstance(stored, Bits):
                stored.expand(part.ticks, stacked[n])
            else:
                stacked[n] = stored[part.ticks]
        return stacked.swapaxes(0, 1)

    def optional(name: str) -> np.ndarray:
        stacked = np.zeros((ticks, len(parts)), ARRAYS[name][0])
        for n, part in enumerate(parts):
            if name in part.arrays:
                stacked[:, n] = part.arrays[name][part.ticks]
        return stacked

    return ReplayBatch(
        map=maps(),
        features=column("features"),
        actions=column("actions"),
        old_log_probs=column("old_log_probs"),
        value_preds=_stack_values(parts, ticks),
        rewards=column("rewards"),
        dones=column("dones"),
        terminations=np.stack([end[part.ticks] for part, (end, _) in zip(parts, ends, strict=True)], axis=1),
        truncations=np.stack([end[part.ticks] for part, (_, end) in zip(parts, ends, strict=True)], axis=1),
        action_mask=_stack_masks(parts, ticks, action_dim),
        conflict_events=optional("conflict_events"),
        conflict_intensity=optional("conflict_intensity"),
        action_dim=action_dim,
        feature_names=feature_names,
        names=tuple(names),
    )


def _stack_values(parts: Sequence[Part], ticks: int) -> np.ndarray:
    """Stack the values, and the one after the last tick below them."""
    stacked = np.empty((ticks + 1, len(parts)), np.float32)
    for n, part in enumerate(parts):
        values = part.arrays["value_preds"]
        stacked[:ticks, n] = values[part.ticks]
        stacked[ticks, n] = values[part.ticks.stop] if part.last_value is None else part.last_value
    return stacked


def _stack_masks(parts: Sequence[Part], ticks: int, action_dim: int) -> np.ndarray:
    """Stack the masks; ids beyond a sample's own vocabulary are masked."""
    masks = np.ones((ticks, len(parts), action_dim), bool)
    for n, part in enumerate(parts):
        if "action_mask" in part.arrays:
            mask = part.arrays["action_mask"][part.ticks, :action_dim]
            masks[:, n, : mask.shape[1]] = mask
            masks[:, n, mask.shape[1] :] = False
    return masks
