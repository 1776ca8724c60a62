"""Frames: observations, actions, rewards, values and truncation bootstraps, per agent and tick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from townlet_core.errors import InputError, count, shown
from townlet_core.memory import require_memory
from townlet_core.policy.output import PolicyOutput
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Observations, Towns
from townlet_core.vocab import REWARD_TERMS

SCRIPTS = ("scripted", "random")  # policies that need no network


class Policy(Protocol):
    """A policy: scripted, learned, or scripted with values of a critic."""

    def act(self, towns: Towns, seen: Observations) -> PolicyOutput:
        """Return actions, log-probabilities and values for the next tick."""
        ...

    def values(self, seen: Observations) -> np.ndarray:
        """Return the critic's value of each observation, (B, A) float32."""
        ...


class RecordedPolicy(Policy, Protocol):
    """A policy whose log-probabilities are exact, so that its data can be captured and learned from."""

    deterministic: bool

    @property
    def behaviour(self) -> str:
        """Return `scripted`, `random`, or the sha256 of the weights that act."""
        ...

    @property
    def value_source(self) -> str:
        """Return the sha256 of the weights that estimate values, `fresh`, or `none`."""
        ...

    @property
    def epsilon(self) -> float | None:
        """Return the probability of a random legal action, of a script."""
        ...


def scripted_policy(name: str, scenario: Scenario, epsilon: float | None = None) -> ScriptedPolicy:
    """Make the policy called `scripted` or `random`. Raises InputError for any other name."""
    if name not in SCRIPTS:
        raise InputError(
            f"policy {shown(name)}: expected {' or '.join(SCRIPTS)}", "load a checkpoint with load_policy"
        )
    return ScriptedPolicy(scenario, 1.0 if name == "random" else epsilon, name)


class Frames(NamedTuple):
    """T ticks of B towns with A agents: observation, action on it, reward and end."""

    map: np.ndarray  # (T, B, A, C, H, W) uint8
    features: np.ndarray  # (T, B, A, F) float32
    action_mask: np.ndarray  # (T, B, A, 9) bool
    actions: np.ndarray  # (T, B, A) int64
    log_probs: np.ndarray  # (T, B, A) float32, under the policy that acted
    values: np.ndarray  # (T + 1, B, A) float32, the critic's; the last row bootstraps
    rewards: np.ndarray  # (T, B, A) float32
    reward_terms: np.ndarray  # (T, B, A, R) float32
    terminations: np.ndarray  # (T, B, A) bool, fainted
    truncations: np.ndarray  # (T, B, A) bool, time limit
    truncation_values: np.ndarray  # (T, B, A) float32, value of the final observation where truncated, else 0
    alive: np.ndarray  # (T, B, A) bool, in town to act; other rows hold no data
    conflict_events: np.ndarray  # (T, B, A) float32, half of each conflict the agent was part of
    conflict_intensity: np.ndarray  # (T, B, A) float32
    episodes: np.ndarray  # (T, B) int64


def allocate_frames(towns: Towns, ticks: int) -> Frames:
    """Allocate the arrays for `ticks` ticks of these towns, to be filled repeatedly by `collect`."""
    batch = (ticks, *towns.state.agents.shape)
    seen = towns.empty_observations(np.uint8)

    def floats(*more: int) -> np.ndarray:
        return np.zeros((*batch, *more), np.float32)

    frames = Frames(
        map=np.zeros((*batch, *seen.map.shape[2:]), np.uint8),
        features=floats(seen.features.shape[2]),
        action_mask=np.zeros((*batch, seen.action_mask.shape[2]), bool),
        actions=np.zeros(batch, np.int64),
        log_probs=floats(),
        values=np.zeros((ticks + 1, *batch[1:]), np.float32),
        rewards=floats(),
        reward_terms=floats(len(REWARD_TERMS)),
        terminations=np.zeros(batch, bool),
        truncations=np.zeros(batch, bool),
        truncation_values=floats(),
        alive=np.zeros(batch, bool),
        conflict_events=floats(),
        conflict_intensity=floats(),
        episodes=np.zeros(batch[:2], np.int64),
    )
    # Zeros take memory only when written. Twice their size, because frames are copied for training or saving.
    counted = f"{count(ticks, 'tick')} of {batch[1]:,} × {count(batch[2], 'agent')}"
    require_memory(2 * bytes_of(frames), counted)
    return frames


def bytes_of(frames: Frames) -> int:
    """Return the bytes of memory that frames take."""
    return sum(array.nbytes for array in frames)


def collect(
    towns: Towns,
    policy: Policy,
    frames: Frames,
    after_tick: Callable[[], Any] = lambda: None,
) -> None:
    """Play len(frames.actions) ticks from the current state, and write every frame.

    A town whose episode is over restarts at once; if it was truncated, the value of its final observation is
    kept. `after_tick` runs while the tick's events are available.
    """
    agents = towns.state.agents
    for t in range(len(frames.actions)):
        seen = Observations(frames.map[t], frames.features[t], frames.action_mask[t])
        towns.observe(seen)
        frames.alive[t] = agents["alive"]
        frames.episodes[t] = towns.state.towns["episode"]
        choice = policy.act(towns, seen)
        frames.actions[t], frames.log_probs[t], frames.values[t] = choice
        towns.step(choice.actions)
        _note_outcome(towns, frames, t)
        after_tick()
        over = towns.state.towns["over"]
        if over.any():
            frames.truncation_values[t] = np.where(
                frames.truncations[t], policy.values(towns.observe()), np.float32(0)
            )
            towns.restart(over.copy())
    frames.values[-1] = policy.values(towns.observe())


def _note_outcome(towns: Towns, frames: Frames, t: int) -> None:
    agents = towns.state.agents
    frames.rewards[t] = agents["reward"]
    frames.reward_terms[t] = agents["terms"]
    frames.terminations[t] = agents["terminated"]
    frames.truncations[t] = agents["truncated"]
    frames.truncation_values[t] = 0
    frames.conflict_events[t] = agents["conflict_events"]
    frames.conflict_intensity[t] = agents["conflict_intensity"]
