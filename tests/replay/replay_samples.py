"""Samples for the tests of this folder, small and with every array."""

import numpy as np

from townlet_core.replay.metadata import sample_metadata
from townlet_core.replay.metrics import with_metrics
from townlet_core.replay.sample import ReplaySample
from townlet_core.vocab import ACTION_COUNT, MAP_SHAPE, REWARD_TERMS, feature_names


def make_sample(ticks=5, agent="anna", seed=0):
    """Return a sound sample of random numbers; the same arguments give the same numbers."""
    rng = np.random.default_rng([seed, ticks])
    names = feature_names()
    actions = rng.integers(0, ACTION_COUNT, ticks)
    mask = rng.random((ticks, ACTION_COUNT)) < 0.5
    mask[np.arange(ticks), actions] = True
    last = np.arange(ticks) == ticks - 1
    terms = rng.normal(size=(ticks, len(REWARD_TERMS))).astype(np.float32)
    optional = {
        "terminations": np.zeros(ticks, bool),
        "truncations": last,
        "action_mask": mask,
        "conflict_events": rng.integers(0, 2, ticks).astype(np.float32),
        "conflict_intensity": rng.random(ticks).astype(np.float32),
        "reward_terms": terms,
    }
    return with_metrics(
        ReplaySample(
            map=rng.integers(0, 2, (ticks, *MAP_SHAPE)).astype(np.float32),
            features=rng.random((ticks, len(names)), np.float32),
            actions=actions,
            old_log_probs=np.log(rng.random(ticks) * 0.9 + 0.05).astype(np.float32),
            value_preds=rng.normal(size=ticks + 1).astype(np.float32),
            rewards=terms.sum(axis=1),
            dones=last,
            optional=optional,
            metadata=sample_metadata(
                timesteps=ticks,
                feature_names=names,
                agent_id=agent,
                behaviour="scripted",
                capture={
                    "scenario": "test",
                    "scenario_sha256": "0" * 64,
                    "seed": seed,
                    "ticks": ticks,
                    "town": 0,
                    "episode": 0,
                    "first_frame": 0,
                    "versions": {"townlet": "0.1.0"},
                },
                value_source="fresh",
                optional_arrays=tuple(optional),
            ),
        )
    )


def equal(first, second):
    """Whether two samples hold the same arrays and metadata."""
    ours, theirs = first.arrays(), second.arrays()
    return (
        first.metadata == second.metadata
        and list(ours) == list(theirs)
        and all(
            ours[name].dtype == theirs[name].dtype and np.array_equal(ours[name], theirs[name])
            for name in ours
        )
    )
