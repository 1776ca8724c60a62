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
from townlet_core.envs.spaces import (
    action_mask_space,
    action_space_of_agent,
    dict_space,
    flat,
    flat_space,
    reward_range,
)
from townlet_core.envs.states import state_names, state_space, town_states
from townlet_core.errors import InputError, did_you_mean
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Observations, Towns
from townlet_core.vocab import ACTION_COUNT, REWARD_TERMS, WAIT

Observation = Any  # {"observation": {"map", "features"}, "action_mask"}, or one vector of both halves
Info = dict[str, Any]  # {"reward_terms"}; "action_mask" if not in the observation; "events" if asked for


class AgentStep(NamedTuple):
    """The results of a tick for one agent."""

    observation: Observation
    reward: float
    terminated: bool
    truncated: bool
    info: Info


class TownParallelEnv(ParallelEnv[str, Observation, int]):
    """One town; each inhabitant is an agent.

    agents: names of the agents in town; empty before the first reset and when the episode is over.
    possible_agents: these and all possible newcomers: `anna#2` takes the place of `anna`.
    towns: the town itself, read-only. reward_range, feature_names, state_names, reward_terms: facts that the
    spaces do not hold. np_random: for wrappers; the town does not use it.
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

        newcomers: False leaves the places of agents that faint empty, whatever the scenario says.
        flat: observations are vectors, and the action mask is in the infos.
        events: infos hold the events, as lists of dictionaries.
        Raises InputError, ScenarioError or MissingError for invalid arguments.
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
        self.observation_spaces: dict[str, spaces.Space] = {}  # filled on request
        self.action_spaces: dict[str, spaces.Space] = {}
        self._names = frozenset(self.possible_agents)
        self._residents = Residents(self.towns.agent_ids)
        self._in_town: dict[int, str] = {}  # place → name of the agent that acts next
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
                    {
                        "observation": dict_space(self.scenario, self.map_type),
                        "action_mask": action_mask_space(),
                    }
                )
            )
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """Return the agent's space, always the same object. Raises InputError for an unknown name."""
        self._check_name(agent)
        return self.action_spaces.setdefault(agent, action_space_of_agent())

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
        steps = self._add_arrivals({}, self._new_observations(), [])
        return {name: t.observation for name, t in steps.items()}, {name: t.info for name, t in steps.items()}

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """Play one tick with an action for each of `agents`. Actions of agents that are done are ignored.

        The results hold all agents that acted, and newcomers, which act from the next tick on. While the town
        is empty and a newcomer is due, time passes until then. After the end, an empty dict returns empty
        results. Raises InputError before reset, for actions after the end, and for missing or invalid ones.
        """
        check_begun(self._begun, self._closed, "step")
        if not self.agents and actions == {}:  # as PettingZoo's environments do
            return {}, {}, {}, {}, {}
        acted = self._in_town
        self.towns.step(self._as_row(actions))
        after = self.towns.state.agents[0].copy()
        events = self._residents.rename(self.towns.new_events()) + self._pass_empty_ticks()
        seen = self._new_observations()
        steps = {
            name: self._agent_step(seen, place, after[place], name, events) for place, name in acted.items()
        }
        steps |= self._add_arrivals(acted, seen, events)
        return (
            {name: t.observation for name, t in steps.items()},
            {name: t.reward for name, t in steps.items()},
            {name: t.terminated for name, t in steps.items()},
            {name: t.truncated for name, t in steps.items()},
            {name: t.info for name, t in steps.items()},
        )

    def render(self) -> np.ndarray | str | None:
        """Draw the town as `render_mode` says: return text or a picture, or print the text for `human`.

        Raises InputError without a render mode, and before reset.
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
        """Return the whole town as one vector of `state_space`, named by `state_names`."""
        check_begun(self._begun, self._closed, "state")
        return town_states(self.towns)[0]

    def close(self) -> None:
        """Close the environment; no call is allowed afterwards."""
        self._closed = True

    def __copy__(self) -> TownParallelEnv:
        """Return a deep copy: two environments must not share a town."""
        return copy.deepcopy(self)

    def _as_row(self, actions: Mapping[str, int]) -> np.ndarray:
        """Arrange actions by place, (1, A)."""
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
        """Play while the town is empty and a newcomer is due; return the events."""
        events = []
        state = self.towns.state
        nobody_acts = np.full(state.agents.shape, WAIT)
        while not state.towns["over"][0] and not state.agents["alive"].any():
            self.towns.step(nobody_acts)
            events += self._residents.rename(self.towns.new_events())
        return events

    def _new_observations(self) -> Observations:
        """Return observations in new arrays, which are never overwritten."""
        return self.towns.observe(self.towns.empty_observations(self.map_type))

    def _add_arrivals(
        self, acted: dict[int, str], seen: Observations, events: list[dict[str, Any]]
    ) -> dict[str, AgentStep]:
        """Note which agents act next; return the first step of those that have not acted yet."""
        places = [] if self.towns.state.towns["over"][0] else self.towns.state.agents["alive"][0].nonzero()[0]
        self._in_town = {int(i): self._residents.name(self.towns.agent_ids[i]) for i in places}
        self.agents = list(self._in_town.values())
        fresh = {place: name for place, name in self._in_town.items() if name != acted.get(place)}
        return {name: self._agent_step(seen, place, None, name, events) for place, name in fresh.items()}

    def _agent_step(
        self,
        seen: Observations,
        place: int,
        after: np.void | None,
        name: str,
        events: list[dict[str, Any]],
    ) -> AgentStep:
        """Collect the results of one agent. after: its record after the tick; None before its first."""
        is_gone = after is not None and bool(after["terminated"])
        arrays = [array[0, place] for array in seen]
        if is_gone:  # its place may have a newcomer already
            arrays = [np.zeros_like(array) for array in arrays]
            arrays[2][WAIT] = True
        tiles, features, mask = arrays[0], arrays[1], arrays[2].view(np.int8)
        info: Info = {"reward_terms": np.zeros(len(REWARD_TERMS)) if after is None else after["terms"]}
        if self.flat:
            info["action_mask"] = mask  # not in both: TorchRL fails then
        if self.events:
            info["events"] = [event for event in events if _concerns(event, name)]
        return AgentStep(
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
    """Make the environment, as PettingZoo modules do, with the options of TownParallelEnv."""
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
    """Whether an agent took part in an event; events without an actor, such as outages, concern all."""
    return "actor" not in event or name in (event["actor"], event.get("rival"))
