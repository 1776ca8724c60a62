"""What a training loop reports while it runs, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.replay.batch import ReplayBatch
from townlet_core.training.epoch_record import ReplayData, RolloutData
from townlet_core.training.evaluation import Evaluation
from townlet_core.training.pace import Pace
from townlet_core.training.progress import Progress
from townlet_core.training.warm_start import Cloned


class CycleEnd(NamedTuple):
    """A cycle that is done and saved."""

    cycle: int  # from 1
    cycles: int  # of the run
    reward_mean: float  # of the cycle's last data: its rollout, or recordings
    queue_conflict_events: float  # in the same data
    env_steps: int  # since the run began
    steps_per_second: float  # environment steps, or sample passes in replay; without the evaluation
    seconds_left: float  # estimated
    evaluation: Evaluation | None
    kept: Path | None = None  # names the checkpoint that SIGUSR1 asked for


def describe_cycle(
    before: Progress,
    now: Progress,
    cycles: int,
    data: RolloutData | ReplayData,
    evaluation: Evaluation | None,
    pace: Pace,
) -> CycleEnd:
    """Describe a cycle of a run of so many, from its counters before and after, and end it on the clock."""
    seconds = pace.end() - (evaluation.eval_duration_sec if evaluation else 0)
    steps = now.env_steps - before.env_steps or now.steps - before.steps
    return CycleEnd(
        cycle=now.cycle,
        cycles=cycles,
        reward_mean=data.rewards.reward_mean,
        queue_conflict_events=data.queue_conflict_events,
        env_steps=now.env_steps,
        steps_per_second=steps / max(seconds, 1e-9),
        seconds_left=pace.seconds_left(cycles - now.cycle),
        evaluation=evaluation,
    )


class Reports(NamedTuple):
    """Callbacks of the training loop; each may do nothing."""

    record: Callable[[dict[str, Any]], Any] = lambda record: None
    batch: Callable[[ReplayBatch], Any] = lambda batch: None
    moved: Callable[[float], Any] = lambda cycles: None  # cycles done, with the fraction of the current one
    cycle: Callable[[CycleEnd], Any] = lambda end: None
    cloned: Callable[[Cloned], Any] = lambda cloned: None
    warning: Callable[[str], Any] = lambda message: None


class Trained(NamedTuple):
    """How a run ended."""

    progress: Progress
    weights_sha256: str
    rewards: list[float]  # mean reward of each cycle's last data
    evaluations: dict[int, Evaluation]  # by the number of cycles done, from 1
