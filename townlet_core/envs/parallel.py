"""One town as a PettingZoo ParallelEnv (docs/environments.md#pettingzoo)."""

from __future__ import annotations

import copy
import operator
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

from townlet_core.envs.arguments import as_map_type, as_render_mode, as_scenario, as_seed
from townlet_core.envs.drawing import DRAWN, draw
from townlet_core.envs.newcomer_names import Residents, possible_names
from townlet_core.envs.order import ResetFirst, check_begun, check_open
from townlet_core.envs.spaces import choice_space, flat, flat_space, mask_space, reward_range, sight_space
from townlet_core.envs.states import state_names, state_space, town_states
from townlet_core.errors import InputError, did_you_mean
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Observations, Towns
from townlet_core.vocab import ACTION_COUNT, REWARD_TERMS, WAIT

Observation = Any  # {"observation": {"map", "features"}, "action_mask"}, or one vector of both halves
Info = dict[str, Any]  # {"reward_terms"}; "action_mask" if not in the observation; "events" if asked for


class Told(NamedTuple):
    """What one agent is told after a tick."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    info: Info


class TownParallelEnv(ParallelEnv[str, Observation, int]):
    """One town, everybody in it an agent.

    agents: who is in town, by name; empty exactly when the episode is over, and before the first reset.
    possible_agents: these, and all newcomers there can be: `anna#2` takes the place of `anna`.
    towns: the town itself, to read. reward_range, feature_names, state_names, reward_terms: what the spaces
    cannot say. np_random: for wrappers that draw; the town draws nothing from it.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "townlet",
        "render_modes": ["human", *DRAWN],
        "render_fps": 4,
        "is_parallelizable": True,
    }
    reward_terms = REWARD_TERMS

    def __init__(
        self,
        scenario: Scenario | str | Path = "queue_conflict",
        render_mode: str | None = None,
        *,
        newcomers: bool = True,
        map_type: str = "float32",
        flat: bool = False,
        events: bool = False,
    ) -> None:
        """Build the town of a scenario: a bundled name, the path of a YAML file, or a Scenario.

        newcomers: False leaves the places of those who faint empty, whatever the scenario says.
        flat: observations are one vector each, and the action mask is in the infos.
        events: infos tell what happened, as lists of dictionaries.
        Raises InputError, ScenarioError or MissingError for what is not usable.
        """
        self.scenario = as_scenario(scenario)
        if not newcomers:
            self.scenario = _without_newcomers(self.scenario)
        self.render_mode = as_render_mode(render_mode, self.metadata["render_modes"])
        self.map_type = as_map_type(map_type)
        self.flat = flat
        self.events = events
        self.possible_agents = possible_names(self.scenario)
        self.reward_range = reward_range(self.scenario)
        self.towns = Towns(self.scenario)
        self.np_random, _ = seeding.np_random(self.towns.seed)
        self.feature_names = self.towns.feature_names
        self.state_names = state_names(self.scenario)
        self.state_space = state_space(self.scenario)
        self.agents: list[str] = []
        self.observation_spaces: dict[str, spaces.Space] = {}  # filled as they are asked for
        self.action_spaces: dict[str, spaces.Space] = {}
        self._names = frozenset(self.possible_agents)
        self._residents = Residents(self.towns.agent_ids)
        self._in_town: dict[int, str] = {}  # place → who acts there in the tick to come
        self._begun = False
        self._closed = False

    def observation_space(self, agent: str) -> spaces.Space:
        """Return the agent's space, always the same object. Raises InputError for an unknown name."""
        self._check_name(agent)
        if agent not in self.observation_spaces:
            self.observation_spaces[agent] = (
                flat_space(self.scenario)
                if self.flat
                else spaces.Dict(
                    {"observation": sight_space(self.scenario, self.map_type), "action_mask": mask_space()}
                )
            )
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """Return the agent's space, always the same object. Raises InputError for an unknown name."""
        self._check_name(agent)
        return self.action_spaces.setdefault(agent, choice_space())

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, Info]]:
        """Begin episode 0 of this seed, or the next episode; the first seed is the scenario's.

        options: not used. Raises InputError for a seed that is not a whole number from 0, and after close.
        """
        check_open(self._closed)
        if seed is not None:
            self.towns = Towns(self.scenario, seed=as_seed(seed))
            self.np_random, _ = seeding.np_random(self.towns.seed)
        elif self._begun:
            self.towns.restart()
        self._begun = True
        self._residents = Residents(self.towns.agent_ids)
        told = self._welcome({}, self._observe(), [])
        return {name: t.observation for name, t in told.items()}, {name: t.info for name, t in told.items()}

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """Play one tick; everybody in `agents` acts. Actions for those who are gone are ignored.

        The results name all who acted, and the newcomers, who act from the next tick on. While nobody is in
        town but somebody will come, time passes until then.
        After the end, no actions have no results.
        Raises InputError before reset, for actions after the end, and for one that is missing or no whole
        number.
        """
        check_begun(self._begun, self._closed, "step")
        if not self.agents and actions == {}:  # as environments of PettingZoo answer who goes on
            return {}, {}, {}, {}, {}
        acted = self._in_town
        self.towns.step(self._as_row(actions))
        after = self.towns.state.agents[0].copy()
        events = self._residents.rename(self.towns.new_events()) + self._pass_empty_ticks()
        seen = self._observe()
        told = {name: self._tell(seen, place, after[place], name, events) for place, name in acted.items()}
        told |= self._welcome(acted, seen, events)
        return (
            {name: t.observation for name, t in told.items()},
            {name: t.reward for name, t in told.items()},
            {name: t.terminated for name, t in told.items()},
            {name: t.truncated for name, t in told.items()},
            {name: t.info for name, t in told.items()},
        )

    def render(self) -> np.ndarray | str | None:
        """Draw the town as `render_mode` says: return text or a picture, or print the text for `human`.

        Raises InputError where the environment was made without a render mode, and before reset.
        """
        check_begun(self._begun, self._closed, "render")
        if self.render_mode is None:
            modes = ", ".join(self.metadata["render_modes"])
            raise InputError("render_mode: found None; make the environment with one of: " + modes)
        if self.render_mode != "human":
            return draw(self.towns, 0, self.render_mode)
        print(draw(self.towns, 0, "ansi"), flush=True)
        return None

    def state(self) -> np.ndarray:
        """Return the whole town as one vector of `state_space`, whose numbers `state_names` names."""
        check_begun(self._begun, self._closed, "state")
        return town_states(self.towns)[0]

    def close(self) -> None:
        """End the use of this environment: nothing can be called after."""
        self._closed = True

    def __copy__(self) -> TownParallelEnv:
        """Copy all there is: two environments that shared a town would play each other's."""
        return copy.deepcopy(self)

    def _as_row(self, actions: Mapping[str, int]) -> np.ndarray:
        """Put actions into the order of places, (1, A)."""
        if not self._in_town:
            raise ResetFirst("the episode is over; call reset() before step()")
        if not isinstance(actions, Mapping):
            found = reprlib.repr(actions)
            raise InputError(f"actions: found {found}, expected a dict with one action per agent's name")
        for name in actions:
            self._check_name(name)
        row = np.full((1, len(self.towns.agent_ids)), WAIT)
        for place, name in self._in_town.items():
            if name not in actions:
                raise InputError(f"actions: none for '{name}', who is in town")
            row[0, place] = _as_action(actions[name], name)
        return row

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or name not in self._names:
            raise InputError(f"no agent is called {name!r}{did_you_mean(str(name), self.possible_agents)}")

    def _pass_empty_ticks(self) -> list[dict[str, Any]]:
        """Play on while nobody is in town and somebody will come; return the events."""
        events = []
        state = self.towns.state
        nobody_acts = np.full(state.agents.shape, WAIT)
        while not state.towns["over"][0] and not state.agents["alive"].any():
            self.towns.step(nobody_acts)
            events += self._residents.rename(self.towns.new_events())
        return events

    def _observe(self) -> Observations:
        """See the town anew, in arrays that nobody writes again."""
        return self.towns.observe(self.towns.empty_observations(self.map_type))

    def _welcome(
        self, acted: dict[int, str], seen: Observations, events: list[dict[str, Any]]
    ) -> dict[str, Told]:
        """Note who acts next, and tell those who have not acted yet what they see."""
        places = [] if self.towns.state.towns["over"][0] else self.towns.state.agents["alive"][0].nonzero()[0]
        self._in_town = {int(i): self._residents.name(self.towns.agent_ids[i]) for i in places}
        self.agents = list(self._in_town.values())
        fresh = {place: name for place, name in self._in_town.items() if name != acted.get(place)}
        return {name: self._tell(seen, place, None, name, events) for place, name in fresh.items()}

    def _tell(
        self,
        seen: Observations,
        place: int,
        after: np.void | None,
        name: str,
        events: list[dict[str, Any]],
    ) -> Told:
        """Gather what one agent is told. after: its record after the tick; None if it has not acted yet."""
        is_gone = after is not None and bool(after["terminated"])
        arrays = [array[0, place] for array in seen]
        if is_gone:  # a newcomer may stand there already
            arrays = [np.zeros_like(array) for array in arrays]
            arrays[2][WAIT] = True
        tiles, features, mask = arrays[0], arrays[1], arrays[2].view(np.int8)
        info: Info = {"reward_terms": np.zeros(len(REWARD_TERMS)) if after is None else after["terms"]}
        if self.flat:
            info["action_mask"] = mask  # in one place: TorchRL fails where both have it
        if self.events:
            info["events"] = [event for event in events if _concerns(event, name)]
        return Told(
            flat(tiles, features)
            if self.flat
            else {"observation": {"map": tiles, "features": features}, "action_mask": mask},
            0.0 if after is None else float(after["reward"]),
            is_gone,
            after is not None and bool(after["truncated"]),
            info,
        )


def parallel_env(
    scenario: Scenario | str | Path = "queue_conflict", render_mode: str | None = None, **options: Any
) -> TownParallelEnv:
    """Make the environment, as modules of PettingZoo do. Options as TownParallelEnv takes them."""
    return TownParallelEnv(scenario, render_mode, **options)


def _without_newcomers(scenario: Scenario) -> Scenario:
    needs = scenario.rules.needs.model_copy(update={"respawn_delay_ticks": None})
    return scenario.model_copy(update={"rules": scenario.rules.model_copy(update={"needs": needs})})


def _as_action(action: Any, name: str) -> int:
    try:
        number = operator.index(action)
    except TypeError:
        number = None
    is_action = number is not None and not isinstance(action, bool) and -(2**63) <= number < 2**63
    if number is None or not is_action:
        found = reprlib.repr(action)
        raise InputError(
            f"actions[{name!r}]: found {found}, expected a whole number from 0 to {ACTION_COUNT - 1}"
        )
    return number


def _concerns(event: dict[str, Any], name: str) -> bool:
    """Whether an agent took part in an event; what has no actor, such as an outage, concerns everybody."""
    return "actor" not in event or name in (event["actor"], event.get("rival"))
