"""Training runs on recordings, from disk or from memory; all must end with the same weights."""

from __future__ import annotations

import time
from pathlib import Path

from serve import serve

import townlet_core as townlet

WEIGHTS: set[str] = set()  # sha256 of the weights of every run


def measure(manifest: str, output: str, cycles: int, streaming: bool) -> float:
    """Train in replay mode; return the seconds from opening the recordings to the last checkpoint."""
    settings = townlet.TrainingSettings(
        source="replay", replay_manifest=(Path(manifest),), cycles=cycles, streaming=streaming, device="cpu"
    )
    start = time.perf_counter()
    session = townlet.train(settings, output, force=True)
    seconds = time.perf_counter() - start
    WEIGHTS.add(session.result.weights_sha256)
    assert len(WEIGHTS) == 1, f"the weights differ: {sorted(WEIGHTS)}"
    return seconds


serve(measure)
