"""A batch of towns: restart, step, observe."""

from __future__ import annotations

import copy
import math
import reprlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from townlet_core.errors import InputError, ShapeError
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.simulation import tick
from townlet_core.simulation.events import describe_events
from townlet_core.simulation.numba_support import (
    call,
    config,
    is_compiled,
    is_forked,
    numba_threads,
    wrapping,
)
from townlet_core.simulation.observation import allocate_workspace
from townlet_core.simulation.params import TownParams, compile_params
from townlet_core.simulation.state import TownState, allocate
from townlet_core.vocab import ACTION_COUNT, MAP_SHAPE

MAP_TILES = math.prod(MAP_SHAPE)
SEEDS = 2**64  # seeds are below
MANY_TOWNS = 64  # from here on, starting threads pays
NO_THREADS = nullcontext(False)  # what numba_threads yields if it grants none


def is_compiled_for(num_towns: int) -> bool:
    """Whether the kernel for this batch size is compiled; else the first tick compiles it."""
    return is_compiled("play_few" if num_towns < MANY_TOWNS or is_forked() else "play_many")


def as_actions(actions: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Convert actions of this shape to int64, which kernels read.

    Raises ShapeError for another shape, InputError for values that are not 64-bit integers.
    """
    try:
        array = np.asarray(actions)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # ragged, or not readable by numpy
        array = np.empty(0, object)
    if array.dtype == np.int64 and array.shape == shape and array.flags.carray:
        return array
    if array.dtype.kind in "bfiu" and array.shape != shape:
        raise ShapeError(f"actions: found shape {array.shape}, expected {shape}")
    is_too_large = array.dtype == np.uint64 and array.max(initial=0) > np.iinfo(np.int64).max
    if array.dtype.kind not in "iu" or is_too_large:
        raise InputError(
            f"actions: found {reprlib.repr(actions)}, expected whole numbers from 0 to {ACTION_COUNT - 1},"
            f" of shape {shape}"
        )
    return np.require(array, np.int64, ["C", "A", "W"])


class Observations(NamedTuple):
    """The observations of all agents."""

    map: np.ndarray  # (B, A, 4, 11, 11) float32 of 0 and 1
    features: np.ndarray  # (B, A, F) float32
    action_mask: np.ndarray  # (B, A, 9) bool


class Towns:
    """B towns of one scenario. Town b has the number `first_town + b`, which keys its random draws.

    state: TownState, read-only. Between ticks it holds the last tick's rewards, terms, dones and events.
    over_count: number of towns whose episode has ended and that wait for a restart.
    """

    def __init__(
        self,
        scenario: Scenario | str | Path,
        num_towns: int = 1,
        seed: int | None = None,
        first_town: int = 0,
    ) -> None:
        if num_towns < 1:
            raise InputError(f"{num_towns} towns: expected at least 1")
        scenario = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        if not 0 <= self.seed < SEEDS:
            raise InputError(f"seed: {self.seed}, expected 0 to {SEEDS - 1}")
        self.agent_ids = [agent.id for agent in scenario.agents]
        self.object_ids = [thing.id for thing in scenario.objects]
        self.feature_names = scenario.feature_names
        self.params = compile_params(scenario)
        perturbations = len(scenario.outages) + len(scenario.price_spikes) + len(scenario.meetings)
        self.state: TownState = allocate(num_towns, len(self.agent_ids), len(self.object_ids), perturbations)
        self.state.towns["town"] = np.arange(first_town, first_town + num_towns)
        self.state.towns["episode"] = -1
        self._shape = self.state.agents.shape
        self._make_work_space()
        self.restart()

    def _make_work_space(self) -> None:
        """Allocate the arrays of _WORK_SPACE, which hold nothing between calls."""
        num_towns = self._shape[0]
        self._workspace = allocate_workspace(num_towns, len(self.agent_ids), len(self.object_ids))
        threads = min(num_towns, config.NUMBA_NUM_THREADS)
        self._boards = np.repeat(self.params.floor[None], threads, axis=0)  # no agents between ticks
        self._observations = self._written = self.empty_observations()

    def restart(self, chosen: np.ndarray | None = None) -> None:
        """Begin the next episode of the chosen towns, (B,) bool; of all by default."""
        if chosen is None:
            chosen = np.ones(len(self.state.towns), bool)
        chosen = writeable(chosen)  # a column of records, such as `over`, would be compiled for once more
        with wrapping():
            tick.restart_towns(self.state, self.params, self._boards, chosen, np.uint64(self.seed))
        self.over_count = int(self.state.towns["over"].sum())

    def step(self, actions: np.ndarray, chosen: np.ndarray | None = None) -> None:
        """Play one tick of the chosen towns, (B,) bool; of all by default.

        actions: (B, A) integers; impossible ones act as wait.
        Raises ShapeError for another shape, InputError for values that are not integers, and if a town's
        episode has ended and it was not restarted.
        """
        actions = as_actions(actions, self._shape)
        if self.over_count:
            raise InputError(
                "an episode is over; call restart(towns.state.towns['over']) before the next step"
            )
        if chosen is None:
            self.over_count = self._play(self.state, actions)
            return
        some = TownState(*(array[chosen] for array in self.state))
        self.over_count = self._play(some, actions[chosen])
        for array, played in zip(self.state, some, strict=True):
            array[chosen] = played

    def _play(self, state: TownState, actions: np.ndarray) -> int:
        """Play one tick of these towns and return how many episodes have ended."""
        with wrapping(), numba_threads() if len(actions) >= MANY_TOWNS else NO_THREADS as granted:
            if not granted:
                return call(tick.play_few, state, self.params, self._boards, actions, 1)
            shares = min(numba.get_num_threads(), len(self._boards))
            return call(tick.play_many, state, self.params, self._boards, actions, shares)

    def observe(self, into: Observations | None = None) -> Observations:
        """Write every agent's observation into the caller's buffers, or the batch's own, and return them.

        Raises ShapeError for buffers unlike those of `empty_observations`.
        """
        into = self._observations if into is None else into
        if into is not self._written:
            self._check_buffers(into)
            self._written = into
        maps = into.map.reshape(*self._shape, MAP_TILES)
        seen = (maps, into.features, into.action_mask)
        with numba_threads() if self._shape[0] >= MANY_TOWNS else NO_THREADS as granted:
            observe = tick.observe_many if granted else tick.observe_few
            call(observe, self.state, self.params, self._workspace, *seen, kind=maps.dtype)
        return into

    def empty_observations(self, map_type: type = np.float32) -> Observations:
        """Allocate observation buffers; maps as float32 or uint8."""
        batch = self.state.agents.shape
        return Observations(
            np.zeros((*batch, *MAP_SHAPE), map_type),
            np.zeros((*batch, len(self.feature_names)), np.float32),
            np.zeros((*batch, ACTION_COUNT), bool),
        )

    def _check_buffers(self, into: Observations) -> None:
        """Refuse buffers that compiled code would write outside of."""
        for name, given, own in zip(Observations._fields, into, self._observations, strict=True):
            types = (own.dtype, np.dtype(np.uint8)) if name == "map" else (own.dtype,)
            if given.shape != own.shape or given.dtype not in types or not given.flags.carray:
                expected = f"{' or '.join(map(str, types))} {own.shape}, contiguous, aligned, writeable"
                raise ShapeError(
                    f"observations: {name}: found {given.dtype} {given.shape}, expected {expected}"
                )

    def new_events(self) -> list[dict[str, Any]]:
        """Describe the events of the last tick, with names, towns in order."""
        return describe_events(self.state, self.agent_ids, self.object_ids)

    def __copy__(self) -> Towns:
        """Copy deeply: batches that shared arrays would change each other's towns."""
        return copy.deepcopy(self)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the work space."""
        return {name: value for name, value in self.__dict__.items() if name not in _WORK_SPACE}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        """Restore the state into writable arrays; some stores return read-only ones."""
        self.__dict__.update(saved)
        self.state = TownState(*map(writeable, self.state))
        self.params = TownParams(*map(writeable, self.params))
        self._make_work_space()


_WORK_SPACE = ("_workspace", "_boards", "_observations", "_written")


def writeable(array: np.ndarray) -> np.ndarray:
    """Return the array if kernels can write it, else a writable copy."""
    return np.require(array, requirements=["C", "A", "W"])
