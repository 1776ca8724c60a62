"""Towns as a vector environment of Stable-Baselines3 (docs/environments.md#stable-baselines3)."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from townlet_core.envs.libraries import check_version
from townlet_core.envs.order import ResetFirst, check_begun
from townlet_core.envs.spaces import flat
from townlet_core.envs.vector import TownVectorEnv, VectorObs
from townlet_core.errors import InputError, MissingLibraryError
from townlet_core.policy.output import PolicyOutput
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Observations, Towns

try:
    import stable_baselines3

    check_version(stable_baselines3, "townlet_core.envs.stable_baselines3")
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv
except ModuleNotFoundError as error:
    library = (error.name or "").partition(".")[0]
    raise MissingLibraryError(
        f"{library} is not installed, and townlet_core.envs.stable_baselines3 needs it",
        "pip install stable-baselines3",
    ) from error

Rows = int | Iterable[int] | None


_OWN = ("action_masks", "state")  # of TownVecEnv; all other attributes are those of the environment inside
_OF_ROWS = ("action_masks", "render")


class TownVecEnv(VecEnv):
    """All agents of B towns, one row each, for `MultiInputPolicy`.

    Stable-Baselines3 does not accept Gymnasium's vector environments. The info of a done has its
    `terminal_observation` and `TimeLimit.truncated`, from which PPO bootstraps.
    env: the TownVectorEnv inside.
    """

    def __init__(
        self, scenario: Scenario | str | Path = "queue_conflict", num_towns: int = 1, **options: Any
    ) -> None:
        """Build the towns, with the options of TownVectorEnv except copy and autoreset_mode."""
        if not options.get("copy", True):
            raise InputError("copy: found False, expected True: a learner keeps what it saw")
        self.env = TownVectorEnv(scenario, num_towns, **options)
        if self.env.autoreset_mode is not AutoresetMode.SAME_STEP:
            found = self.env.autoreset_mode.name
            raise InputError(
                f"autoreset_mode: found {found}, expected SAME_STEP, as Stable-Baselines3 has it"
            )
        super().__init__(self.env.num_envs, self.env.single_observation_space, self.env.single_action_space)
        self.metadata["render_fps"] = self.env.metadata["render_fps"]
        self._actions: Any = None
        self._is_waiting = False  # for step_wait
        self._mask: np.ndarray | None = None

    def reset(self) -> VectorObs:
        """Begin episode 0 of the seed set by `seed`, or the next episode of every town."""
        observations, infos = self.env.reset(seed=self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        self._is_waiting = False
        self._mask = infos["action_mask"].view(bool)
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for step_wait."""
        self._actions, self._is_waiting = actions, True

    def step_wait(self) -> tuple[VectorObs, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Play the step. Rewards are float32; dones are terminations and truncations together."""
        check_begun(self._mask is not None, self.env.closed, "step")
        if not self._is_waiting:
            raise ResetFirst("no actions are waiting; call step_async() before step_wait()")
        self._is_waiting = False
        observations, rewards, terminations, truncations, infos = self.env.step(self._actions)
        self._mask = infos["action_mask"].view(bool)
        dones = terminations | truncations
        by_row: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in dones.nonzero()[0]:
            by_row[row] = {
                "terminal_observation": infos["final_obs"][row],
                "TimeLimit.truncated": bool(truncations[row]),
            }
        return observations, rewards.astype(np.float32), dones, by_row

    def close(self) -> None:
        """Close the environment inside."""
        self.env.close()

    def action_masks(self) -> np.ndarray:
        """Return the action masks of the next step, (N, 9) bool, for MaskablePPO of sb3-contrib."""
        check_begun(self._mask is not None, self.env.closed, "action_masks")
        assert self._mask is not None
        return self._mask

    def state(self) -> np.ndarray:
        """Return every town as one vector, (B, S) float32; `get_attr("state_names")` names the numbers."""
        return self.env.state()

    def get_attr(self, attr_name: str, indices: Rows = None) -> list[Any]:
        """Return an attribute of this environment or of `env`, once per row."""
        found = getattr(self if attr_name in _OWN else self.env, attr_name)
        return [found for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Rows = None) -> None:
        """Set an attribute of `env`; rows have none of their own."""
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Rows = None, **method_kwargs: Any
    ) -> list[Any]:
        """Return `action_masks` or `render` of each row; rows have no other methods."""
        if method_name not in _OF_ROWS:
            raise AttributeError(f"rows of a town have no method '{method_name}', only {_OF_ROWS}")
        of_rows = self.action_masks() if method_name == "action_masks" else self.env.render()
        return [None if of_rows is None else of_rows[row] for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Rows = None) -> list[bool]:
        """Return False for every row."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return a picture of every town."""
        return self.env.draw_towns() or ()

    def render(self, mode: str | None = None) -> Any:
        """Draw the towns: as pictures side by side, or as text where `render_mode` is `ansi`."""
        if self.render_mode == "ansi" and mode in (None, "ansi"):
            return "\n".join(self.env.draw_towns() or ())
        check_begun(self._mask is not None, self.env.closed, "render")
        return super().render(mode)

    def __copy__(self) -> TownVecEnv:
        """Return a deep copy: two environments must not share towns."""
        return copy.deepcopy(self)


class ModelPolicy:
    """A model of Stable-Baselines3 as a Townlet policy, for `evaluate`."""

    def __init__(self, model: BaseAlgorithm) -> None:
        self.model = model
        self._is_flat = isinstance(model.observation_space, spaces.Box)
        self._takes_masks = "action_masks" in inspect.signature(model.predict).parameters

    def act(self, towns: Towns, seen: Observations) -> PolicyOutput:
        """Return the actions of the next tick, (B, A); impossible ones act as wait."""
        batch = seen.features.shape[:2]
        rows = Observations(*(array.reshape(-1, *array.shape[2:]) for array in seen))
        observations = {"map": rows.map, "features": rows.features}
        masks: dict[str, Any] = {"action_masks": rows.action_mask} if self._takes_masks else {}
        actions, _ = self.model.predict(
            flat(rows.map, rows.features) if self._is_flat else observations, **masks
        )
        unknown = np.zeros(batch, np.float32)  # evaluate uses neither log-probabilities nor values
        return PolicyOutput(actions.reshape(batch), unknown, unknown)

    def values(self, seen: Observations) -> np.ndarray:
        """Return zeros, (B, A); not used by `evaluate`."""
        return np.zeros(seen.features.shape[:2], np.float32)
