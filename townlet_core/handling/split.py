"""Split samples into training and validation, by episode."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import orjson

from townlet_core.errors import InputError
from townlet_core.handling.sources import Source
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import ManifestEntry, entry_metadata

_WORLD = ("scenario_sha256", "seed", "town", "episode")  # of `capture`: what agents have in common


def split_samples(
    sources: Sequence[Source], validation: float, seed: int = 0, limits: ReadLimits = DEFAULT_LIMITS
) -> dict[str, list[Source]]:
    """Split samples into `train`, to train on, and `validation`, to validate with.

    All samples of one episode of one town are on the same side, also those of other policies. The side is a
    function of the seed and of the episode's scenario, seed, town and number alone: neither the order of the
    samples nor other episodes matter, unless one side would be empty. Samples that do not say their town are
    one episode for each folder.
    validation: the expected fraction of episodes. Raises InputError for fewer than two episodes.
    """
    if not 0 < validation < 1:
        raise InputError(f"--validation: {validation}, expected a fraction between 0 and 1")
    episodes = [[_episode(entry, limits) for entry in source.entries] for source in sources]
    draws = {episode: _draw(seed, episode) for own in episodes for episode in own}
    if len(draws) < 2:
        raise InputError(
            "all samples are of one episode, and would be on one side",
            "capture more towns or episodes: --towns, --ticks",
        )
    chosen = {episode for episode, draw in draws.items() if draw < validation}
    chosen = chosen or {min(draws, key=draws.__getitem__)}
    if len(chosen) == len(draws):
        chosen.remove(max(draws, key=draws.__getitem__))
    return {
        name: [
            Source(source.manifest, entries)
            for source, own in zip(sources, episodes, strict=True)
            if (
                entries := [
                    entry
                    for entry, episode in zip(source.entries, own, strict=True)
                    if (episode in chosen) == is_held_out
                ]
            )
        ]
        for name, is_held_out in (("train", False), ("validation", True))
    }


def _episode(entry: ManifestEntry, limits: ReadLimits) -> bytes:
    """Return the identity of a sample's episode."""
    capture = entry_metadata(entry, limits).get("capture")
    about = {key: capture.get(key) for key in _WORLD} if isinstance(capture, dict) else {}
    if about.get("town") is None or about.get("episode") is None:
        file = entry.shard.ref.path if entry.shard else entry.sample
        about = {"folder": os.path.basename(os.path.dirname(os.path.realpath(file)))}
    return orjson.dumps(about)


def _draw(seed: int, episode: bytes) -> float:
    """Return a number in [0, 1)."""
    digest = hashlib.sha256(b"%d " % seed + episode).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
