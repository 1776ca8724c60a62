"""All agents of many towns as one Gymnasium vector environment (docs/environments.md#gymnasium)."""

from __future__ import annotations

import copy as copying
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from townlet_core.envs.arguments import (
    as_autoreset_mode,
    as_map_type,
    as_render_mode,
    as_reset_mask,
    as_scenario,
    as_seed,
    as_whole,
)
from townlet_core.envs.drawing import DRAWN, draw
from townlet_core.envs.order import ResetFirst, check_begun, check_open
from townlet_core.envs.spaces import action_space_of_agent, dict_space, flat, flat_space, reward_range
from townlet_core.envs.states import state_names, state_space, town_states
from townlet_core.errors import InputError, count
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Observations, Towns, as_actions, writeable
from townlet_core.vocab import REWARD_TERMS, WAIT

VectorObs = Any  # {"map": (N, 4, 11, 11), "features": (N, F)}, or (N, F + 484) of both
MOST_TOWNS = 2**31  # also the limit of town numbers


class TownVectorEnv(VectorEnv[VectorObs, np.ndarray, np.ndarray]):
    """B towns with A agents each, as N = B · A rows: row n is agent n % A of town n // A.

    towns: the towns, read-only. agent_ids: (A,) names. reward_terms: the columns of infos["reward_terms"].
    reward_range, feature_names, state_names: facts that the spaces do not hold. state_space: of one town.
    np_random: for wrappers; the towns do not use it.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - typed by the base class, which has it so
        "render_modes": [*DRAWN],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    reward_terms = REWARD_TERMS

    def __init__(
        self,
        scenario: Scenario | str | Path = "queue_conflict",
        num_towns: int = 1,
        render_mode: str | None = None,
        *,
        map_type: str = "float32",
        copy: bool = True,
        first_town: int = 0,
        flat: bool = False,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        """Build the towns of a scenario: a bundled name, the path of a YAML file, or a Scenario.

        copy: False returns the environment's own arrays of observations and masks, which the next step or
        reset overwrites. first_town: number of the first town; each number has its own random stream.
        flat: observations are one vector per row, features before map. autoreset_mode: when a town begins its
        next episode: in the same step, in the next step, or on `reset`.
        Raises InputError, ScenarioError or MissingError for invalid arguments.
        """
        self.scenario = as_scenario(scenario)
        self.render_mode = as_render_mode(render_mode, self.metadata["render_modes"])
        self.map_type = as_map_type(map_type)
        self.copy = copy
        self.flat = flat
        self.autoreset_mode = as_autoreset_mode(autoreset_mode, self.scenario)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.first_town = as_whole("first_town", first_town, 0, MOST_TOWNS)
        self.num_towns = as_whole("num_towns", num_towns, 1, MOST_TOWNS)
        self.towns = Towns(self.scenario, self.num_towns, first_town=self.first_town)
        self.agent_ids = self.towns.agent_ids
        self.feature_names = self.towns.feature_names
        self.reward_range = reward_range(self.scenario)
        self.state_names = state_names(self.scenario)
        self.state_space = state_space(self.scenario)
        self.num_envs = self.towns.state.agents.size
        self.single_observation_space: spaces.Space = (
            flat_space(self.scenario) if flat else dict_space(self.scenario, self.map_type)
        )
        self.single_action_space = action_space_of_agent()
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._buffers = self.towns.empty_observations(self.map_type)
        self._begun = False
        super().reset(seed=self.towns.seed)

    @cached_property
    def observation_space(self) -> spaces.Space:  # type: ignore[override]
        """The space of all rows; made on request, because it is as large as the observations."""
        return batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[VectorObs, dict[str, Any]]:
        """Begin episode 0 of this seed in all towns, or the next episode of each.

        options["reset_mask"]: (N,) bool, the rows that ended; see `_restart_rows`. The first seed is the
        scenario's. Raises InputError for a seed that is not one whole number from 0, for an invalid mask, and
        after close.
        """
        check_open(self.closed)
        if options is not None and "reset_mask" in options:
            mask = as_reset_mask(options["reset_mask"], self.num_envs)
            if not mask.all():
                return self._restart_rows(mask, seed)
        if seed is not None:
            super().reset(seed=as_seed(seed))
            self.towns = Towns(self.scenario, self.num_towns, as_seed(seed), self.first_town)
        elif self._begun:
            self.towns.restart()
        self._begun = True
        self.towns.observe(self._buffers)
        return self._join_rows(), self._infos()

    def _restart_rows(self, mask: np.ndarray, seed: int | None) -> tuple[VectorObs, dict[str, Any]]:
        """Begin the next episode of finished towns with a row in the mask, and of towns with all rows in it.

        An agent that fainted cannot restart alone in a running town: its row shows the current observation.
        """
        if not self._begun:
            raise ResetFirst("the episode has not begun; call reset() without options['reset_mask'] first")
        if seed is not None:
            raise InputError(
                "seed: found one beside options['reset_mask'], expected none: all towns share it"
            )
        named = mask.reshape(self.num_towns, -1)
        towns, alive = self.towns.state.towns, self.towns.state.agents["alive"]
        again = (named.any(axis=1) & towns["over"]) | named.all(axis=1)
        if (refused := (named & alive)[~again]).any():
            raise InputError(
                f"options['reset_mask']: found {count(int(refused.sum()), 'row')} of a town that goes"
                " on, expected rows that ended, or all rows of a town"
            )
        self.towns.restart(again)
        self.towns.observe(self._buffers)
        return self._join_rows(), self._infos()

    def step(
        self, actions: np.ndarray
    ) -> tuple[VectorObs, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one tick of every town. actions: (N,) integers, ignored for rows out of town.

        A finished town restarts by `autoreset_mode`: in the same step, with the final observations of its
        rows in infos["final_obs"]; in the next step, instead of a tick; or on `reset`.
        Returns observations, rewards (N,) float64, terminations and truncations (N,) bool, and infos.
        Raises InputError for actions of another type or shape, and before reset or after close.
        """
        check_begun(self._begun, self.closed, "step")
        self._play(as_actions(actions, (self.num_envs,)).reshape(self.num_towns, -1))
        agents, over = self.towns.state.agents, self.towns.state.towns["over"]
        rewards, terminations, truncations = (
            agents[field].flatten() for field in ("reward", "terminated", "truncated")
        )
        terms = agents["terms"].reshape(self.num_envs, -1).copy()
        self.towns.observe(self._buffers)
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            infos = self._final_infos(terminations, truncations)
            if over.any():
                self.towns.restart(over.copy())
                self.towns.observe(self._buffers)
        infos |= {"reward_terms": terms, "_reward_terms": self._all_rows(), **self._infos()}
        return self._join_rows(), rewards, terminations, truncations, infos

    def _play(self, actions: np.ndarray) -> None:
        """Play one tick of unfinished towns; finished ones begin their next episode instead."""
        if not self.towns.over_count:
            self.towns.step(actions)
            return
        over = self.towns.state.towns["over"].copy()
        if self.autoreset_mode is AutoresetMode.DISABLED:
            raise ResetFirst(
                f"the episode is over in {int(over.sum())} of {count(self.num_towns, 'town')};"
                " call reset(options={'reset_mask': terminations | truncations}) before step()"
            )
        self.towns.restart(over)
        if not over.all():
            self.towns.step(actions, ~over)

    def render(self) -> tuple[Any, ...] | None:
        """Draw the town of every row, (N,) pictures or texts by `render_mode`; None without it.

        A town that was just restarted shows the start of its next episode.
        """
        drawn = self.draw_towns()
        return None if drawn is None else tuple(town for town in drawn for _ in self.agent_ids)

    def draw_towns(self) -> tuple[Any, ...] | None:
        """Draw every town once, (B,) pictures or texts by `render_mode`; None without it."""
        check_begun(self._begun, self.closed, "render")
        if self.render_mode is None:
            return None
        return tuple(draw(self.towns, town, self.render_mode) for town in range(self.num_towns))

    def state(self) -> np.ndarray:
        """Return every town as one vector, (B, S) float32, named by `state_names`."""
        check_begun(self._begun, self.closed, "state")
        return town_states(self.towns)

    def __copy__(self) -> TownVectorEnv:
        """Return a deep copy: two environments must not share towns."""
        return copying.deepcopy(self)

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Restore a pickle; copy the buffers if they were unpickled read-only."""
        self.__dict__.update(kept)
        self._buffers = Observations(*map(writeable, self._buffers))

    def _all_rows(self) -> np.ndarray:
        return np.ones(self.num_envs, bool)

    def _rows(self) -> Observations:
        """View the buffers by row."""
        return Observations(*(array.reshape(self.num_envs, *array.shape[2:]) for array in self._buffers))

    def _join_rows(self) -> VectorObs:
        rows = self._rows()
        if self.flat:
            return flat(rows.map, rows.features)
        observations = {"map": rows.map, "features": rows.features}
        return {key: array.copy() for key, array in observations.items()} if self.copy else observations

    def _infos(self) -> dict[str, Any]:
        """Return action masks and whether agents are in town; keys with `_` mark the rows with a value."""
        mask = self._rows().action_mask.view(np.int8)
        return {
            "action_mask": mask.copy() if self.copy else mask,
            "_action_mask": self._all_rows(),
            "alive": self.towns.state.agents["alive"].flatten(),
            "_alive": self._all_rows(),
        }

    def _final_infos(self, terminations: np.ndarray, truncations: np.ndarray) -> dict[str, Any]:
        """Return the final observations of rows that ended: zeros after a faint. Empty if none ended."""
        ended = terminations | truncations
        if not ended.any():
            return {}
        rows = ended.nonzero()[0]
        fainted = terminations[rows]
        seen = self._rows()
        maps, features = seen.map[rows], seen.features[rows]
        masks = np.zeros_like(seen.action_mask, np.int8)
        masks[rows] = seen.action_mask[rows]
        # Without a delay, the buffers already show the newcomers.
        maps[fainted] = 0
        features[fainted] = 0
        masks[terminations] = np.arange(masks.shape[1]) == WAIT
        final_observations = np.full(self.num_envs, None, object)
        vectors = flat(maps, features) if self.flat else None
        for k, row in enumerate(rows):  # only in ticks with an end
            observations = {"map": maps[k], "features": features[k]}
            final_observations[row] = observations if vectors is None else vectors[k]
        return {
            "final_obs": final_observations,
            "_final_obs": ended,
            "final_info": {"action_mask": masks, "_action_mask": ended},
            "_final_info": ended,
        }
