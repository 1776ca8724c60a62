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

RUN, DATA, EVALUATION = (partial(Option, panel=panel) for panel in ("Run", "Data", "Evaluation"))


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(PPOOptions):
    """A training run: PPO's hyperparameters and everything around them, not validated."""

    scenario: Annotated[str, Option("Name of a bundled scenario, or a YAML file.")] = "queue_conflict"
    source: Annotated[
        Literal["replay", "rollout", "mixed"],
        Option("Data source: recordings, live towns, or both in each cycle.", flags=("--mode",)),
    ] = "mixed"
    cycles: Annotated[int, RUN("Training cycles; a checkpoint is saved after each.", ge=1, le=1_000_000)] = 10
    seed: Annotated[int, RUN("Random seed of weights, towns, actions and shuffles.", ge=0, lt=2**63)] = 0
    shards: Annotated[
        int,
        RUN(
            "Parts of a batch that threads and processes share out; equal numbers give equal weights.",
            ge=1,
            le=4096,
        ),
    ] = 2
    ppo_log: Annotated[Path | None, RUN("Telemetry file; by default RUN/telemetry.jsonl.")] = None
    log_every: Annotated[int, RUN("Write every n-th telemetry record.", ge=1)] = 1
    log_max_bytes: Annotated[int | None, RUN("Rotate the telemetry file at this size.", ge=1024)] = None
    track: Annotated[
        Literal["none", "tensorboard"], RUN("Also write event files to RUN/tensorboard while training.")
    ] = "none"
    track_names: Annotated[
        Literal["sb3", "cleanrl", "townlet"], RUN("Whose names the curves of --track have.")
    ] = "sb3"
    keep_checkpoints: Annotated[int, RUN("Latest checkpoints to keep, besides the best.", ge=1, le=1000)] = 2
    eval_every: Annotated[
        int | None, EVALUATION("Evaluate after every n-th cycle; by default never.", ge=1, le=1_000_000)
    ] = None
    eval_episodes: Annotated[int, EVALUATION("Episodes per evaluation.", ge=2, le=100_000)] = 32
    num_towns: Annotated[int, DATA("Parallel towns in a rollout.", ge=1, le=65536)] = 32
    rollout_ticks: Annotated[
        int | None, DATA("Ticks per rollout; by default one episode, at most 256.", ge=1, le=1_000_000)
    ] = None
    replay_manifest: Annotated[tuple[Path, ...], DATA("Manifest of recorded samples; may be repeated.")] = ()
    replay_sample: Annotated[tuple[Path, ...], DATA("Recorded sample (NPZ) or shard; may be repeated.")] = ()
    replay_transitions: Annotated[int, DATA("Maximum recorded transitions per cycle.", ge=1)] = (
        REPLAY_TRANSITIONS
    )
    replay_correction: Annotated[
        Literal["self_imitation", "vtrace"],
        DATA("Off-policy correction of recorded data."),
    ] = "self_imitation"
    streaming: Annotated[bool, DATA("Stream samples from disk instead of loading them into memory.")] = False
    streaming_memory: Annotated[
        int, DATA("MiB for streamed shards; larger data is shuffled in windows, streamed or not.", ge=1)
    ] = 32
    follow_links: Annotated[bool, DATA("Follow symbolic links that lead out of the samples' folder.")] = False
    capture_dir: Annotated[
        Path | None, DATA("Folder for scripted recordings if none are given; by default RUN/samples.")
    ] = None
    capture_towns: Annotated[
        int | None, DATA("Towns to record if no recordings are given; by default a few.", ge=1, le=4096)
    ] = None
    warm_start: Annotated[
        Literal["none", "bc"], DATA("Pretraining before PPO: bc is behaviour cloning of the recordings.")
    ] = "none"
    warm_start_epochs: Annotated[int, DATA("Epochs of behaviour cloning.", ge=1, le=100_000)] = 20
    hidden_size: HiddenSize = 256
    normalise_observations: Annotated[
        bool,
        PPO("Normalise features by running mean and standard deviation, which begin with the recordings'."),
    ] = False
    normalise_returns: Annotated[
        bool, PPO("Normalise returns by running mean and standard deviation (PopArt).")
    ] = False
