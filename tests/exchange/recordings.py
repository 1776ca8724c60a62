"""Recordings for the tests of this folder: random samples of different lengths and ends, in both forms."""

import dataclasses
from pathlib import Path

import numpy as np
from replay.replay_samples import make_sample

from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.metrics import with_metrics
from townlet_core.replay.packed.writer import ShardWriter
from townlet_core.replay.sample import save_sample

FORMS = ("npz", "packed")


def ending(sample, kind):
    """Return the sample with another end: terminated, truncated or unfinished."""
    last = np.arange(sample.timesteps) == sample.timesteps - 1
    no = np.zeros_like(last)
    ends = {
        "terminations": last if kind == "terminated" else no,
        "truncations": last if kind == "truncated" else no,
    }
    dones = ends["terminations"] | ends["truncations"]
    return with_metrics(dataclasses.replace(sample, dones=dones, optional=sample.optional | ends))


def of_town(sample, town):
    """Return the sample as that of another town."""
    capture = sample.metadata["capture"] | {"town": town}
    return dataclasses.replace(sample, metadata=sample.metadata | {"capture": capture})


SAMPLES = [
    of_town(ending(make_sample(ticks, agent, seed), kind), seed)
    for seed, (ticks, agent, kind) in enumerate(
        [(5, "ada", "truncated"), (7, "bob", "terminated"), (4, "ada", "unfinished"), (5, "cy", "terminated")]
    )
]


def record(folder: Path, form: str, samples=SAMPLES) -> Path:
    """Write the samples and their manifest; return the manifest."""
    if form == "packed":
        writer = ShardWriter(folder, "x_00001")
        for sample in samples:
            writer.add(sample)
        return save_manifest(folder, "x", [], {}, shards=[writer.close()])
    entries = [save_sample(one, folder, f"x_{one.agent_id}_{i:03d}") for i, one in enumerate(samples, 1)]
    return save_manifest(folder, "x", entries, {})
