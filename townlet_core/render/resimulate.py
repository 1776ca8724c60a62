"""Simulate a recording again: a town is a function of its scenario, its seed and the actions taken.

Samples hold what each agent saw; the town itself comes from the simulator, which is given the recorded
actions. Rewards and observations on the way are compared with the recorded ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core.errors import InputError, shown
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.render.animation import NOT_RECORDED, WHOLE, Animation, Choices, Part
from townlet_core.render.recorded_actions import RecordedActions
from townlet_core.render.recording import Recording
from townlet_core.render.scene import Scene, scene_of
from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.scenario.load import load_scenario, scenario_sha256, with_placeholder_agents
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import ACTIONS


def scenario_of(recording: Recording, given: Path | None) -> Scenario:
    """Return the scenario that was recorded: the given file, else the capture's own, else the bundled one.

    Raises InputError if there is none, or if it is not the same any more; ScenarioError, MissingError.
    """
    capture = recording.capture or {}
    name, digest = str(capture.get("scenario"))[:80], capture.get("scenario_sha256")
    path = given or recording.scenario or bundled_scenarios().get(name)
    if path is None:
        raise InputError(
            f"{recording.path}: was recorded in the scenario {shown(name)}, which does not come with Townlet",
            "name its file with --scenario FILE",
        )
    scenario = load_scenario(path)
    if not scenario.agents and digest != scenario_sha256(scenario):
        scenario = with_placeholder_agents(scenario)
    if digest != scenario_sha256(scenario):
        raise InputError(
            f"{recording.path}: was recorded in another version of the scenario {shown(name)} "
            f"(sha256 {str(digest)[:12]}…, {path} has {scenario_sha256(scenario)[:12]}…)",
            "name the file it was recorded in with --scenario FILE, or capture it again",
        )
    return scenario


def scenario_to_play(recording: Recording, given: Path | None) -> tuple[Scenario | None, str]:
    """Return the scenario to simulate a recording again in; or None, and why only observations can be shown.

    A town can be simulated again if every agent was recorded, or a script acts for the others. Raises as
    scenario_of.
    """
    if recording.capture is None:
        return None, "its recording is of the older generation, which does not say where it comes from"
    scenario, recorded = scenario_of(recording, given), {sample.agent_id for sample in recording.samples}
    if _script(recording, scenario) or recorded >= {agent.id for agent in scenario.agents}:
        return scenario, ""
    return None, "a network played, and not everybody was recorded"


def play_again(
    recording: Recording,
    scenario: Scenario,
    part: Part = WHOLE,
    after_tick: Callable[[], Any] = lambda: None,
) -> Animation:
    """Simulate a recorded episode again and collect its scenes after every tick of the part.

    Raises SampleError if observations or rewards differ from the recorded ones, InputError for a part that
    was not recorded.
    """
    recorded = RecordedActions(recording, scenario)
    first, last = part.of(0, recorded.ticks)
    towns = _town_of(recording, scenario)
    script = _script(recording, scenario)
    scenes: list[Scene] = [scene_of(towns)] if first == 0 else []
    rewards = np.full((last - first + 1, len(scenario.agents)), np.nan, np.float32)
    events: list[dict[str, Any]] = []
    taken = np.full((last + 1, len(scenario.agents)), NOT_RECORDED, np.int16)
    for tick in range(last):
        was_alive = towns.state.agents["alive"][0].copy()
        actions = recorded.actions[tick].copy()
        seen = towns.observe()
        recorded.check_observations(tick, was_alive, seen.features[0])
        if script is not None:
            actions = np.where(actions == NOT_RECORDED, script.act(towns, seen).actions[0], actions)
        recorded.check_actions(tick, was_alive, actions)
        taken[tick] = np.where(was_alive, actions, NOT_RECORDED)
        towns.step(actions[None])
        recorded.check_rewards(tick, towns.state.agents["reward"][0])
        if tick + 1 >= first:
            scenes.append(scene_of(towns))
        if tick + 1 > first:
            moment = tick + 1 - first
            rewards[moment] = np.where(was_alive, towns.state.agents["reward"][0], np.nan)
            events += [{"moment": moment, **event} for event in towns.new_events()]
        after_tick()
    focus = towns.agent_ids.index(recording.focus) if recording.focus else -1
    choices = _choices(recorded, taken[first:], first, last)
    about = (scenario.name, scenario.description.strip(), _facts(recording), "")
    return Animation(*about, scenes, rewards, events, focus, choices)


def _choices(recorded: RecordedActions, taken: np.ndarray, first: int, last: int) -> Choices:
    """Return what was chosen from tick `first` on; nothing at the moment after `last`."""
    none = np.full((1, taken.shape[1]), np.nan, np.float32)
    columns = (recorded.probabilities, recorded.values)
    probabilities, values = (np.concatenate([column[first:last], none]) for column in columns)
    return Choices(taken, probabilities, values, ACTIONS)


def ticks_of(recording: Recording, scenario: Scenario) -> int:
    """Return the number of recorded ticks of the episode."""
    return RecordedActions(recording, scenario).ticks


def _town_of(recording: Recording, scenario: Scenario) -> Towns:
    """Open the recorded town at the beginning of the recorded episode."""
    capture = recording.capture or {}
    towns = Towns(scenario, 1, capture["seed"], first_town=capture["town"])
    if capture["episode"] > 0:
        towns.state.towns["episode"] = capture["episode"] - 1
        towns.restart()
    return towns


def _script(recording: Recording, scenario: Scenario) -> ScriptedPolicy | None:
    """Return the script that acted in the recording, or None if a network did."""
    behaviour = recording.samples[0].metadata["behaviour"]
    epsilon = (recording.capture or {}).get("epsilon")
    if behaviour == "random":
        return ScriptedPolicy(scenario, 1.0)
    if behaviour != "scripted" or not isinstance(epsilon, int | float | None):
        return None
    return ScriptedPolicy(scenario, epsilon)


def _facts(recording: Recording) -> dict[str, str]:
    capture = recording.capture or {}
    return {"policy": recording.policy, **{name: str(capture[name]) for name in ("seed", "town", "episode")}}
