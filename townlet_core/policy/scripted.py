"""The scripted policy: ε-greedy around a schedule or around needs.

With probability ε an agent takes a uniformly random legal action. So log-probabilities are exact, and every
legal action has support. With ε = 1 this is the random policy.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from townlet_core.errors import InputError
from townlet_core.policy.navigation import approach, is_legal, step_anywhere, walk
from townlet_core.policy.needs_driven import follow_needs
from townlet_core.policy.output import PolicyOutput
from townlet_core.rng import DRAW_EXPLORE, DRAW_EXPLORE_ACTION, draw_unit
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import VERBS, Scenario, ScheduleEntry
from townlet_core.simulation.numba_support import call, kernel, rule, wrapping
from townlet_core.simulation.params import TownParams, open_floor
from townlet_core.simulation.pathfinding import distances_to
from townlet_core.simulation.state import FREE, HOLDING, NOBODY, USING, TownState, record
from townlet_core.simulation.towns import Observations, Towns
from townlet_core.vocab import ACTION_COUNT, CHAT, EAST, NORTH, RELEASE, SOUTH, START, WAIT, WEST

MOVE_ENTRY, REQUEST_ENTRY, START_ENTRY, RELEASE_ENTRY, CHAT_ENTRY, WAIT_ENTRY = range(len(VERBS))

ENTRY = record(
    [
        ("verb", np.int8),  # index into scenario.model.VERBS
        ("object", np.int16),  # target of move, request and start, or -1
        ("agent", np.int16),  # target of chat, or -1
        ("field", np.int16),  # distance field of a move to a tile, or -1
        ("wait_ticks", np.int32),
        ("max_ticks", np.int32),  # -1 = until achieved
    ]
)
MEMORY = record(
    [
        ("entry", np.int32),  # position in the agent's schedule
        ("entry_ticks", np.int32),  # decisions made in this entry
        ("begun", np.int32),  # the start entry that was achieved last
    ]
)


class Script(NamedTuple):
    """The schedules of a scenario, agent after agent."""

    entries: np.ndarray  # (N,) ENTRY
    first: np.ndarray  # (A,) int32 where an agent's entries begin
    counts: np.ndarray  # (A,) int32 number of entries; 0 = follows its needs
    fields: np.ndarray  # (M, H, W) int16 distances to the target tiles of move entries


class ScriptedPolicy:
    """Decide for every agent of a batch of towns; stores each agent's position in its schedule.

    epsilon: probability of a random legal action, by default the scenario's. behaviour, value_source,
    deterministic: what a capture writes into the metadata of its samples.
    """

    value_source = "none"
    deterministic = False

    def __init__(
        self, scenario: Scenario | str | Path, epsilon: float | None = None, behaviour: str = "scripted"
    ) -> None:
        scenario = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
        epsilon = scenario.rules.epsilon if epsilon is None else epsilon
        if not 0 <= epsilon <= 1:
            raise InputError(f"epsilon: {epsilon}, expected a probability, 0 to 1")
        self.behaviour = behaviour
        self.epsilon = float(epsilon)
        self.script = _compile_script(scenario)
        self.memory = np.zeros((0, 0), MEMORY)

    def act(self, towns: Towns, seen: Observations) -> PolicyOutput:
        """Choose actions for the next tick. The script reads the town's state and ignores `seen`."""
        batch = towns.state.agents.shape
        if self.memory.shape != batch:
            self.memory = np.zeros(batch, MEMORY)
        actions = np.zeros(batch, np.int64)
        log_probs = np.zeros(batch, np.float32)
        with wrapping():
            state, chosen = (towns.state, towns.params), (actions, log_probs)
            call(decide, *state, self.script, self.memory, self.epsilon, *chosen)
        return PolicyOutput(actions, log_probs, self.values(seen))

    def values(self, seen: Observations) -> np.ndarray:
        """Return zeros, (B, A): the script has no critic."""
        return np.zeros(seen.features.shape[:2], np.float32)


def _compile_script(scenario: Scenario) -> Script:
    objects = {spec.id: o for o, spec in enumerate(scenario.objects)}
    agents = {spec.id: i for i, spec in enumerate(scenario.agents)}
    tiles = [e.move for a in scenario.agents for e in a.schedule if isinstance(e.move, tuple)]
    schedules = [agent.schedule for agent in scenario.agents]
    entries = np.zeros(sum(map(len, schedules)), ENTRY)
    flat = [entry for schedule in schedules for entry in schedule]
    for row, entry in zip(entries, flat, strict=True):
        verb = next(name for name in VERBS if getattr(entry, name) is not None)
        row.verb = VERBS.index(verb)
        row.object = objects.get(_object_named(entry), NOBODY)
        row.agent = agents.get(entry.chat or "", NOBODY)
        row.field = tiles.index(entry.move) if isinstance(entry.move, tuple) else NOBODY
        row.wait_ticks = entry.wait or 0
        row.max_ticks = NOBODY if entry.max_ticks is None else entry.max_ticks
    count = np.array([len(schedule) for schedule in schedules], np.int32)
    return Script(
        entries, (np.cumsum(count) - count).astype(np.int32), count, distances_to(tiles, open_floor(scenario))
    )


def _object_named(entry: ScheduleEntry) -> str:
    return entry.request or entry.start or (entry.move if isinstance(entry.move, str) else "")


@kernel()
def decide(
    state: TownState,
    params: TownParams,
    script: Script,
    memory: np.ndarray,
    epsilon: float,
    actions: np.ndarray,
    log_probs: np.ndarray,
) -> None:
    """Write every agent's action and its log-probability. memory, actions, log_probs: (B, A)."""
    for b in range(state.agents.shape[0]):
        for i in range(state.agents.shape[1]):
            agent = state.agents[b, i]
            if not agent.alive:
                continue
            if agent.newcomer:
                memory[b, i].entry = memory[b, i].entry_ticks = memory[b, i].begun = 0
            if script.counts[i] > 0:
                intended = _follow_schedule(state, params, script, memory, b, i)
            else:
                intended = follow_needs(state, params, b, i)
            if not is_legal(agent.legal, intended):
                intended = WAIT
            actions[b, i], log_probs[b, i] = _explore(state, b, i, intended, epsilon)
            if actions[b, i] == RELEASE and intended != RELEASE and agent.role == USING:
                memory[b, i].entry = memory[b, i].begun  # ended by exploration: start again
                memory[b, i].entry_ticks = 0


@rule
def _explore(state: TownState, b: int, i: int, intended: int, epsilon: float) -> tuple[int, float]:
    """Explore with probability ε: take a random legal action. Return the action and its log-probability."""
    town = state.towns[b]
    legal = state.agents[b, i].legal
    legal_count = 0
    for action in range(ACTION_COUNT):
        legal_count += is_legal(legal, action)
    chosen = intended
    if draw_unit(town.key, town.tick, i, DRAW_EXPLORE) < epsilon:
        skip = int(draw_unit(town.key, town.tick, i, DRAW_EXPLORE_ACTION) * legal_count)
        for action in range(ACTION_COUNT):
            if is_legal(legal, action):
                if skip == 0:
                    chosen = action
                skip -= 1
    probability = epsilon / legal_count
    if chosen == intended:
        probability += 1.0 - epsilon
    return chosen, np.log(probability)


@rule
def _follow_schedule(
    state: TownState, params: TownParams, script: Script, memory: np.ndarray, b: int, i: int
) -> int:
    """Skip entries that are achieved or have taken too long, and act on the next one."""
    mine = memory[b, i]
    for _ in range(script.counts[i]):
        entry = script.entries[script.first[i] + mine.entry]
        too_long = entry.max_ticks >= 0 and mine.entry_ticks >= entry.max_ticks
        if not too_long and not _is_achieved(state, params, script, mine, b, i):
            break
        if entry.verb == START_ENTRY and not too_long:
            mine.begun = mine.entry
        mine.entry = (mine.entry + 1) % script.counts[i]
        mine.entry_ticks = 0
    mine.entry_ticks += 1
    return _act_on_entry(state, params, script, mine, b, i)


@rule
def _is_achieved(
    state: TownState, params: TownParams, script: Script, mine: np.record, b: int, i: int
) -> bool:
    entry = script.entries[script.first[i] + mine.entry]
    agent = state.agents[b, i]
    worked = mine.entry_ticks > 0 and agent.success
    if entry.verb == MOVE_ENTRY:
        if entry.object != NOBODY:
            return params.distance[entry.object, agent.y, agent.x] == 1
        return script.fields[entry.field, agent.y, agent.x] == 0
    if entry.verb == REQUEST_ENTRY:
        return agent.object == entry.object
    if entry.verb == START_ENTRY:
        return (agent.role == USING and agent.object == entry.object) or (worked and agent.action == START)
    if entry.verb == RELEASE_ENTRY:
        return agent.role == FREE
    if entry.verb == CHAT_ENTRY:
        return worked and agent.action == CHAT
    return mine.entry_ticks >= entry.wait_ticks


@rule
def _act_on_entry(
    state: TownState, params: TownParams, script: Script, mine: np.record, b: int, i: int
) -> int:
    entry = script.entries[script.first[i] + mine.entry]
    agent = state.agents[b, i]
    if entry.verb == RELEASE_ENTRY:
        return RELEASE
    if entry.verb == WAIT_ENTRY or agent.role == USING:
        return WAIT
    if entry.verb == CHAT_ENTRY:
        other = state.agents[b, entry.agent]
        if max(abs(other.x - agent.x), abs(other.y - agent.y)) <= 1:
            return CHAT
        return _walk_up_to(state, b, i, other.x, other.y)
    if entry.verb == MOVE_ENTRY and entry.object == NOBODY:
        return walk(state, script.fields[entry.field], b, i)
    if entry.verb != MOVE_ENTRY:
        if agent.role == FREE:
            return approach(state, params, b, i, entry.object)
        if agent.object != entry.object:
            return RELEASE  # one object at a time
    if params.distance[entry.object, agent.y, agent.x] != 1:
        return walk(state, params.distance[entry.object], b, i)
    return START if agent.role == HOLDING else WAIT


@rule
def _walk_up_to(state: TownState, b: int, i: int, x: int, y: int) -> int:
    """Step towards another agent along the longer axis, or anywhere if that is blocked."""
    agent = state.agents[b, i]
    dx, dy = x - agent.x, y - agent.y
    along_x = EAST if dx > 0 else WEST
    along_y = SOUTH if dy > 0 else NORTH
    closer = along_x if abs(dx) >= abs(dy) else along_y
    return closer if is_legal(agent.legal, closer) else step_anywhere(state, b, i)
