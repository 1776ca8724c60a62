"""Live towns that the learning policy acts in, and everything about them that a resumed run needs."""

from __future__ import annotations

import io as memory

import numpy as np

from townlet_core.capture.frames import Frames, Policy, allocate_frames, collect
from townlet_core.errors import InputError
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Towns
from townlet_core.training.records import Counters, describe_rollout
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.stopping import StopRequest

STATE_FILE = "towns.npz"
LONGEST_DEFAULT = 256  # ticks; a whole short episode, so that every rollout sees all of it


class Rollout:
    """Towns that are never restarted but at their episodes' ends, and returns that run on across cycles."""

    def __init__(self, scenario: Scenario, settings: TrainingSettings) -> None:
        self.towns = Towns(scenario, settings.num_towns, settings.seed)
        ticks = settings.rollout_ticks or min(scenario.ticks, LONGEST_DEFAULT)
        self.frames = allocate_frames(self.towns, ticks)
        self.returns = np.zeros(self.towns.state.agents.shape)  # (B, A) so far, of the lives that go on

    def play(self, policy: Policy, stop: StopRequest) -> dict:
        """Fill `frames` with the next ticks and return what the telemetry tells about them.

        Raises InputError if there was nobody to learn from.
        """
        before = Counters(self.towns.state)
        with stop.at_once():  # the first tick may compile for a minute; towns cut in the middle are not kept
            collect(self.towns, policy, self.frames, stop.check)
        if not self.frames.alive.any():
            raise InputError(
                f"{self.towns.scenario.name}: nobody was in town for {len(self.frames.actions)} ticks",
                "play longer at a time with --rollout-ticks, or lower respawn_delay_ticks",
            )
        about = describe_rollout(self.frames, self.towns.feature_names, before, Counters(self.towns.state))
        ended = [total for total in self._count_returns(self.frames) if np.isfinite(total)]
        if ended:
            about["episode_return_mean"] = float(np.mean(ended))
        return about

    def _count_returns(self, frames: Frames) -> list[float]:
        """Add the rewards to the running returns; list those of the lives that ended, and start them at 0."""
        ended: list[float] = []
        for t in range(len(frames.actions)):
            self.returns += np.where(frames.alive[t], frames.rewards[t], 0)
            done = frames.terminations[t] | frames.truncations[t]
            ended += self.returns[done].tolist()
            self.returns[done] = 0
        return ended

    def dump(self) -> bytes:
        """Serialise towns and running returns; equal states give equal bytes."""
        buffer = memory.BytesIO()
        arrays = {name: plain(array) for name, array in self.towns.state._asdict().items()}
        np.savez(buffer, allow_pickle=False, returns=self.returns, **arrays)
        return buffer.getvalue()

    def restore(self, data: bytes, name: str) -> None:
        """Take up the towns where `dump` left them. Raises InputError if they are not of this scenario."""
        try:
            with np.load(memory.BytesIO(data), allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
        except (ValueError, OSError, KeyError, EOFError) as error:
            raise InputError(f"{name}: damaged: {error}") from error
        own = {**self.towns.state._asdict(), "returns": self.returns}
        for key, array in own.items():
            found = arrays.get(key)
            if found is None or found.shape != array.shape or found.dtype != plain(array).dtype:
                raise InputError(
                    f"{name}: {key} does not fit the scenario and settings of this run",
                    "resume with the version and the scenario file that the run began with",
                )
            plain(array)[...] = found


def plain(array: np.ndarray) -> np.ndarray:
    """View a record array as a structured array, which is what NPZ files hold."""
    return array if array.dtype.names is None else array.view(np.dtype((np.void, array.dtype)))
