"""The recorded actions of an episode, and the checks of a simulation against the recording."""

from __future__ import annotations

import numpy as np

from townlet_core.errors import SampleError, count
from townlet_core.render.animation import NOT_RECORDED
from townlet_core.render.recording import Recording
from townlet_core.replay.sample import ReplaySample
from townlet_core.scenario.model import Scenario

_SLACK = 1e-6  # tolerance between a recorded number and one computed on another machine


class RecordedActions:
    """The actions of an episode from its samples. Each check raises SampleError with the sample's name.

    ticks: number of recorded ticks.
    actions: (ticks, A) int64, NOT_RECORDED where no sample holds the action.
    probabilities, values: (ticks, A) float32, of the action and of what was seen; NaN where not recorded.
    """

    def __init__(self, recording: Recording, scenario: Scenario) -> None:
        self.scenario = scenario
        self.ids = [agent.id for agent in scenario.agents]
        self.recording = recording
        starts = [self._start(n, sample) for n, sample in enumerate(recording.samples)]
        self.ticks = max(
            start + sample.timesteps for start, sample in zip(starts, recording.samples, strict=True)
        )
        shape = (self.ticks, len(self.ids))
        self.actions = np.full(shape, NOT_RECORDED, np.int64)
        self.probabilities = np.full(shape, np.nan, np.float32)
        self.values = np.full(shape, np.nan, np.float32)
        self._source = np.full(shape, -1, np.int32)  # index of the sample that holds it
        for n, (start, sample) in enumerate(zip(starts, recording.samples, strict=True)):
            mine = slice(start, start + sample.timesteps), self.ids.index(sample.agent_id)
            if (self._source[mine] >= 0).any():
                raise self._error(n, f"tells the same ticks of {sample.agent_id} as another sample")
            self.actions[mine] = sample.actions
            self.probabilities[mine] = probabilities_of(sample)
            self.values[mine] = values_of(sample)
            self._source[mine] = n
        self._starts = starts

    def _start(self, n: int, sample: ReplaySample) -> int:
        """Return the tick of the episode at which a sample begins, from its first observation."""
        if sample.agent_id not in self.ids:
            raise self._error(n, f"is of {sample.agent_id}, who does not live in {self.scenario.name}")
        if "episode_progress" not in sample.feature_names:
            raise self._error(n, "has no feature episode_progress, which says where it begins")
        progress = float(sample.features[0, sample.feature_names.index("episode_progress")])
        start = round(min(max(progress, 0.0), 1.0) * self.scenario.ticks)
        if start + sample.timesteps > self.scenario.ticks:
            raise self._error(
                n,
                f"begins at tick {start} and has {sample.timesteps}, an episode has {self.scenario.ticks}",
            )
        return start

    def check_observations(self, tick: int, alive: np.ndarray, features: np.ndarray) -> None:
        """Compare the observations with the recorded ones. features: (A, F)."""
        for i in np.flatnonzero(self._source[tick] >= 0).tolist():
            n, sample, row = self._record(tick, i)
            if not alive[i]:
                raise self._differs(n, f"at tick {tick} {self.ids[i]} is not in town")
            recorded = sample.features[row]
            if recorded.shape != features[i].shape:
                raise self._differs(
                    n, f"it has {count(len(recorded), 'feature')}, played again {len(features[i])}"
                )
            off = np.abs(recorded - features[i]) > _SLACK
            if off.any():
                name = sample.feature_names[int(off.argmax())]
                values = f"{recorded[off][0]:g}, played again {features[i][off][0]:g}"
                raise self._differs(n, f"at tick {tick} {name} is {values}")

    def check_actions(self, tick: int, alive: np.ndarray, actions: np.ndarray) -> None:
        """Refuse a tick at which the action of an agent in town was not recorded."""
        silent = np.flatnonzero(alive & (actions == NOT_RECORDED))
        if len(silent):
            who = self.ids[silent[0]]
            raise SampleError(
                f"{self.recording.path}: no sample says what {who} did at tick {tick}",
                "give a manifest that lists every sample of the capture",
            )

    def check_rewards(self, tick: int, rewards: np.ndarray) -> None:
        """Compare the rewards with the recorded ones. rewards: (A,)."""
        for i in np.flatnonzero(self._source[tick] >= 0).tolist():
            n, sample, row = self._record(tick, i)
            if abs(float(sample.rewards[row]) - float(rewards[i])) > _SLACK:
                values = f"{sample.rewards[row]:g}, played again {rewards[i]:g}"
                raise self._differs(n, f"the reward of tick {tick} is {values}")

    def _record(self, tick: int, i: int) -> tuple[int, ReplaySample, int]:
        """Return the index of the sample that holds this tick of agent i, the sample, and the row."""
        n = int(self._source[tick, i])
        return n, self.recording.samples[n], tick - self._starts[n]

    def _differs(self, n: int, what: str) -> SampleError:
        versions = (self.recording.capture or {}).get("versions")
        townlet = versions.get("townlet") if isinstance(versions, dict) else None
        return self._error(n, f"{what}; the rules are not those of its recording (townlet {townlet})")

    def _error(self, n: int, what: str) -> SampleError:
        return SampleError(f"{self.recording.files[n]}: {what}", "capture it again with `townlet capture`")


def probabilities_of(sample: ReplaySample) -> np.ndarray:
    """Return the probability of each action under the policy that took it, (T,) float32."""
    return np.exp(np.minimum(sample.old_log_probs, 0))


def values_of(sample: ReplaySample) -> np.ndarray:
    """Return the critic's value of each observation, (T,) float32; NaN where no critic looked."""
    if sample.metadata.get("value_source") == "none":
        return np.full(sample.timesteps, np.nan, np.float32)
    return sample.value_preds[:-1]
