"""Towns as a vector environment of Stable-Baselines3 (docs/environments.md#stable-baselines3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core.envs.vector import Sight, TownVectorEnv
from townlet_core.errors import InputError, MissingError
from townlet_core.policy.choice import Choice
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Observations, Towns

try:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv
except ModuleNotFoundError as error:
    library = (error.name or "").partition(".")[0]
    raise MissingError(
        f"{library} is not installed, and townlet_core.envs.stable_baselines3 needs it",
        "pip install stable-baselines3",
    ) from error

Rows = int | Iterable[int] | None


class TownVecEnv(VecEnv):
    """All agents of B towns, a row each, for `MultiInputPolicy`.

    Stable-Baselines3 does not take Gymnasium's vector environments; this says the same in its words. An end
    by time carries `TimeLimit.truncated` and every end its `terminal_observation`, from which PPO bootstraps.
    env: the TownVectorEnv inside.
    """

    def __init__(
        self, scenario: Scenario | str | Path = "queue_conflict", num_towns: int = 1, **options: Any
    ) -> None:
        """Build the towns. Options as TownVectorEnv takes them, but for copy, which has to be True."""
        if not options.get("copy", True):
            raise InputError("copy: found False, expected True: a learner keeps what it saw")
        self.env = TownVectorEnv(scenario, num_towns, **options)
        super().__init__(self.env.num_envs, self.env.single_observation_space, self.env.single_action_space)
        self._actions = np.zeros(self.num_envs, np.int64)
        self._mask = np.ones((self.num_envs, 1), bool)

    def reset(self) -> Sight:
        """Begin as `seed` said, else everywhere the next episode."""
        sight, infos = self.env.reset(seed=self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        self._mask = infos["action_mask"].view(bool)
        return sight

    def step_async(self, actions: np.ndarray) -> None:
        """Note what the rows do in the step to come."""
        self._actions = actions

    def step_wait(self) -> tuple[Sight, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Play the step. Rewards are float32; dones are terminations and truncations together."""
        sight, rewards, terminations, truncations, infos = self.env.step(self._actions)
        self._mask = infos["action_mask"].view(bool)
        dones = terminations | truncations
        by_row: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in dones.nonzero()[0]:
            by_row[row] = {
                "terminal_observation": infos["final_obs"][row],
                "TimeLimit.truncated": bool(truncations[row]),
            }
        return sight, rewards.astype(np.float32), dones, by_row

    def close(self) -> None:
        """Close the environment inside."""
        self.env.close()

    def action_masks(self) -> np.ndarray:
        """Return what is possible in the step to come, (N, 9) bool, as MaskablePPO of sb3-contrib asks."""
        return self._mask

    def get_attr(self, attr_name: str, indices: Rows = None) -> list[Any]:
        """Return an attribute of this or of the environment inside, once per row."""
        found = getattr(self, attr_name) if attr_name == "action_masks" else getattr(self.env, attr_name)
        return [found for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Rows = None) -> None:
        """Set an attribute of the environment inside; rows have none of their own."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Rows = None, **method_kwargs: Any
    ) -> list[Any]:
        """Return the masks of the rows for `action_masks`; rows have no other methods."""
        if method_name != "action_masks":
            raise AttributeError(f"rows of a town have no method '{method_name}', only 'action_masks'")
        return [self._mask[row] for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Rows = None) -> list[bool]:
        """Say that no row is wrapped in anything."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return a picture of every town."""
        return self.env.render() or ()


class ModelPolicy:
    """A model of Stable-Baselines3 as a policy of Townlet, so that `evaluate` plays it like any other."""

    def __init__(self, model: BaseAlgorithm) -> None:
        self.model = model

    def act(self, towns: Towns, seen: Observations) -> Choice:
        """Choose for the tick to come, (B, A), all agents at once; what is impossible acts as wait."""
        batch = seen.features.shape[:2]
        rows = {name: array.reshape(-1, *array.shape[2:]) for name, array in seen._asdict().items()}
        actions, _ = self.model.predict({"map": rows["map"], "features": rows["features"]})
        unknown = np.zeros(batch, np.float32)  # evaluate asks neither for log-probabilities nor for values
        return Choice(actions.reshape(batch), unknown, unknown)

    def values(self, seen: Observations) -> np.ndarray:
        """Return zeros, (B, A): nobody asks."""
        return np.zeros(seen.features.shape[:2], np.float32)
