"""The options of a training run, beside those of PPO: name, type, default, range and help of each, once.

`TrainingSettings` validates them, and `townlet train` has a flag for each, in this order. Nothing here needs
pydantic, so that `townlet train --help` answers at once.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from townlet_core.ppo.options import PPO, HiddenSize, Option, PPOOptions
from townlet_core.replay.limits import REPLAY_TRANSITIONS

RUN, DATA = (partial(Option, panel=panel) for panel in ("Run", "Data"))


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(PPOOptions):
    """A training run: PPO's hyperparameters and everything around them, not validated."""

    scenario: Annotated[str, Option("Name of a bundled scenario, or a YAML file.")] = "queue_conflict"
    source: Annotated[
        Literal["replay", "rollout", "mixed"],
        Option("Learn from recordings, from live towns, or from both in turn.", flags=("--mode",)),
    ] = "mixed"
    cycles: Annotated[int, RUN("Training cycles; each ends with a checkpoint.", ge=1, le=1_000_000)] = 10
    seed: Annotated[int, RUN("Seed of weights, towns, draws and shuffles.", ge=0, lt=2**63)] = 0
    ppo_log: Annotated[Path | None, RUN("Telemetry file; by default RUN/telemetry.jsonl.")] = None
    log_every: Annotated[int, RUN("Write every n-th telemetry record.", ge=1)] = 1
    log_max_bytes: Annotated[int | None, RUN("Rotate the telemetry file at this size.", ge=1024)] = None
    keep_checkpoints: Annotated[
        int, RUN("Newest checkpoint generations kept, beside the best.", ge=1, le=1000)
    ] = 2
    num_towns: Annotated[int, DATA("Towns played at once in a rollout.", ge=1, le=65536)] = 32
    rollout_ticks: Annotated[
        int | None, DATA("Ticks of each rollout; by default an episode, at most 256.", ge=1, le=1_000_000)
    ] = None
    replay_manifest: Annotated[tuple[Path, ...], DATA("Manifest of recordings; may be repeated.")] = ()
    replay_sample: Annotated[tuple[Path, ...], DATA("One recorded NPZ; may be repeated.")] = ()
    replay_transitions: Annotated[
        int, DATA("Recorded transitions learned from per cycle, at most.", ge=1)
    ] = REPLAY_TRANSITIONS
    replay_correction: Annotated[
        Literal["self_imitation", "vtrace"],
        DATA("How recordings, which another policy made, are learned from."),
    ] = "self_imitation"
    streaming: Annotated[bool, DATA("Read recordings when they are due, in bounded memory.")] = False
    follow_links: Annotated[bool, DATA("Follow links out of the recordings' folder.")] = False
    capture_dir: Annotated[
        Path | None, DATA("Where recordings are made if none are given; by default RUN/samples.")
    ] = None
    capture_towns: Annotated[
        int | None, DATA("Towns recorded if no recordings are given; by default a few.", ge=1, le=4096)
    ] = None
    warm_start: Annotated[
        Literal["none", "bc"], DATA("Before PPO, imitate the recordings (behaviour cloning), or do not.")
    ] = "none"
    warm_start_epochs: Annotated[
        int, DATA("Passes over the recordings in a warm start.", ge=1, le=100_000)
    ] = 20
    hidden_size: HiddenSize = 256
    normalise_observations: Annotated[
        bool, PPO("Count features in standard deviations from their running mean.")
    ] = False
    normalise_returns: Annotated[
        bool, PPO("Let the critic predict returns in standard deviations from their running mean.")
    ] = False
