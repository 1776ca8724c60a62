"""The player of the last capture in a report's scenario: which capture that is, and its page."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from townlet_core import io
from townlet_core.errors import TownletError
from townlet_core.render.animation import Animation
from townlet_core.render.egocentric import egocentric_animation
from townlet_core.render.html import animation_page
from townlet_core.render.recording import Recording, load_recording
from townlet_core.render.resimulate import play_again, scenario_to_play
from townlet_core.replay.manifest import sample_or_manifest
from townlet_core.training.run_directory import SAMPLES


class Player(NamedTuple):
    """A page with a player, and what it plays."""

    page: str
    title: str
    capture: Path
    policy: str
    ticks: int


def last_capture(captures: Path, runs: Iterable[Path], scenario_sha256: str) -> Path | None:
    """Return the newest capture of a scenario: below the folder of captures, else a run's own samples.

    What cannot be read is passed over: a report does not depend on it.
    """
    here = [captures / name for name in _folders(captures)]
    for folders in (here, [run / SAMPLES for run in runs]):
        found = [path for folder in folders if (path := _manifest(folder))]
        for path in sorted(found, key=_changed, reverse=True):
            if _scenario_of(path) == scenario_sha256:
                return path
    return None


def _changed(path: Path) -> float:
    """Return when a file was last changed; one that is gone since is the oldest."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _folders(folder: Path) -> list[str]:
    try:
        return io.list_folder(folder)
    except TownletError:
        return []


def _manifest(folder: Path) -> Path | None:
    try:
        return sample_or_manifest(folder)
    except TownletError:
        return None


def _scenario_of(manifest: Path) -> str | None:
    try:
        capture = load_recording(manifest).capture
    except TownletError:
        return None
    return str(capture.get("scenario_sha256")) if capture else None


def make_player(path: Path) -> Player:
    """Play a capture again. Raises InputError, SampleError or MissingError where it cannot be."""
    recording = load_recording(path)
    animation = _animation(recording)
    return Player(
        page=animation_page([animation]).decode("utf-8"),
        title=animation.title,
        capture=path,
        policy=animation.facts.get("policy", "unknown"),
        ticks=animation.last_tick - animation.first_tick,
    )


def _animation(recording: Recording) -> Animation:
    scenario, why = scenario_to_play(recording, None)
    return play_again(recording, scenario) if scenario else egocentric_animation(recording, why)
