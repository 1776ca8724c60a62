"""What of the given recordings is served, episode by episode, and what is left out and why."""

from __future__ import annotations

import hashlib

import numpy as np
import orjson

from townlet_core.errors import SampleError, count
from townlet_core.replay.episodes import find_episodes, learned_ticks, split_dones
from townlet_core.replay.sample import ReplaySample

_NOT_CONTENT = ("versions", "ticks")  # of a capture: who recorded it, and how much beside this sample

_WHY = "single ticks that did not end for good, so that nothing says what followed"


class Selection:
    """Choose from samples one after the other. Training and `replay validate --for-training` both ask here.

    for_training: leave out a recording that was there before, and an episode of which no tick can be learned
    from (episodes.learned_ticks); otherwise everything is kept.
    bootstrap_truncations: as in PPOConfig; without it a truncation is an end for good.
    """

    def __init__(self, for_training: bool, bootstrap_truncations: bool = True) -> None:
        self.for_training = for_training
        self.bootstrap_truncations = bootstrap_truncations
        self.samples = 0  # asked about
        self.repeats: list[tuple[str, str]] = []  # a recording that was there before, and under which name
        self.episodes = 0  # of the others
        self.unlearnable: list[str] = []  # those of them that were left out
        self.are_cut = False  # whether a sample holds more than one episode
        self.longest = (0, "")  # episode that was chosen: its ticks, its sample
        self.bytes = 0  # of memory that the samples take of which something was chosen
        self._first: dict[bytes, str] = {}  # fingerprint: name

    def choose(self, name: str, sample: ReplaySample, file_bytes: int = 0) -> list[slice]:
        """Return the ticks of each episode to serve.

        file_bytes: of the file the sample was read from. Arrays are views into it where it is not compressed,
        so it stays in memory with all else that it holds.
        """
        self.samples += 1
        if self.for_training:
            own = fingerprint(sample)
            if own in self._first:
                self.repeats.append((name, self._first[own]))
                return []
            self._first[own] = name
        self.are_cut = self.are_cut or bool(sample.dones[:-1].any())
        terminations, _ = split_dones(sample)
        chosen = []
        for ticks in find_episodes(sample.dones):
            self.episodes += 1
            learned = learned_ticks(sample.dones[ticks], terminations[ticks], self.bootstrap_truncations)
            if self.for_training and not learned.any():
                self.unlearnable.append(name)
            else:
                chosen.append(ticks)
                self.longest = max(self.longest, (ticks.stop - ticks.start, name))
        if chosen:
            self.bytes += max(file_bytes, sum(array.nbytes for array in sample.arrays().values()))
        return chosen

    def warnings(self) -> list[str]:
        """Say how many samples were left out, why, and which was the first."""
        told = []
        if self.repeats:
            name, first = self.repeats[0]
            which = name if name == first else f"{name} is the same recording as {first}"
            left_out = f"left out {len(self.repeats)} of {count(self.samples, 'sample')}"
            told.append(f"{left_out}, given more than once: {which}")
        if 0 < len(self.unlearnable) < self.episodes:
            told.append(f"left out {len(self.unlearnable)} of {self._count()}, {_WHY}: {self.unlearnable[0]}")
        return told

    def refuse_nothing(self) -> None:
        """Raise SampleError if there were recordings, and nothing of them can be learned from."""
        if self.unlearnable and len(self.unlearnable) == self.episodes:
            found = f"found {self._count()}, {_WHY}: {self.unlearnable[0]}"
            raise SampleError(f"nothing to learn from: {found}", "capture longer ones with --ticks")

    def _count(self) -> str:
        noun = "episode" if self.are_cut else "sample"
        return f"{self.episodes} {noun}{'s' if self.episodes != 1 else ''}"


def fingerprint(sample: ReplaySample) -> bytes:
    """Digest what makes a recording this one and no other: its arrays, who was recorded, and where.

    How and under which name it is stored does not matter. Arrays alone are not enough: several towns of a
    scenario without chance are alike, and still as many recordings.
    """
    capture = sample.metadata.get("capture")
    if isinstance(capture, dict):
        capture = {key: value for key, value in capture.items() if key not in _NOT_CONTENT}
    about = [sample.agent_id, sample.metadata.get("behaviour"), capture]
    digest = hashlib.sha256(orjson.dumps(about, option=orjson.OPT_SORT_KEYS))
    for name, array in sample.arrays().items():
        digest.update(f"{name} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
