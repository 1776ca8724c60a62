"""Episode ends in a sample, and the ticks with a training target."""

from __future__ import annotations

import dataclasses

import numpy as np

from townlet_core.replay.sample import ReplaySample


def split_dones(sample: ReplaySample) -> tuple[np.ndarray, np.ndarray]:
    """Return terminations and truncations, each (T,) bool; an unlabelled done is a termination."""
    return split_ends(sample.dones, sample.optional)


def split_ends(dones: np.ndarray, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return terminations and truncations of the arrays of a sample."""
    truncations = arrays.get("truncations")
    if truncations is None:
        terminations = arrays.get("terminations", dones)
        return terminations, dones & ~terminations
    return arrays.get("terminations", dones & ~truncations), truncations


def learned_ticks(dones: np.ndarray, terminations: np.ndarray, bootstrap_truncations: bool) -> np.ndarray:
    """Return which ticks have a training target, (T, …) bool.

    A tick has one if the next observation was recorded or the value after it is 0: at a termination or,
    without `bootstrap_truncations`, at any done. A truncated tick has none, nor has the last tick of an
    unfinished episode; the value of their observation bootstraps the tick before.
    """
    is_last = dones.copy()
    is_last[-1] = True
    return ~is_last | (terminations if bootstrap_truncations else dones)


def find_episodes(dones: np.ndarray) -> list[slice]:
    """Return the ticks of each episode, in order; the last may be unfinished. dones: (T,)."""
    stops = [*(np.flatnonzero(dones[:-1]) + 1).tolist(), len(dones)]
    return [slice(start, stop) for start, stop in zip([0, *stops[:-1]], stops, strict=True)]


def cut_episode(sample: ReplaySample, ticks: slice) -> ReplaySample:
    """Return some of a sample's ticks, such as one episode, as a sample with the metadata of the whole.

    The bootstrap value is the next recorded one, or at the sample's end the sample's own. After the end of an
    episode inside, the next one belongs to another episode: then it is 0 after a termination, and the last
    value of the episode after a truncation.
    """
    if ticks == slice(0, sample.timesteps):
        return sample
    values = sample.value_preds[ticks.start : ticks.stop + 1]
    if ticks.stop < sample.timesteps and sample.dones[ticks.stop - 1]:
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
