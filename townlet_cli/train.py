"""`townlet train`: learn from recordings, from live towns, or from both, in a run folder."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from townlet_cli.capture import note_first_compilation
from townlet_cli.console import Verbosity, detail, next_step, note, out, print_json, progress, safe, warn
from townlet_core.errors import count

if TYPE_CHECKING:
    from townlet_core.replay.batch import ReplayBatch
    from townlet_core.training.loop import Reports
    from townlet_core.training.run_directory import Removed
    from townlet_core.training.session import Session, Voice
    from townlet_core.training.warm_start import Cloned

SHOWN_NAMES = 8  # of what --force kept

# Help texts repeat those of TrainingSettings, so that --help needs no pydantic; a test compares them.
# Every option of `townlet train` but --mode and --help stands in one of three panels of its help.
ppo, data, run = (partial(typer.Option, rich_help_panel=panel) for panel in ("PPO", "Data", "Run"))


def train(
    scenario: Annotated[
        str | None, typer.Argument(help="Name of a bundled scenario, or a YAML file.")
    ] = None,
    source: Annotated[
        Literal["replay", "rollout", "mixed"] | None,
        typer.Option("--mode", help="Learn from recordings, from live towns, or from both in turn."),
    ] = None,
    cycles: Annotated[int | None, run(help="Training cycles; each ends with a checkpoint.")] = None,
    seed: Annotated[int | None, run(help="Seed of weights, towns, draws and shuffles.")] = None,
    output: Annotated[Path | None, run(help="Run folder; by default runs/SCENARIO-sSEED-N.")] = None,
    resume: Annotated[Path | None, run(help="Continue this run, bit for bit.")] = None,
    config: Annotated[Path | None, run(help="YAML file with training: and ppo:.")] = None,
    force: Annotated[
        bool,
        run(
            "--force", help="Replace the run in the folder, and a log at --ppo-log; what else is there stays."
        ),
    ] = False,
    as_json: Annotated[bool, run("--json", help="Print one JSON object at the end.")] = False,
    ppo_log: Annotated[Path | None, run(help="Telemetry file; by default RUN/telemetry.jsonl.")] = None,
    log_every: Annotated[int | None, run(help="Write every n-th telemetry record.")] = None,
    log_max_bytes: Annotated[int | None, run(help="Rotate the telemetry file at this size.")] = None,
    keep_checkpoints: Annotated[
        int | None, run(help="Newest checkpoint generations kept, beside the best.")
    ] = None,
    num_towns: Annotated[int | None, data(help="Towns played at once in a rollout.")] = None,
    rollout_ticks: Annotated[
        int | None,
        data(help="Ticks of each rollout; by default an episode, at most 256."),
    ] = None,
    replay_manifest: Annotated[
        list[Path] | None,
        data(help="Manifest of recordings; may be repeated."),
    ] = None,
    replay_sample: Annotated[list[Path] | None, data(help="One recorded NPZ; may be repeated.")] = None,
    replay_transitions: Annotated[
        int | None,
        data(help="Recorded transitions learned from per cycle, at most."),
    ] = None,
    replay_correction: Annotated[
        Literal["self_imitation", "vtrace"] | None,
        data(
            help="How recordings, which another policy made, are learned from.",
        ),
    ] = None,
    streaming: Annotated[
        bool | None,
        data(help="Read recordings when they are due, in bounded memory."),
    ] = None,
    follow_links: Annotated[bool | None, data(help="Follow links out of the recordings' folder.")] = None,
    capture_dir: Annotated[
        Path | None,
        data(
            help="Where recordings are made if none are given; by default RUN/samples.",
        ),
    ] = None,
    capture_towns: Annotated[
        int | None,
        data(
            help="Towns recorded if no recordings are given; by default a few.",
        ),
    ] = None,
    warm_start: Annotated[
        Literal["none", "bc"] | None,
        data(
            help="Before PPO, imitate the recordings (behaviour cloning), or do not.",
        ),
    ] = None,
    warm_start_epochs: Annotated[
        int | None,
        data(help="Passes over the recordings in a warm start."),
    ] = None,
    hidden_size: Annotated[int | None, ppo(help="Width of the network's layers.")] = None,
    normalise_observations: Annotated[
        bool | None,
        ppo(
            help="Count features in standard deviations from their running mean.",
        ),
    ] = None,
    normalise_returns: Annotated[
        bool | None,
        ppo(
            help="Let the critic predict returns in standard deviations from their running mean.",
        ),
    ] = None,
    learning_rate: Annotated[float | None, ppo(help="Step size of Adam.")] = None,
    clip_param: Annotated[
        float | None,
        ppo(
            help="How far the probability ratio may move from 1 before the gain is cut.",
        ),
    ] = None,
    value_loss_coef: Annotated[float | None, ppo(help="Weight of the value loss.")] = None,
    entropy_coef: Annotated[float | None, ppo(help="Weight of the entropy bonus.")] = None,
    num_epochs: Annotated[
        int | None,
        ppo("--num-epochs", "--epochs", help="Passes over each batch."),
    ] = None,
    num_mini_batches: Annotated[int | None, ppo(help="Gradient steps per pass over the batch.")] = None,
    gamma: Annotated[float | None, ppo(help="Discount per tick.")] = None,
    gae_lambda: Annotated[
        float | None,
        ppo(help="Advantage estimation: 0 trusts the critic, 1 the returns."),
    ] = None,
    bootstrap_truncations: Annotated[
        bool | None,
        ppo(
            help="Where an episode's time is up, count on what would have followed; no: nothing follows.",
        ),
    ] = None,
    max_grad_norm: Annotated[
        float | None,
        ppo(help="Gradients longer than this are shortened to it."),
    ] = None,
    value_clip: Annotated[
        str | None,
        ppo(
            help="How far a value may move from the recorded one; null switches the clip off.",
            metavar="FLOAT|null",
        ),
    ] = None,
    advantage_normalization: Annotated[
        bool | None,
        ppo(
            help="Give the advantages of each minibatch mean 0 and standard deviation 1.",
        ),
    ] = None,
    target_kl: Annotated[
        float | None,
        ppo(
            help="End the update after an epoch whose mean KL divergence exceeds this.",
        ),
    ] = None,
    lr_schedule: Annotated[
        Literal["constant", "linear"] | None,
        ppo(
            help="Keep the learning rate, or lower it linearly to 0 over the run.",
        ),
    ] = None,
    micro_batch: Annotated[
        int | None,
        ppo(
            help="Transitions per backward pass; gradients add up to the whole minibatch's.",
        ),
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16"] | None,
        ppo(
            help="Arithmetic of the hidden layers while training; bf16 needs a processor that has it.",
        ),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        ppo(help="Where the network trains; auto takes a GPU if there is one."),
    ] = None,
) -> None:
    """Train a policy with PPO; every flag is also TOWNLET_NAME and a key of the config file."""
    given = {name: value for name, value in locals().items() if value is not None}
    for name in ("resume", "as_json", *(() if force else ("force",))):
        given.pop(name, None)
    if resume is not None:
        _resume(resume, given, as_json)
        return
    for name in ("output", "config", "force"):  # of the command, not of the training
        given.pop(name, None)
    if given.get("value_clip") == "null":
        given["value_clip"] = None
    from townlet_core.training.session import train as begin
    from townlet_core.training.settings import resolve_settings

    settings, sources = resolve_settings(given, config)
    session = begin(settings, output, force=force, sources=sources, reports=_reports(), voice=_voice())
    _report(session, as_json)


def _resume(folder: Path, given: dict[str, Any], as_json: bool) -> None:
    from townlet_core.errors import InputError
    from townlet_core.training.session import resume as go_on

    others = sorted(set(given) - {"cycles"})
    if others:
        raise InputError(
            f"--resume continues a run as it was; it takes only --cycles, not {', '.join(others)}",
            "start a new run for new settings",
        )
    _report(go_on(folder, given.get("cycles"), reports=_reports(), voice=_voice()), as_json)


def _reports() -> Reports:
    from townlet_core.training.loop import Reports

    return Reports(record=_show_record, batch=_show_batch, warning=warn)


def _voice() -> Voice:
    from townlet_core.training.session import Voice

    return Voice(
        note=lambda message: note(safe(message)),
        removed=_show_removed,
        cloned=_show_cloned,
        compiling=note_first_compilation,
        cycles=partial(progress, "training"),
    )


def _show_removed(folder: Path, removed: Removed) -> None:
    note(f"removed from {safe(folder)}: {safe(', '.join(removed.removed))}")
    if removed.kept:
        shown = ", ".join(removed.kept[:SHOWN_NAMES])
        more = len(removed.kept) - SHOWN_NAMES
        note(f"kept, not recognised as the run's: {safe(shown)}{f' and {more} more' if more > 0 else ''}")


def _show_record(record: dict[str, Any]) -> None:
    detail(
        f"cycle {record['cycle_id'] + 1} epoch {record['epoch']} {record['data_mode']}: "
        f"{count(record['env_steps'], 'environment step')}, reward {record['reward_mean']:.4f}, loss "
        f"{record['loss_total']:.4f}, kl {record['kl_divergence']:.4f}, entropy {record['loss_entropy']:.3f}"
    )


def _show_batch(batch: ReplayBatch) -> None:
    if Verbosity.level >= 2:
        stats = ", ".join(f"{name} {value:.3g}" for name, value in batch.conflict_stats().items())
        detail(f"replay batch of {count(len(batch.names), 'sample')}, {batch.transitions} ticks: {stats}")


def _show_cloned(cloned: Cloned, epochs: int) -> None:
    """Tell every epoch of a warm start with -v, and the last one always."""
    text = (
        f"warm start, epoch {cloned.epoch} of {epochs}: action accuracy {cloned.held_out_accuracy:.1%} on "
        f"{count(cloned.held_out_samples, 'held-out sample')}; the commonest action alone reaches "
        f"{cloned.majority_accuracy:.1%}"
    )
    (detail if cloned.epoch < epochs else note)(text)


def _report(session: Session, as_json: bool) -> None:
    folder, log, result = session.folder, session.log, session.result
    if as_json:
        print_json(
            {
                "run": str(folder),
                "telemetry": str(log),
                "cycles": result.progress.cycle,
                **{name: getattr(result.progress, name) for name in ("env_steps", "env_ticks", "steps")},
                "reward_mean": result.rewards,
                "warm_start": result.progress.cloned,
                "weights_sha256": result.weights_sha256,
            }
        )
        return
    if result.rewards:
        done, rewards, at = result.progress.cycle, result.rewards, result.progress
        first = f"{rewards[0]:.4f} in cycle {done - len(rewards) + 1}, " if len(rewards) > 1 else ""
        out.print(
            f"{count(done, 'cycle')}, {count(at.env_steps, 'environment step')}, "
            f"{count(at.steps, 'sample pass')}; mean reward {first}{rewards[-1]:.4f} in cycle {done}"
        )
    out.print(f"run: {safe(folder)}")
    out.print(f"telemetry: {safe(log)}")
    out.print(f"weights sha256: {result.weights_sha256}")
    next_step(shlex.join(("townlet", "telemetry", "watch", str(log))))
    if session.scenario:
        next_step(shlex.join(("townlet", "evaluate", str(folder), "scripted", "random")))
