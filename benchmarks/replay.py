"""Replay: transitions per second, from samples on disk (in the page cache) to the last batch of an epoch."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.figures import Effort, Figure, Measure, in_turn, rate
from benchmarks.town import AGENTS, make_town
from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig

CHUNK = 1 << 20


def measure(effort: Effort) -> list[Figure]:
    """Capture a data set, then read it in every way."""
    ticks, num_towns = (512, 8) if effort.full else (8, 1)
    with tempfile.TemporaryDirectory() as folder:
        town = make_town()
        settings = CaptureSettings(ticks=ticks, num_towns=num_towns)
        manifest = write_capture(town, ScriptedPolicy(town), settings, Path(folder)).manifest
        return _figures(manifest, ticks * num_towns * AGENTS, effort)


def _figures(manifest: Path, transitions: int, effort: Effort) -> list[Figure]:
    files = sorted(manifest.parent.glob("*.npz"))
    work = {
        "open and one epoch, in memory": partial(_open_and_read, manifest, streaming=False),
        "open and one epoch, streaming": partial(_open_and_read, manifest, streaming=True),
        "one epoch, in memory": partial(_read, _open(manifest, streaming=False)),
        "one epoch, streaming": partial(_read, _open(manifest, streaming=True)),
    }
    beside = {
        "np.load of each file, in order": partial(_load_each, files),
        "reading the bytes from the page cache": partial(_read_bytes, files),
    }
    measures: dict[str, Measure] = {
        name: partial(rate, step, transitions, effort.seconds) for name, step in {**work, **beside}.items()
    }
    medians = in_turn(effort.rounds, measures)
    peer, limit = beside
    return [
        Figure(name, medians[name], "transitions/s", 1, peer, medians[peer], limit, medians[limit])
        for name in work
    ]


def _open(manifest: Path, streaming: bool) -> ReplayDataset:
    return ReplayDataset(ReplayDatasetConfig(manifests=(manifest,), streaming=streaming))


def _open_and_read(manifest: Path, streaming: bool) -> None:
    _read(_open(manifest, streaming))


def _read(dataset: ReplayDataset) -> None:
    for _batch in dataset:
        pass


def _load_each(files: list[Path]) -> None:
    for path in files:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                arrays[name]


def _read_bytes(files: list[Path]) -> None:
    into = bytearray(CHUNK)
    for path in files:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(into):
                pass
