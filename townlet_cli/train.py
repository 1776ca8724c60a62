"""`townlet train`: learn from recordings, from live towns, or from both, in a run folder."""

from __future__ import annotations

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
PPO, DATA, RUN = "PPO", "Data", "Run"


def train(
    scenario: Annotated[
        str | None, typer.Argument(help="Name of a bundled scenario, or a YAML file.")
    ] = None,
    source: Annotated[
        Literal["replay", "rollout", "mixed"] | None,
        typer.Option("--mode", help="Learn from recordings, from live towns, or from both in turn."),
    ] = None,
    cycles: Annotated[
        int | None, typer.Option(help="Training cycles; each ends with a checkpoint.", rich_help_panel=RUN)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of weights, towns, draws and shuffles.", rich_help_panel=RUN)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Run folder; by default runs/SCENARIO-sSEED-N.", rich_help_panel=RUN),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue this run, bit for bit.", rich_help_panel=RUN)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file with training: and ppo:.", rich_help_panel=RUN)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a run that is in the folder.", rich_help_panel=RUN)
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end.", rich_help_panel=RUN)
    ] = False,
    ppo_log: Annotated[
        Path | None,
        typer.Option(help="Telemetry file; by default RUN/telemetry.jsonl.", rich_help_panel=RUN),
    ] = None,
    log_every: Annotated[
        int | None, typer.Option(help="Write every n-th telemetry record.", rich_help_panel=RUN)
    ] = None,
    log_max_bytes: Annotated[
        int | None, typer.Option(help="Rotate the telemetry file at this size.", rich_help_panel=RUN)
    ] = None,
    keep_checkpoints: Annotated[
        int | None, typer.Option(help="Checkpoint generations kept.", rich_help_panel=RUN)
    ] = None,
    num_towns: Annotated[
        int | None, typer.Option(help="Towns played at once in a rollout.", rich_help_panel=DATA)
    ] = None,
    rollout_ticks: Annotated[
        int | None,
        typer.Option(help="Ticks of each rollout; by default an episode, at most 256.", rich_help_panel=DATA),
    ] = None,
    replay_manifest: Annotated[
        list[Path] | None,
        typer.Option(help="Manifest of recordings; may be repeated.", rich_help_panel=DATA),
    ] = None,
    replay_sample: Annotated[
        list[Path] | None, typer.Option(help="One recorded NPZ; may be repeated.", rich_help_panel=DATA)
    ] = None,
    replay_transitions: Annotated[
        int | None,
        typer.Option(help="Recorded transitions learned from per cycle, at most.", rich_help_panel=DATA),
    ] = None,
    replay_correction: Annotated[
        Literal["self_imitation", "vtrace"] | None,
        typer.Option(
            help="How recordings, which another policy made, are learned from.", rich_help_panel=DATA
        ),
    ] = None,
    streaming: Annotated[
        bool | None,
        typer.Option(help="Read recordings when they are due, in bounded memory.", rich_help_panel=DATA),
    ] = None,
    capture_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where recordings are made if none are given; by default RUN/samples.", rich_help_panel=DATA
        ),
    ] = None,
    capture_towns: Annotated[
        int | None,
        typer.Option(
            help="Towns recorded if no recordings are given; by default a few.", rich_help_panel=DATA
        ),
    ] = None,
    warm_start: Annotated[
        Literal["none", "bc"] | None,
        typer.Option(
            help="Before PPO, imitate the recordings (behaviour cloning), or do not.", rich_help_panel=DATA
        ),
    ] = None,
    warm_start_epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the recordings in a warm start.", rich_help_panel=DATA),
    ] = None,
    hidden_size: Annotated[
        int | None, typer.Option(help="Width of the network's layers.", rich_help_panel=PPO)
    ] = None,
    normalise_observations: Annotated[
        bool | None,
        typer.Option(
            help="Count features in standard deviations from their running mean.", rich_help_panel=PPO
        ),
    ] = None,
    normalise_returns: Annotated[
        bool | None,
        typer.Option(
            help="Let the critic predict returns in standard deviations from their running mean.",
            rich_help_panel=PPO,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Step size of Adam.", rich_help_panel=PPO)
    ] = None,
    clip_param: Annotated[
        float | None,
        typer.Option(
            help="How far the probability ratio may move from 1 before the gain is cut.", rich_help_panel=PPO
        ),
    ] = None,
    value_loss_coef: Annotated[
        float | None, typer.Option(help="Weight of the value loss.", rich_help_panel=PPO)
    ] = None,
    entropy_coef: Annotated[
        float | None, typer.Option(help="Weight of the entropy bonus.", rich_help_panel=PPO)
    ] = None,
    num_epochs: Annotated[
        int | None,
        typer.Option("--num-epochs", "--epochs", help="Passes over each batch.", rich_help_panel=PPO),
    ] = None,
    num_mini_batches: Annotated[
        int | None, typer.Option(help="Gradient steps per pass over the batch.", rich_help_panel=PPO)
    ] = None,
    gamma: Annotated[float | None, typer.Option(help="Discount per tick.", rich_help_panel=PPO)] = None,
    gae_lambda: Annotated[
        float | None,
        typer.Option(help="Advantage estimation: 0 trusts the critic, 1 the returns.", rich_help_panel=PPO),
    ] = None,
    bootstrap_truncations: Annotated[
        bool | None,
        typer.Option(
            help="Where an episode's time is up, count on what would have followed; no: nothing follows.",
            rich_help_panel=PPO,
        ),
    ] = None,
    max_grad_norm: Annotated[
        float | None,
        typer.Option(help="Gradients longer than this are shortened to it.", rich_help_panel=PPO),
    ] = None,
    value_clip: Annotated[
        str | None,
        typer.Option(
            help="How far a value may move from the recorded one; null switches the clip off.",
            rich_help_panel=PPO,
            metavar="FLOAT|null",
        ),
    ] = None,
    advantage_normalization: Annotated[
        bool | None,
        typer.Option(
            help="Give the advantages of each minibatch mean 0 and standard deviation 1.",
            rich_help_panel=PPO,
        ),
    ] = None,
    target_kl: Annotated[
        float | None,
        typer.Option(
            help="End the update after an epoch whose mean KL divergence exceeds this.", rich_help_panel=PPO
        ),
    ] = None,
    lr_schedule: Annotated[
        Literal["constant", "linear"] | None,
        typer.Option(
            help="Keep the learning rate, or lower it linearly to 0 over the run.", rich_help_panel=PPO
        ),
    ] = None,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            help="Transitions per backward pass; gradients add up to the whole minibatch's.",
            rich_help_panel=PPO,
        ),
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16"] | None,
        typer.Option(
            help="Arithmetic of the network while training; the weights stay fp32.", rich_help_panel=PPO
        ),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None,
        typer.Option(help="Where the network trains; auto takes a GPU if there is one.", rich_help_panel=PPO),
    ] = None,
) -> None:
    """Train a policy with PPO; every flag is also TOWNLET_NAME and a key of the config file."""
    given = {name: value for name, value in locals().items() if value is not None}
    for name in ("output", "resume", "config", "force", "as_json"):
        given.pop(name, None)
    if given.get("value_clip") == "null":
        given["value_clip"] = None
    if resume is not None:
        _resume(resume, given, as_json)
        return
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
    from townlet_core.training.feed import open_dataset
    from townlet_core.training.run import begin_run, choose_folder

    name = plan.name if plan else "replay"
    folder = choose_folder(output, name, settings.seed, force)
    given = settings.replay_manifest or settings.replay_sample
    dataset = open_dataset(settings, settings.replay_manifest) if given else None
    with io.lock_folder(folder):
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
        note_resumed(folder, plan, cycle, settings.cycles)
        note(f"resuming {safe(folder)} after cycle {cycle} of {settings.cycles}")
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
    from townlet_core.training.feed import PREFIX, open_dataset, record_script

    manifests = settings.replay_manifest
    if not manifests and not settings.replay_sample:
        assert plan is not None  # without recordings there is a scenario
        where = settings.capture_dir or folder / "samples"
        manifest = where / f"{PREFIX}_manifest.json"
        if not manifest.is_file():
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
        out.print(
            f"{done} cycles, {result.progress.steps:,} transitions; mean reward "
            f"{rewards[0]:.4f} in cycle {done - len(rewards) + 1}, {rewards[-1]:.4f} in cycle {done}"
        )
    out.print(f"run: {safe(folder)}")
    out.print(f"telemetry: {safe(log)}")
    out.print(f"weights sha256: {result.weights_sha256}")
    next_step(f"townlet telemetry watch {log}")
    if plan:
        next_step(f"townlet evaluate {folder} scripted random --scenario {settings.scenario}")
