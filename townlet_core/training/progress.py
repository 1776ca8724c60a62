"""The progress of a run: its counters, and how they are read back from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from townlet_core.errors import InputError
from townlet_core.ppo.checkpoint import STATE, Checkpoint
from townlet_core.ppo.device import versions
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.wrong_field import wrong_field
from townlet_core.training.warm_start import Cloned

RESTORE = "restore the checkpoint from a copy, or start a new run"
Count = Annotated[int, Field(ge=0, lt=2**62)]
LATER_FIELDS = ("env_steps", "env_ticks", "best_return")  # which checkpoints of 0.1.0 do not have
EARLIER_FIELDS = ("threads",)  # which those have, and later ones do not: whose runs had no shards


def _of_warm_start(values: dict[str, float]) -> dict[str, float]:
    if missing := set(Cloned._fields) - set(values):
        raise ValueError(f"has no {sorted(missing)[0]}")
    return values


class Progress(NamedTuple):
    """Everything a checkpoint holds besides weights, optimiser and towns."""

    cycle: Count = 0  # cycles done
    epoch: Count = 0  # telemetry records made
    steps: Count = 0  # sample passes: samples × epochs
    env_steps: Count = 0  # one per tick and agent in a live town
    env_ticks: Count = 0  # ticks × live towns
    skipped_in_a_row: Count = 0
    log_offset: Count = 0
    replay_position: Annotated[tuple[Count, ...], Field(min_length=2, max_length=3)] = (
        0,
        0,
    )  # of ReplayStream
    best_reward: float | None = None  # highest mean reward of a rollout
    best_return: float | None = None  # highest mean return of an evaluation
    device: str = "cpu"
    # The last epoch of the warm start; the fields of Cloned.
    cloned: Annotated[dict[str, float], AfterValidator(_of_warm_start)] | None = None


def count_cycle(
    progress: Progress, evaluated: float | None, acted: float | None
) -> tuple[Progress, bool, bool]:
    """Count a cycle; return also whether its weights are the best, or those that began it.

    evaluated: the mean return of its evaluation. The best weights have the highest so far. acted: without
    evaluation, the mean reward of its rollout. Then they are those that acted in the highest.
    """
    is_best = evaluated is not None and (progress.best_return is None or evaluated > progress.best_return)
    acted_best = acted is not None and (progress.best_reward is None or acted > progress.best_reward)
    counted = progress._replace(
        cycle=progress.cycle + 1,
        best_return=evaluated if is_best else progress.best_return,
        best_reward=acted if acted_best else progress.best_reward,
    )
    return counted, is_best, acted_best


_PROGRESS = TypeAdapter(Progress)


def read_progress(checkpoint: Checkpoint, warn: Callable[[str], Any] = lambda message: None) -> Progress:
    """Read the counters of a checkpoint.

    Fields of a later version are left out, with a warning. Raises InputError naming a field that is missing
    or of another type.
    """
    place = f"{checkpoint.folder / STATE}: state"
    known = {name: value for name, value in checkpoint.state.items() if name in Progress._fields}
    if unknown := sorted({*checkpoint.state} - {*known, *EARLIER_FIELDS}):
        warn(f"{place}: {', '.join(unknown)[:80]}: not known to this version of Townlet, and left out")
    if missing := [name for name in Progress._fields if name not in known and name not in LATER_FIELDS]:
        raise InputError(f"{place}.{missing[0]}: missing", RESTORE)
    try:
        return _PROGRESS.validate_python(known)
    except ValidationError as error:
        raise InputError(f"{place}.{wrong_field(error)}", RESTORE) from error


def warn_of_other_machine(
    checkpoint: Checkpoint, progress: Progress, device: str, warn: Callable[[str], Any]
) -> None:
    """Warn of everything that decides about bits and is not as it was at the checkpoint."""
    then = {**checkpoint.metadata.versions, "device": progress.device}
    here = {**versions(), "device": device}
    for what in here:
        if then.get(what) != here[what]:
            warn(f"{what}: was {then.get(what)}, now {here[what]}; the continuation is not bit-exact")
    if not checkpoint.state.keys().isdisjoint(EARLIER_FIELDS):
        warn("the run began before there were --shards; the continuation is not bit-exact")


def refuse_other_network(checkpoint: Checkpoint, own: ActorCritic) -> None:
    """Raise InputError if the checkpoint's network is not of the shape that the run's settings give."""
    saved = checkpoint.metadata.network
    if not saved.feature_names:  # written before names were kept
        saved = saved.model_copy(update={"feature_names": own.config.feature_names})
    for name, value in own.config:
        if getattr(saved, name) != value:
            found = str(getattr(saved, name))[:80]
            raise InputError(
                f"{checkpoint.folder / STATE}: network.{name} is {found}, this run has {str(value)[:80]}",
                RESTORE,
            )
    if set(checkpoint.weights) != set(own.state_dict()):
        odd = sorted(set(checkpoint.weights) ^ set(own.state_dict()))[0]
        raise InputError(
            f"{checkpoint.folder}: {odd} is not in both the checkpoint and this run's network", RESTORE
        )
