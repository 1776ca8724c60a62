"""Samples of one agent, cut from frames: from its arrival to its end or that of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from townlet_core.capture.rollout import Frames
from townlet_core.replay.metadata import sample_metadata
from townlet_core.replay.metrics import with_metrics
from townlet_core.replay.sample import ReplaySample


def cut_samples(
    frames: Frames,
    agent: int,
    agent_id: str,
    feature_names: tuple[str, ...],
    about: dict[str, Any],
    town: int = 0,
) -> Iterator[ReplaySample]:
    """Cut the frames of one agent of one town into samples, in order.

    A sample ends when the agent faints, when the episode ends, or with the frames. value_preds has one more
    row: 0 after a faint, else the value of the final or next observation.
    about: `behaviour`, `value_source` and `capture` of the metadata. town: its index in the frames.
    """
    frames = _of_one_town(frames, town)
    alive = frames.alive[:, 0, agent]
    dones = frames.terminations[:, 0, agent] | frames.truncations[:, 0, agent]
    start = 0
    while start < len(alive):
        if not alive[start]:
            start += 1
            continue
        ends = np.flatnonzero(dones[start:])
        stop = start + int(ends[0]) + 1 if len(ends) else len(alive)
        episode = int(frames.episodes[start, 0])
        yield _sample(frames, agent, slice(start, stop), agent_id, feature_names, about, episode)
        start = stop


def _of_one_town(frames: Frames, town: int) -> Frames:
    return Frames(*(array[:, town : town + 1] for array in frames))


def _sample(
    frames: Frames,
    agent: int,
    ticks: slice,
    agent_id: str,
    feature_names: tuple[str, ...],
    about: dict[str, Any],
    episode: int,
) -> ReplaySample:
    def column(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array[ticks, 0, agent])

    terminations, truncations = column(frames.terminations), column(frames.truncations)
    dones = terminations | truncations
    after = column(frames.truncation_values)[-1] if dones[-1] else frames.values[ticks.stop, 0, agent]
    optional = {
        "terminations": terminations,
        "truncations": truncations,
        "action_mask": column(frames.action_mask),
        "conflict_events": column(frames.conflict_events),
        "conflict_intensity": column(frames.conflict_intensity),
        "reward_terms": column(frames.reward_terms),
    }
    metadata = sample_metadata(
        timesteps=len(dones),
        feature_names=feature_names,
        agent_id=agent_id,
        optional_arrays=tuple(optional),
        behaviour=about["behaviour"],
        value_source=about["value_source"],
        capture={**about["capture"], "episode": episode, "first_frame": ticks.start},
    )
    sample = ReplaySample(
        map=frames.map[ticks, 0, agent].astype(np.float32, order="C"),
        features=column(frames.features),
        actions=column(frames.actions),
        old_log_probs=column(frames.log_probs),
        value_preds=np.append(column(frames.values), after).astype(np.float32),
        rewards=column(frames.rewards),
        dones=dones,
        optional=optional,
        metadata=metadata,
    )
    return with_metrics(sample)
