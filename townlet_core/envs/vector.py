"""All agents of many towns as one Gymnasium vector environment (docs/environments.md#gymnasium)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from townlet_core.envs.drawing import DRAWN, draw
from townlet_core.envs.inputs import as_map_type, as_render_mode, as_scenario, as_seed
from townlet_core.envs.spaces import choice_space, reward_range, sight_space
from townlet_core.errors import InputError, ShapeError
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import REWARD_TERMS, WAIT

Sight = dict[str, np.ndarray]  # {"map": (N, 4, 11, 11), "features": (N, F)}


class TownVectorEnv(VectorEnv[Sight, np.ndarray, np.ndarray]):
    """B towns with A agents each, as N = B · A rows: row n is agent n % A of town n // A.

    towns: the towns, to read. agent_ids: (A,) names. reward_terms: the columns of infos["reward_terms"].
    reward_range, feature_names: what the spaces cannot say.
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
    ) -> None:
        """Build the towns of a scenario: a bundled name, the path of a YAML file, or a Scenario.

        copy: False returns the environment's own arrays of observations and masks, which the next step and
        the next reset overwrite. first_town: number of the first town; each number has its own chance.
        Raises InputError, ScenarioError or MissingError for what is not usable.
        """
        self.scenario = as_scenario(scenario)
        self.render_mode = as_render_mode(render_mode, self.metadata["render_modes"])
        self.copy = copy
        self.first_town = first_town
        self.towns = Towns(self.scenario, num_towns, first_town=first_town)
        self.agent_ids = self.towns.agent_ids
        self.feature_names = self.towns.feature_names
        self.reward_range = reward_range(self.scenario)
        self.num_envs = self.towns.state.agents.size
        self.single_observation_space = sight_space(self.scenario, as_map_type(map_type))
        self.single_action_space = choice_space()
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._buffers = self.towns.empty_observations(as_map_type(map_type))
        self._map, self._features, self._mask = (
            array.reshape(self.num_envs, *array.shape[2:]) for array in self._buffers
        )
        self._everybody = np.ones(self.num_envs, bool)
        self._everybody.setflags(write=False)
        self._begun = False

    @cached_property
    def observation_space(self) -> spaces.Space:  # type: ignore[override]
        """Describe all rows at once; made when asked for, because it is as large as the observations."""
        return batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Sight, dict[str, Any]]:
        """Begin episode 0 of this seed in all towns, or everywhere the next episode.

        The first seed is the scenario's. Raises InputError for a seed that is not one whole number from 0,
        and for options["reset_mask"]: rows begin again by themselves.
        """
        if options is not None and "reset_mask" in options:
            raise InputError(
                "options['reset_mask']: found one, expected none: ended rows begin by themselves"
            )
        if seed is not None:
            super().reset(seed=as_seed(seed))
            self.towns = Towns(self.scenario, len(self._buffers.map), as_seed(seed), self.first_town)
        elif self._begun:
            self.towns.restart()
        self._begun = True
        self.towns.observe(self._buffers)
        return self._sight(), self._infos()

    def step(self, actions: np.ndarray) -> tuple[Sight, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one tick everywhere. actions: (N,) integers; those of rows out of town are not looked at.

        A town whose episode is over is restarted in the same step, so that its rows show the next episode;
        the last sight of rows that ended is in infos["final_obs"].
        Returns sight, rewards (N,) float64, terminations and truncations (N,) bool, and infos.
        Raises ShapeError for another shape, InputError for actions that are no integers.
        """
        self.towns.step(self._as_batch(actions))
        agents, over = self.towns.state.agents, self.towns.state.towns["over"]
        rewards, terminations, truncations = (
            agents[field].flatten() for field in ("reward", "terminated", "truncated")
        )
        terms = agents["terms"].reshape(self.num_envs, -1).copy()
        self.towns.observe(self._buffers)
        infos = self._final_infos(terminations, truncations)
        if over.any():
            self.towns.restart(over.copy())
            self.towns.observe(self._buffers)
        infos |= {"reward_terms": terms, "_reward_terms": self._everybody, **self._infos()}
        return self._sight(), rewards, terminations, truncations, infos

    def render(self) -> tuple[Any, ...] | None:
        """Draw every town, (B,) pictures or texts as `render_mode` says; None where it was not given.

        A town that was just restarted is drawn as its next episode begins.
        """
        if self.render_mode is None:
            return None
        return tuple(draw(self.towns, town, self.render_mode) for town in range(len(self._buffers.map)))

    def _as_batch(self, actions: np.ndarray) -> np.ndarray:
        found = np.asarray(actions)
        if found.shape != (self.num_envs,):
            raise ShapeError(f"actions have shape {found.shape}, expected ({self.num_envs},): one per row")
        if found.dtype.kind not in "iu":
            raise InputError(f"actions are {found.dtype}, expected whole numbers")
        return found.reshape(self.towns.state.agents.shape)

    def _sight(self) -> Sight:
        sight = {"map": self._map, "features": self._features}
        return {key: array.copy() for key, array in sight.items()} if self.copy else sight

    def _infos(self) -> dict[str, Any]:
        """Say what is possible next, and who is in town to do it. A key with `_` says which rows have one."""
        mask = self._mask.view(np.int8)
        return {
            "action_mask": mask.copy() if self.copy else mask,
            "_action_mask": self._everybody,
            "alive": self.towns.state.agents["alive"].flatten(),
            "_alive": self._everybody,
        }

    def _final_infos(self, terminations: np.ndarray, truncations: np.ndarray) -> dict[str, Any]:
        """Keep the last sight of the rows that ended: zeros after a faint. Empty where none ended."""
        ended = terminations | truncations
        if not ended.any():
            return {}
        rows = ended.nonzero()[0]
        fainted = terminations[rows]
        maps, features = self._map[rows], self._features[rows]
        masks = np.zeros_like(self._mask, np.int8)
        masks[rows] = self._mask[rows]
        # Where nothing delays newcomers, the buffers show them already.
        maps[fainted] = 0
        features[fainted] = 0
        masks[terminations] = np.arange(masks.shape[1]) == WAIT
        last_sights = np.full(self.num_envs, None, object)
        for k, row in enumerate(rows):  # only in the ticks in which lives end
            last_sights[row] = {"map": maps[k], "features": features[k]}
        return {
            "final_obs": last_sights,
            "_final_obs": ended,
            "final_info": {"action_mask": masks, "_action_mask": ended},
            "_final_info": ended,
        }
