"""Where the episodes of a sample end, and which of its ticks can be learned from."""

from __future__ import annotations

import dataclasses

import numpy as np

from townlet_core.replay.sample import ReplaySample


def split_dones(sample: ReplaySample) -> tuple[np.ndarray, np.ndarray]:
    """Tell terminations from truncations, each (T,) bool; a done that says neither is a termination."""
    truncations = sample.optional.get("truncations")
    if truncations is None:
        terminations = sample.optional.get("terminations", sample.dones)
        return terminations, sample.dones & ~terminations
    return sample.optional.get("terminations", sample.dones & ~truncations), truncations


def learned_ticks(dones: np.ndarray, terminations: np.ndarray, bootstrap_truncations: bool) -> np.ndarray:
    """Return which ticks can be learned from: those of which it is known what followed. (T, …) bool.

    Nothing follows a tick that ends for good: in a termination or, without `bootstrap_truncations`, in any
    done. After a truncation, and after the last tick of a recording that goes on, something followed that
    nobody recorded: the observation of such a tick serves as the bootstrap of the tick before it.
    """
    has_no_sequel = dones.copy()
    has_no_sequel[-1] = True
    return ~has_no_sequel | (terminations if bootstrap_truncations else dones)


def find_episodes(dones: np.ndarray) -> list[slice]:
    """Return the ticks of each episode, in order; the last may go on after the sample. dones: (T,)."""
    stops = [*(np.flatnonzero(dones[:-1]) + 1).tolist(), len(dones)]
    return [slice(start, stop) for start, stop in zip([0, *stops[:-1]], stops, strict=True)]


def cut_episode(sample: ReplaySample, ticks: slice) -> ReplaySample:
    """Return one of a sample's episodes as a sample of its own, with the metadata of the whole.

    The last of its `value_preds` is the sample's own only at the sample's end. Inside, the next value is that
    of another episode: 0 stands in its place after a termination, and after a truncation the last value of
    the episode, which is the nearest that was recorded.
    """
    if ticks == slice(0, sample.timesteps):
        return sample
    values = sample.value_preds[ticks.start : ticks.stop + 1]
    if ticks.stop < sample.timesteps:
        terminations, _ = split_dones(sample)
        after = np.float32(0) if terminations[ticks.stop - 1] else values[-2]
        values = np.append(values[:-1], after)
    return dataclasses.replace(
        sample,
        map=sample.map[ticks],
        features=sample.features[ticks],
        actions=sample.actions[ticks],
        old_log_probs=sample.old_log_probs[ticks],
        value_preds=values,
        rewards=sample.rewards[ticks],
        dones=sample.dones[ticks],
        optional={name: array[ticks] for name, array in sample.optional.items()},
    )
