"""A batch of towns: the one object through which everybody else plays, sees and restarts them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np

from townlet_core.errors import InputError, ShapeError
from townlet_core.scenario.model import Scenario
from townlet_core.simulation import tick
from townlet_core.simulation.compiled import call, config, is_compiled, wrapping
from townlet_core.simulation.constants import found
from townlet_core.simulation.events import describe_events
from townlet_core.simulation.observation import empty_sight
from townlet_core.simulation.state import TownState, allocate
from townlet_core.vocab import ACTION_COUNT, MAP_SHAPE

MAP_TILES = math.prod(MAP_SHAPE)
MANY_TOWNS = 64  # from here on, threads are worth starting


def is_compiled_for(num_towns: int) -> bool:
    """Whether a batch of this size can be played at once; else its first tick waits for the compiler."""
    return is_compiled("play_few" if num_towns < MANY_TOWNS else "play_many")


class Observations(NamedTuple):
    """What all agents see, agent by agent."""

    map: np.ndarray  # (B, A, 4, 11, 11) float32 of 0 and 1
    features: np.ndarray  # (B, A, F) float32
    action_mask: np.ndarray  # (B, A, 9) bool


class Towns:
    """Play B towns of one scenario. Town b is number `first_town + b`: its chance depends on that alone.

    state: TownState, to read. Between ticks it holds the last tick's rewards, terms, dones and events.
    over_count: how many towns are over and wait for a restart.
    """

    def __init__(
        self, scenario: Scenario, num_towns: int = 1, seed: int | None = None, first_town: int = 0
    ) -> None:
        if num_towns < 1:
            raise InputError(f"{num_towns} towns: expected at least 1")
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.agent_ids = [agent.id for agent in scenario.agents]
        self.object_ids = [thing.id for thing in scenario.objects]
        self.feature_names = scenario.feature_names
        self.rules = found(scenario)
        perturbations = len(scenario.outages) + len(scenario.price_spikes) + len(scenario.meetings)
        self.state: TownState = allocate(num_towns, len(self.agent_ids), len(self.object_ids), perturbations)
        self.state.towns["town"] = np.arange(first_town, first_town + num_towns)
        self.state.towns["episode"] = -1
        self._sight = empty_sight(num_towns, len(self.agent_ids), len(self.object_ids))
        threads = min(num_towns, config.NUMBA_NUM_THREADS)
        self._boards = np.repeat(self.rules.floor[None], threads, axis=0)  # with nobody on them between ticks
        self._shape = self.state.agents.shape
        self._observations = self._written = self.empty_observations()
        self.restart()

    def restart(self, chosen: np.ndarray | None = None) -> None:
        """Begin the next episode of the chosen towns, (B,) bool; of all when not said."""
        if chosen is None:
            chosen = np.ones(len(self.state.towns), bool)
        with wrapping():
            tick.restart_towns(self.state, self.rules, self._boards, chosen, np.uint64(self.seed))
        self.over_count = int(self.state.towns["over"].sum())

    def step(self, actions: np.ndarray) -> None:
        """Play one tick. actions: (B, A) integers; impossible ones act as wait.

        Raises ShapeError for another shape, InputError if a town is over and was not restarted.
        """
        # Always of one type, so that one kernel does.
        actions = np.require(actions, np.int64, ["C", "A", "W"])
        if actions.shape != self._shape:
            raise ShapeError(f"actions have shape {actions.shape}, expected {self._shape}")
        if self.over_count:
            raise InputError(
                "an episode is over; call restart(towns.state.towns['over']) before the next step"
            )
        play, shares = tick.play_few, 1
        if len(actions) >= MANY_TOWNS:
            play, shares = tick.play_many, min(numba.get_num_threads(), len(self._boards))
        with wrapping():
            self.over_count = call(play, self.state, self.rules, self._boards, actions, shares)

    def observe(self, into: Observations | None = None) -> Observations:
        """Write what everybody sees into the caller's buffers, or the batch's own, and return them.

        Raises ShapeError for buffers that are not like those of `empty_observations`.
        """
        into = self._observations if into is None else into
        if into is not self._written:
            self._check_buffers(into)
            self._written = into
        observe = tick.observe_few if self._shape[0] < MANY_TOWNS else tick.observe_many
        maps = into.map.reshape(*self._shape, MAP_TILES)
        seen = (maps, into.features, into.action_mask)
        call(observe, self.state, self.rules, self._sight, *seen, kind=maps.dtype)
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
        """Refuse what the compiled code would write beside."""
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
