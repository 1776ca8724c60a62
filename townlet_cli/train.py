"""`townlet train`: train on recordings, in live towns, or both, in a run directory."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.capture import note_first_compilation
from townlet_cli.console import Verbosity, detail, next_step, note, out, print_json, progress, safe, warn
from townlet_cli.training_options import takes_training_options
from townlet_core.errors import count

if TYPE_CHECKING:
    from townlet_core.replay.batch import ReplayBatch
    from townlet_core.training.reports import Reports
    from townlet_core.training.run_directory import Removed
    from townlet_core.training.session import Listener, Session
    from townlet_core.training.warm_start import Cloned

SHOWN_NAMES = 8  # of what --force kept

run = partial(typer.Option, rich_help_panel="Run")


@takes_training_options(after="seed")
def train(
    *,
    output: Annotated[Path | None, run(help="Run directory; by default runs/SCENARIO-sSEED-N.")] = None,
    resume: Annotated[Path | None, run(help="Resume this run, bit for bit.")] = None,
    config: Annotated[Path | None, run(help="YAML file with sections training: and ppo:.")] = None,
    force: Annotated[
        bool,
        run("--force", help="Replace the run in the directory and the log at --ppo-log; other files stay."),
    ] = False,
    as_json: Annotated[bool, run("--json", help="Print one JSON object at the end.")] = False,
    **options: Any,
) -> None:
    """Train a policy with PPO. Every option is also a variable TOWNLET_NAME and a config file key."""
    given = {name: value for name, value in options.items() if value is not None}
    if resume is not None:
        own = {"output": output, "config": config, "force": force or None}
        _resume(resume, given, [name for name, value in own.items() if value is not None], as_json)
        return
    if given.get("value_clip") == "null":
        given["value_clip"] = None
    from townlet_core.training.settings import resolve_settings

    settings, sources = resolve_settings(given, config)
    # Only now: this waits for torch, and a mistake in the settings need not.
    from townlet_core.training.session import train as begin

    session = begin(settings, output, force=force, sources=sources, reports=_reports(), listener=_listener())
    _report(session, as_json)


def _resume(folder: Path, given: dict[str, Any], own: list[str], as_json: bool) -> None:
    from townlet_core.errors import InputError
    from townlet_core.training.session import resume as go_on

    others = sorted({*given, *own} - {"cycles"})
    if others:
        raise InputError(
            f"--resume continues a run as it was; it takes only --cycles, not {', '.join(others)}",
            "start a new run for new settings",
        )
    _report(go_on(folder, given.get("cycles"), reports=_reports(), listener=_listener()), as_json)


def _reports() -> Reports:
    from townlet_core.training.reports import Reports

    return Reports(record=_show_record, batch=_show_batch, warning=warn)


def _listener() -> Listener:
    from townlet_core.training.session import Listener

    return Listener(
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
    """Print every epoch of a warm start with -v, the last one always."""
    text = (
        f"warm start, epoch {cloned.epoch} of {epochs}: action accuracy {cloned.held_out_accuracy:.1%} on "
        f"{count(cloned.held_out_samples, 'held-out sample')}; the most frequent action reaches "
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
