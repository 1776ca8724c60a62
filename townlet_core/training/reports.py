"""What a training loop reports while it runs, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from townlet_core.replay.batch import ReplayBatch
from townlet_core.training.evaluation import Evaluation
from townlet_core.training.progress import Progress
from townlet_core.training.warm_start import Cloned


class Reports(NamedTuple):
    """Callbacks of the training loop; each may do nothing."""

    record: Callable[[dict[str, Any]], Any] = lambda record: None
    batch: Callable[[ReplayBatch], Any] = lambda batch: None
    cycle: Callable[[], Any] = lambda: None
    cloned: Callable[[Cloned], Any] = lambda cloned: None
    warning: Callable[[str], Any] = lambda message: None


class Trained(NamedTuple):
    """How a run ended."""

    progress: Progress
    weights_sha256: str
    rewards: list[float]  # mean reward of each cycle's last data
    evaluations: dict[int, Evaluation]  # by the number of cycles done, from 1
