"""Live towns in which the learning policy acts, and their state for a resumed run."""

from __future__ import annotations

import io as memory
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from townlet_core.capture.rollout import Frames, Policy, allocate_frames, collect
from townlet_core.errors import InputError, SampleError, count
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.npz import read_known_arrays
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.restoring import AGENT_0_1, agents_from_0_1, find_misfit
from townlet_core.simulation.state import TownState
from townlet_core.simulation.towns import Towns
from townlet_core.training.epoch_record import Counters, RolloutData, describe_rollout
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest

STATE_FILE = "towns.npz"
READ_LIMITS = ReadLimits(max_array_bytes=1 << 40)  # bounded by what the towns take, array by array
FITTING = "resume with the version, the scenario and the settings that the run began with"
LONGEST_DEFAULT = 256  # ticks; a whole short episode, so that every rollout sees all of it


class Rollout:
    """Towns that restart only at the ends of episodes, and returns that continue across cycles."""

    def __init__(self, scenario: Scenario, settings: TrainingSettings) -> None:
        self.towns = Towns(scenario, settings.num_towns, settings.seed)
        ticks = settings.rollout_ticks or min(scenario.ticks, LONGEST_DEFAULT)
        self.frames = allocate_frames(self.towns, ticks)
        self.returns = np.zeros(self.towns.state.agents.shape)  # (B, A) so far, of running episodes

    def play(
        self,
        policy: Policy,
        stop_request: StopRequest,
        moved: Callable[[float], Any] = lambda fraction: None,
    ) -> RolloutData:
        """Fill `frames` with the next ticks and sum them up for the telemetry.

        moved: told after each tick which fraction of them is done.
        Raises InputError if there was nobody to learn from.
        """
        before, ticks = Counters(self.towns.state), itertools.count(1)

        def after_tick() -> None:
            stop_request.check()
            moved(next(ticks) / len(self.frames.actions))

        with (
            stop_request.at_once()
        ):  # the first tick may compile for a minute; interrupted towns are not saved
            collect(self.towns, policy, self.frames, after_tick)
        if not self.frames.alive.any():
            raise InputError(
                f"{self.towns.scenario.name}: nobody was in town for "
                f"{count(len(self.frames.actions), 'tick')}",
                "play longer at a time with --rollout-ticks, or lower respawn_delay_ticks",
            )
        data = describe_rollout(self.frames, self.towns.feature_names, before, Counters(self.towns.state))
        ended = [total for total in self._count_returns(self.frames) if np.isfinite(total)]
        return data._replace(episode_return_mean=float(np.mean(ended))) if ended else data

    def _count_returns(self, frames: Frames) -> list[float]:
        """Add rewards to the running returns; return those of episodes that ended, and reset them."""
        ended: list[float] = []
        for t in range(len(frames.actions)):
            self.returns += np.where(frames.alive[t], frames.rewards[t], 0)
            done = frames.terminations[t] | frames.truncations[t]
            ended += self.returns[done].tolist()
            self.returns[done] = 0
        return ended

    def count_steps(self, cycles: int) -> tuple[int, int]:
        """Count environment steps and town ticks of the first `cycles` from the state of the towns."""
        ticks, towns, _ = self.frames.actions.shape
        return int(self.towns.state.towns["actions"].sum()), cycles * ticks * towns

    def dump(self) -> bytes:
        """Serialise towns and running returns; equal states give equal bytes."""
        buffer = memory.BytesIO()
        arrays = {name: plain(array) for name, array in self.towns.state._asdict().items()}
        np.savez(buffer, allow_pickle=False, returns=self.returns, **arrays)
        return buffer.getvalue()

    def restore(self, data: bytes, name: str) -> None:
        """Restore the towns from `dump`. Raises InputError if they are not of this run."""
        own = {"returns": self.returns, **self.towns.state._asdict()}
        known = {key: plain(array) for key, array in own.items()}
        try:
            arrays = _read_arrays(data, known, name)
        except SampleError as error:
            raise InputError(str(error), FITTING) from error
        saved = TownState(*(arrays[key] for key in TownState._fields))
        if misfit := find_misfit(saved, self.towns):
            raise InputError(f"{name}: {misfit.field} is {misfit.found}, expected {misfit.expected}", FITTING)
        if not np.isfinite(arrays["returns"]).all():
            raise InputError(f"{name}: returns holds numbers that are not finite", FITTING)
        for key, array in known.items():
            array[...] = arrays[key]
        self.towns.over_count = int(self.towns.state.towns["over"].sum())


def _read_arrays(data: bytes, known: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Read arrays like those of `known`; agents may have the layout of version 0.1.0."""
    try:
        return read_known_arrays(data, known, name, READ_LIMITS)
    except SampleError as misfit:
        agents = plain(np.zeros(known["agents"].shape, AGENT_0_1))
        try:
            arrays = read_known_arrays(data, known | {"agents": agents}, name, READ_LIMITS)
        except SampleError:
            raise misfit from None
        return arrays | {"agents": plain(agents_from_0_1(arrays["agents"]))}


def plain(array: np.ndarray) -> np.ndarray:
    """View a record array as a structured array, the type in NPZ files."""
    return array if array.dtype.names is None else array.view(np.dtype((np.void, array.dtype)))
