"""A batch: the arrays of samples of one length, stacked time-major."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from townlet_core.replay.episodes import split_dones
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


def stack_samples(
    samples: Sequence[ReplaySample], names: Sequence[str], feature_names: tuple[str, ...], action_dim: int
) -> ReplayBatch:
    """Stack samples of equal shapes. `action_dim`: size of their common vocabulary."""
    ticks = samples[0].timesteps
    ends = [split_dones(sample) for sample in samples]
    zeros = np.zeros(ticks, np.float32)

    def column(name: str) -> np.ndarray:
        arrays = [getattr(sample, name) for sample in samples]
        stacked = np.empty((len(arrays[0]), len(arrays), *arrays[0].shape[1:]), ARRAYS[name][0])
        for n, array in enumerate(arrays):
            stacked[:, n] = array  # a compact map is expanded here
        return stacked

    def optional(name: str) -> np.ndarray:
        return np.stack([sample.optional.get(name, zeros) for sample in samples], axis=1)

    return ReplayBatch(
        map=column("map"),
        features=column("features"),
        actions=column("actions"),
        old_log_probs=column("old_log_probs"),
        value_preds=column("value_preds"),
        rewards=column("rewards"),
        dones=column("dones"),
        terminations=np.stack([terminations for terminations, _ in ends], axis=1),
        truncations=np.stack([truncations for _, truncations in ends], axis=1),
        action_mask=_stack_masks(samples, ticks, action_dim),
        conflict_events=optional("conflict_events"),
        conflict_intensity=optional("conflict_intensity"),
        action_dim=action_dim,
        feature_names=feature_names,
        names=tuple(names),
    )


def _stack_masks(samples: Sequence[ReplaySample], ticks: int, action_dim: int) -> np.ndarray:
    """Stack the masks; ids beyond a sample's own vocabulary are masked."""
    masks = np.ones((ticks, len(samples), action_dim), bool)
    for n, sample in enumerate(samples):
        if "action_mask" in sample.optional:
            mask = sample.optional["action_mask"][:, :action_dim]
            masks[:, n, : mask.shape[1]] = mask
            masks[:, n, mask.shape[1] :] = False
    return masks
