"""Live towns in which the learning policy acts, and their state for a resumed run."""

from __future__ import annotations

import io as memory
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from townlet_core.capture.rollout import Frames, Policy, allocate_frames, collect
from townlet_core.errors import InputError, SampleError, count
from townlet_core.policy.learned import LearnedPolicy
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.options import Precision
from townlet_core.ppo.shards import ONE, Shards
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.npz import read_known_arrays
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.restoring import AGENT_0_1, agents_from_0_1, find_misfit
from townlet_core.simulation.state import TownState
from townlet_core.simulation.towns import Towns
from townlet_core.training.epoch_record import Counters, Played, RolloutData, describe_rollout, played
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest

STATE_FILE = "towns.npz"
READ_LIMITS = ReadLimits(max_array_bytes=1 << 40)  # bounded by what the towns take, array by array
FITTING = "resume with the version, the scenario and the settings that the run began with"
LONGEST_DEFAULT = 256  # ticks; a whole short episode, so that every rollout sees all of it


class Rollout:
    """Towns that restart only at the ends of episodes, and returns that continue across cycles.

    The towns and frames are those of the own shards; `returns` are of all towns. A town's number does not
    depend on the process that plays it. `steps` are the environment steps of the last rollout, of all towns.
    """

    def __init__(self, scenario: Scenario, settings: TrainingSettings, shards: Shards = ONE) -> None:
        self.shards = shards
        self.num_towns = settings.num_towns
        self.steps = 0
        bounds = shards.bounds(settings.num_towns)
        first, end = bounds[shards.own.start], bounds[shards.own.stop]
        self.blocks = [slice(bounds[k] - first, bounds[k + 1] - first) for k in shards.own]  # of own towns
        self.own = slice(first, end)  # of all towns
        self.towns = Towns(scenario, end - first, settings.seed, first)
        ticks = settings.rollout_ticks or min(scenario.ticks, LONGEST_DEFAULT)
        self.frames = allocate_frames(self.towns, ticks)
        self.returns = np.zeros((settings.num_towns, len(scenario.agents)))  # so far, of running episodes

    def policy(self, network: ActorCritic, precision: Precision) -> LearnedPolicy:
        """Return the policy of a network, which passes each shard's towns through it apart."""
        blocks = [block for block in self.blocks if block.stop > block.start]
        return LearnedPolicy(network, precision, shards=self.shards, towns=blocks)

    def parts(self) -> list[Frames]:
        """Return the frames of each own shard."""
        return [Frames(*(column[:, block] for column in self.frames)) for block in self.blocks]

    def play(
        self,
        policy: Policy,
        stop_request: StopRequest,
        moved: Callable[[float], Any] = lambda fraction: None,
    ) -> RolloutData:
        """Fill `frames` with the next ticks and sum them up, with all processes, for the telemetry.

        moved: told after each tick which fraction of them is done.
        Raises InputError if there was nobody to learn from.
        """
        before, ticks = Counters(self.towns.state, self.shards), itertools.count(1)

        def after_tick() -> None:
            stop_request.check()
            moved(next(ticks) / len(self.frames.actions))

        with (
            stop_request.at_once()
        ):  # the first tick may compile for a minute; interrupted towns are not saved
            collect(self.towns, policy, self.frames, after_tick)
        seen = played(self.frames, self.towns.feature_names, self.shards)
        if not seen.alive.any():
            raise InputError(
                f"{self.towns.scenario.name}: nobody was in town for "
                f"{count(len(self.frames.actions), 'tick')}",
                "play longer at a time with --rollout-ticks, or lower respawn_delay_ticks",
            )
        data = describe_rollout(seen, before, Counters(self.towns.state, self.shards))
        self.steps = int(seen.alive.sum())
        ended = [total for total in self._count_returns(seen) if np.isfinite(total)]
        return data._replace(episode_return_mean=float(np.mean(ended))) if ended else data

    def _count_returns(self, seen: Played) -> list[float]:
        """Add rewards to the running returns; return those of episodes that ended, and reset them."""
        ended: list[float] = []
        for rewards, done, alive in zip(seen.rewards, seen.ended, seen.alive, strict=True):
            self.returns += np.where(alive, rewards, 0)
            ended += self.returns[done].tolist()
            self.returns[done] = 0
        return ended

    def count_steps(self, cycles: int) -> tuple[int, int]:
        """Count environment steps and town ticks of the first `cycles` from the state of the towns."""
        actions = Counters(self.towns.state, self.shards).actions
        return actions, cycles * len(self.frames.actions) * self.num_towns

    def dump(self) -> bytes:
        """Serialise all towns and running returns; equal states give equal bytes, on any processes."""
        buffer = memory.BytesIO()
        arrays = {name: plain(self.shards.join(array)) for name, array in self.towns.state._asdict().items()}
        np.savez(buffer, allow_pickle=False, returns=self.returns, **arrays)
        return buffer.getvalue()

    def restore(self, data: bytes, name: str) -> None:
        """Restore the towns from `dump`. Raises InputError if they are not of this run."""
        whole = self.towns
        if len(whole.state.towns) < self.num_towns:  # the others are played by other processes
            whole = Towns(whole.scenario, self.num_towns, whole.seed)
        own = {"returns": self.returns, **whole.state._asdict()}
        known = {key: plain(array) for key, array in own.items()}
        try:
            arrays = _read_arrays(data, known, name)
        except SampleError as error:
            raise InputError(str(error), FITTING) from error
        saved = TownState(*(arrays[key] for key in TownState._fields))
        if misfit := find_misfit(saved, whole):
            raise InputError(f"{name}: {misfit.field} is {misfit.found}, expected {misfit.expected}", FITTING)
        if not np.isfinite(arrays["returns"]).all():
            raise InputError(f"{name}: returns holds numbers that are not finite", FITTING)
        self.returns[...] = arrays["returns"]
        for key, array in self.towns.state._asdict().items():
            plain(array)[...] = arrays[key][self.own]
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
