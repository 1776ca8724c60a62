"""Which episodes of the recordings are used, and which are left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import orjson

from townlet_core.errors import SampleError, count
from townlet_core.replay.compact import compact_bytes
from townlet_core.replay.episodes import find_episodes, learned_ticks, split_dones
from townlet_core.replay.sample import ReplaySample

_NOT_CONTENT = ("versions", "ticks")  # of a capture: not part of a recording's identity

_WHY = "single ticks that did not terminate, so that what followed is not known"


class Selection:
    """Choose the episodes of each sample, for training and for `replay validate --for-training`.

    for_training: leave out duplicates, and episodes of which no tick has a training target
    (episodes.learned_ticks); otherwise keep everything.
    bootstrap_truncations: as in PPOConfig; without it a truncation counts as a termination.
    """

    def __init__(self, for_training: bool, bootstrap_truncations: bool = True) -> None:
        self.for_training = for_training
        self.bootstrap_truncations = bootstrap_truncations
        self.samples = 0  # seen so far
        self.repeats: list[tuple[str, str]] = []  # a duplicate, and the first of its name
        self.episodes = 0  # of samples that are no duplicates
        self.unlearnable: list[str] = []  # samples of the episodes that were left out
        self.are_cut = False  # a sample holds more than one episode
        self.longest = (0, "")  # chosen episode: its ticks, its sample
        self.bytes = 0  # of memory for samples with a chosen episode
        self._first: dict[bytes, str] = {}  # fingerprint: name

    def choose(self, name: str, sample: ReplaySample, file_bytes: int = 0) -> list[slice]:
        """Return the ticks of each chosen episode.

        file_bytes: size of the sample's file. Arrays of an uncompressed file are views into it, so the whole
        file stays in memory.
        """
        terminations, _ = split_dones(sample)
        episodes = find_episodes(sample.dones)
        learned = [
            bool(learned_ticks(sample.dones[ticks], terminations[ticks], self.bootstrap_truncations).any())
            for ticks in episodes
        ]
        size = max(file_bytes, sum(array.nbytes for array in sample.arrays().values()))
        own = fingerprint(sample) if self.for_training else b""
        return self.choose_described(name, own, list(zip(episodes, learned, strict=True)), size)

    def choose_described(
        self, name: str, own: bytes, episodes: list[tuple[slice, bool]], size: int
    ) -> list[slice]:
        """Return the ticks of each chosen episode of a sample that is not read.

        own: its fingerprint. episodes: the ticks of each, and whether one of them has a training target.
        size: its bytes of memory.
        """
        self.samples += 1
        if self.for_training:
            if own in self._first:
                self.repeats.append((name, self._first[own]))
                return []
            self._first[own] = name
        self.are_cut = self.are_cut or len(episodes) > 1
        self.episodes += len(episodes)
        chosen = []
        for ticks, has_target in episodes:
            if self.for_training and not has_target:
                self.unlearnable.append(name)
            else:
                chosen.append(ticks)
                self.longest = max(self.longest, (ticks.stop - ticks.start, name))
        self.bytes += size if chosen else 0
        return chosen

    def warnings(self) -> list[str]:
        """Return how many samples were left out, why, and the first of them."""
        warnings = []
        if self.repeats:
            name, first = self.repeats[0]
            which = name if name == first else f"{name} is the same recording as {first}"
            left_out = f"left out {len(self.repeats)} of {count(self.samples, 'sample')}"
            warnings.append(f"{left_out}, given more than once: {which}")
        if 0 < len(self.unlearnable) < self.episodes:
            warnings.append(
                f"left out {len(self.unlearnable)} of {self._count()}, {_WHY}: {self.unlearnable[0]}"
            )
        return warnings

    def require_data(self) -> None:
        """Raise SampleError if there were recordings, and none has a training target."""
        if self.unlearnable and len(self.unlearnable) == self.episodes:
            reason = f"found {self._count()}, {_WHY}: {self.unlearnable[0]}"
            raise SampleError(f"nothing to learn from: {reason}", "capture longer ones with --ticks")

    @property
    def samples_sha256(self) -> str | None:
        """The digest of the recordings; None if it is not known or something was left out."""
        is_all = self.for_training and not self.repeats and not self.unlearnable
        return samples_sha256(self._first) if is_all else None

    def _count(self) -> str:
        noun = "episode" if self.are_cut else "sample"
        return f"{self.episodes} {noun}{'s' if self.episodes != 1 else ''}"


def samples_sha256(fingerprints: Iterable[bytes]) -> str:
    """Return a digest of recordings in their order, whatever files they are in."""
    return hashlib.sha256(b"".join(fingerprints)).hexdigest()


def fingerprint(sample: ReplaySample) -> bytes:
    """Return a digest of a recording's identity: its arrays, agent, behaviour and capture.

    File name and compression do not matter. Arrays alone are not enough: the towns of a scenario without
    randomness are equal, and still separate recordings.
    """
    capture = sample.metadata.get("capture")
    if isinstance(capture, dict):
        capture = {key: value for key, value in capture.items() if key not in _NOT_CONTENT}
    about = [sample.agent_id, sample.metadata.get("behaviour"), capture]
    digest = hashlib.sha256(orjson.dumps(about, option=orjson.OPT_SORT_KEYS))
    for name, array in sample.arrays().items():
        kind, values = compact_bytes(array) if name == "map" else ("", array)
        digest.update(f"{name} {array.shape} {kind}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.digest()
