"""`townlet train`: learn from recordings, from live towns, or from both, in a run folder."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from townlet_cli.capture import note_first_compilation
from townlet_cli.console import Verbosity, detail, next_step, note, out, print_json, progress, safe, warn

if TYPE_CHECKING:
    from townlet_core.ppo.checkpoint import Checkpoint
    from townlet_core.replay.batch import ReplayBatch
    from townlet_core.replay.dataset import ReplayDataset
    from townlet_core.scenario.model import Scenario
    from townlet_core.training.loop import Trained
    from townlet_core.training.settings import TrainingSettings
    from townlet_core.training.warm_start import Cloned

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
    output: Annotated[
        Path | None,
        run(help="Run folder; by default runs/SCENARIO-sSEED-N."),
    ] = None,
    resume: Annotated[Path | None, run(help="Continue this run, bit for bit.")] = None,
    config: Annotated[Path | None, run(help="YAML file with training: and ppo:.")] = None,
    force: Annotated[
        bool, run("--force", help="Replace a run in the folder, and a log at --ppo-log.")
    ] = False,
    as_json: Annotated[bool, run("--json", help="Print one JSON object at the end.")] = False,
    ppo_log: Annotated[
        Path | None,
        run(help="Telemetry file; by default RUN/telemetry.jsonl."),
    ] = None,
    log_every: Annotated[int | None, run(help="Write every n-th telemetry record.")] = None,
    log_max_bytes: Annotated[int | None, run(help="Rotate the telemetry file at this size.")] = None,
    keep_checkpoints: Annotated[int | None, run(help="Checkpoint generations kept.")] = None,
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
    from townlet_core.errors import InputError
    from townlet_core.scenario.load import load_scenario
    from townlet_core.training.settings import resolve_settings, with_absolute_paths

    settings, sources = resolve_settings(given, config)
    settings = with_absolute_paths(settings)
    recordings = settings.replay_manifest or settings.replay_sample
    if not settings.uses_recordings and recordings:
        raise InputError(
            "--mode rollout learns from live towns only, and recordings were given",
            "use mixed, or --warm-start bc",
        )
    plan = None if settings.source == "replay" and recordings else load_scenario(settings.scenario)
    if plan and not plan.agents:
        raise InputError(f"{plan.name}: has no agents to train", "add some under agents:")
    _start(settings, sources, plan, output, force, as_json)


def _start(
    settings: TrainingSettings,
    sources: dict[str, str],
    plan: Scenario | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Open the data, then the run folder, then train: bad input leaves nothing behind."""
    from townlet_core import io
    from townlet_core.ppo.backend import resolve_device
    from townlet_core.telemetry.writer import refuse_existing_log
    from townlet_core.training.feed import check_agreement, open_dataset, refuse_other_recordings
    from townlet_core.training.run import begin_run, choose_folder, refuse_run, remove_old_run

    name = plan.name if plan else "replay"
    if settings.ppo_log:
        refuse_existing_log(settings.ppo_log, force)
    folder = choose_folder(output, name, settings.seed, force)
    given = (*settings.replay_manifest, *settings.replay_sample)
    dataset = open_dataset(settings, settings.replay_manifest) if given else None
    if dataset and plan:
        check_agreement(dataset, plan)
    if plan and settings.uses_recordings and not given and settings.capture_dir:
        refuse_other_recordings(settings.capture_dir, plan, settings)
    resolve_device(settings.device)
    if force:
        remove_old_run(folder, given)
    with io.lock_folder(folder):
        refuse_run(folder)
        begin_run(folder, settings, sources, plan)
        note(f"run: {safe(folder)}")
        _train(settings, folder, plan, dataset, None, as_json)


def _resume(folder: Path, given: dict[str, Any], as_json: bool) -> None:
    from townlet_core import io
    from townlet_core.errors import InputError, MissingError
    from townlet_core.ppo.checkpoint import load_checkpoint
    from townlet_core.scenario.load import load_scenario
    from townlet_core.training.run import note_resumed, reopen_run

    others = sorted(set(given) - {"cycles"})
    if others:
        raise InputError(
            f"--resume continues a run as it was; it takes only --cycles, not {', '.join(others)}",
            "start a new run for new settings",
        )
    settings = reopen_run(folder, given.get("cycles"))
    recordings = settings.replay_manifest or settings.replay_sample
    plan = None if settings.source == "replay" and recordings else load_scenario(settings.scenario)
    with io.lock_folder(folder):
        try:
            checkpoint = load_checkpoint(folder)
        except MissingError:  # stopped before the first one, so there is nothing to take up
            checkpoint = None
        for warning in checkpoint.warnings if checkpoint else ():
            warn(warning)
        cycle = checkpoint.state["cycle"] if checkpoint else 0
        note_resumed(folder, settings, plan, cycle)
        note(f"resuming {safe(folder)} after cycle {cycle} of {settings.cycles}")
        if cycle >= settings.cycles:
            note("nothing is left to do; --cycles N goes on")
        _train(settings, folder, plan, None, checkpoint, as_json)


def _train(
    settings: TrainingSettings,
    folder: Path,
    plan: Scenario | None,
    dataset: ReplayDataset | None,
    checkpoint: Checkpoint | None,
    as_json: bool,
) -> None:
    """Train with the folder locked, and write into run.json how it ended."""
    from townlet_core.training.loop import Reports, Trainer
    from townlet_core.training.run import note_status_of
    from townlet_core.training.stopping import stop_on_signals

    with stop_on_signals() as stop, note_status_of(folder):
        dataset = dataset or _open_recordings(settings, folder, plan)
        for warning in dataset.warnings if dataset else ():
            warn(warning)
        if plan:
            note_first_compilation(settings.num_towns)
        done = checkpoint.state["cycle"] if checkpoint else 0
        with progress("training", settings.cycles - done) as advance:
            reports = Reports(
                _show_record,
                _show_batch,
                advance,
                lambda cloned: _show_cloned(cloned, settings, folder),
                warn,
            )
            trainer = Trainer(settings, folder, plan, dataset, stop, reports)
            if checkpoint:
                trainer.resume(checkpoint)
            result = trainer.run()
    _report(settings, folder, plan, result, as_json)


def _open_recordings(settings: TrainingSettings, folder: Path, plan: Scenario | None) -> ReplayDataset | None:
    """Open the recordings, made by the scripted policy now if none were given; None for live towns only."""
    if not settings.uses_recordings:
        return None
    from townlet_core import io
    from townlet_core.training.feed import PREFIX, open_dataset, record_script, refuse_other_recordings

    manifests = settings.replay_manifest
    if not manifests and not settings.replay_sample:
        assert plan is not None  # without recordings there is a scenario
        where = settings.capture_dir or folder / "samples"
        manifest = where / f"{PREFIX}_manifest.json"
        if io.kind_of(manifest):
            refuse_other_recordings(where, plan, settings)
        else:
            note("no recordings given: the scripted policy makes some first")
            note_first_compilation()
            record_script(plan, settings, where)
        manifests = (manifest,)
    return open_dataset(settings, manifests)


def _show_record(record: dict[str, Any]) -> None:
    detail(
        f"cycle {record['cycle_id'] + 1} epoch {record['epoch']} {record['data_mode']}: "
        f"reward {record['reward_mean']:.4f}, loss {record['loss_total']:.4f}, "
        f"kl {record['kl_divergence']:.4f}, entropy {record['loss_entropy']:.3f}"
    )


def _show_batch(batch: ReplayBatch) -> None:
    if Verbosity.level >= 2:
        stats = ", ".join(f"{name} {value:.3g}" for name, value in batch.conflict_stats().items())
        detail(f"replay batch of {len(batch.names)} samples, {batch.transitions} transitions: {stats}")


def _show_cloned(cloned: Cloned, settings: TrainingSettings, folder: Path) -> None:
    """Tell every epoch of a warm start to who wants details, and the last one to all and to run.json."""
    from townlet_core.training.run import note_warm_start

    text = (
        f"warm start, epoch {cloned.epoch} of {settings.warm_start_epochs}: foretells "
        f"{cloned.held_out_accuracy:.1%} of the actions in {cloned.held_out_samples} held-out samples; the "
        f"commonest action alone, {cloned.majority_accuracy:.1%}"
    )
    if cloned.epoch < settings.warm_start_epochs:
        detail(text)
        return
    note(text)
    note_warm_start(folder, cloned._asdict())


def _report(
    settings: TrainingSettings, folder: Path, plan: Scenario | None, result: Trained, as_json: bool
) -> None:
    log = settings.ppo_log or folder / "telemetry.jsonl"
    if as_json:
        print_json(
            {
                "run": str(folder),
                "telemetry": str(log),
                "cycles": result.progress.cycle,
                "steps": result.progress.steps,
                "reward_mean": result.rewards,
                "warm_start": result.progress.cloned,
                "weights_sha256": result.weights_sha256,
            }
        )
        return
    if result.rewards:
        done, rewards = result.progress.cycle, result.rewards
        first = f"{rewards[0]:.4f} in cycle {done - len(rewards) + 1}, " if len(rewards) > 1 else ""
        out.print(
            f"{done} cycle{'s' if done > 1 else ''}, {result.progress.steps:,} transitions; mean reward "
            f"{first}{rewards[-1]:.4f} in cycle {done}"
        )
    out.print(f"run: {safe(folder)}")
    out.print(f"telemetry: {safe(log)}")
    out.print(f"weights sha256: {result.weights_sha256}")
    next_step(shlex.join(("townlet", "telemetry", "watch", str(log))))
    if plan:
        compare = ("townlet", "evaluate", str(folder), "scripted", "random", "--scenario", settings.scenario)
        next_step(shlex.join(compare))
