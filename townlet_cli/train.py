"""`townlet train`: train on recordings, in live towns, or both, in a run directory."""

from __future__ import annotations

import math
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.capture import note_first_compilation
from townlet_cli.console import Verbosity, detail, next_step, note, out, print_json, safe, warn
from townlet_cli.train_plan import report_plan, report_plans
from townlet_cli.train_progress import CycleProgress
from townlet_cli.train_seeds import report_seeds, show_seed
from townlet_cli.training_options import takes_training_options
from townlet_cli.training_settings import Config, Sets, given_options, project_folder, resolve_options
from townlet_core.errors import InputError, count

if TYPE_CHECKING:
    from townlet_core.replay.batch import ReplayBatch
    from townlet_core.training.reports import Reports
    from townlet_core.training.run_directory import Removed
    from townlet_core.training.session import Listener, Session
    from townlet_core.training.settings import TrainingSettings
    from townlet_core.training.warm_start import Cloned

SHOWN_NAMES = 8  # of what --force kept

run = partial(typer.Option, rich_help_panel="Run")


@takes_training_options(after="seed")
def train(
    *,
    output: Annotated[Path | None, run(help="Run directory; by default runs/SCENARIO-sSEED-N.")] = None,
    resume: Annotated[Path | None, run(help="Resume this run, bit for bit.")] = None,
    config: Config = None,
    sets: Sets = None,
    seeds: Annotated[
        str | None,
        run(help="Train a run per seed, such as 0-4, and report their mean; --output is then their folder."),
    ] = None,
    max_seconds: Annotated[
        float | None,
        run(min=0, help="Stop after the cycle in which so much time has passed; --resume goes on."),
    ] = None,
    timeout: Annotated[
        float | None,
        run(min=1, help="Seconds to wait for another process of the run, under torchrun; 600 by default."),
    ] = None,
    force: Annotated[
        bool,
        run("--force", help="Replace the run in the directory and the log at --ppo-log; other files stay."),
    ] = False,
    dry_run: Annotated[
        bool, run("--dry-run", help="Check all input, say what would be made and removed, and do neither.")
    ] = False,
    as_json: Annotated[bool, run("--json", help="Print one JSON object at the end.")] = False,
    **options: Any,
) -> None:
    """Train a policy with PPO. Every setting is also a variable TOWNLET_NAME and a config file key."""
    seconds = math.inf if max_seconds is None else max_seconds
    if resume is not None:
        own: dict[str, Any] = {"output": output, "config": config, "set": sets, "seeds": seeds}
        own |= {"force": force or None, "dry_run": dry_run or None}
        _resume(
            resume,
            given_options(options),
            [name for name, value in own.items() if value is not None],
            seconds,
            timeout,
            as_json,
        )
        return
    settings, sources = resolve_options(options, config, sets)
    wanted = _wanted_seeds(seeds, options["seed"])
    places: dict[str, Any] = {"output": output, "runs": project_folder("runs"), "force": force}
    if dry_run:
        _plan(settings, wanted, places, as_json)
        return
    watched = CycleProgress()
    rest: dict[str, Any] = {
        **places,
        "max_seconds": seconds,
        "sources": dict(sources),
        "reports": reports_of(watched),  # only now: this waits for torch, and a mistake above need not
        "listener": listener_of(watched),
    }
    if wanted is None:
        from townlet_core.training.session import train as begin

        _report(begin(settings, timeout=timeout, **rest), as_json)
    else:
        from townlet_core.training.seeds import train_seeds

        found = train_seeds(settings, wanted, before=partial(show_seed, wanted), **rest)
        report_seeds(found, wanted, as_json)


def _plan(
    settings: TrainingSettings, wanted: tuple[int, ...] | None, places: dict[str, Any], as_json: bool
) -> None:
    from townlet_core.training.plan import plan_run, plan_seeds

    if wanted is None:
        report_plan(plan_run(settings, **places), as_json)
    else:
        report_plans(plan_seeds(settings, wanted, **places), wanted, as_json)


def _wanted_seeds(seeds: str | None, seed: int | None) -> tuple[int, ...] | None:
    from townlet_core.training.seed_list import parse_seeds

    if seeds is not None and seed is not None:
        raise InputError("--seed and --seeds: expected one of them", "leave one of them out")
    return None if seeds is None else parse_seeds(seeds)


def _resume(
    folder: Path,
    given: dict[str, Any],
    own: list[str],
    seconds: float,
    timeout: float | None,
    as_json: bool,
) -> None:
    from townlet_core.training.session import resume as go_on

    others = sorted({*given, *own} - {"cycles"})
    if others:
        raise InputError(
            "--resume continues a run as it was; it takes only --cycles, --max-seconds and --timeout, not "
            f"{', '.join(others)}",
            "start a new run for new settings",
        )
    watched = CycleProgress()
    session = go_on(
        folder,
        given.get("cycles"),
        max_seconds=seconds,
        timeout=timeout,
        reports=reports_of(watched),
        listener=listener_of(watched),
    )
    _report(session, as_json)


def reports_of(watched: CycleProgress) -> Reports:
    """Return what shows the reports of a run."""
    from townlet_core.training.reports import Reports

    return Reports(
        record=_show_record, batch=_show_batch, moved=watched.move, cycle=watched.end_cycle, warning=warn
    )


def listener_of(watched: CycleProgress) -> Listener:
    """Return what shows the notes of a session."""
    from townlet_core.training.session import Listener

    return Listener(
        note=lambda message: note(safe(message)),
        removed=_show_removed,
        cloned=_show_cloned,
        compiling=note_first_compilation,
        cycles=watched.shown,
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
    if session.rank:
        return  # rank 0 has said it
    folder, log, result = session.folder, session.log, session.result
    if as_json:
        print_json(
            {
                "run": str(folder),
                "status": "finished" if session.is_finished else "interrupted",
                "telemetry": str(log),
                "cycles": result.progress.cycle,
                **{name: getattr(result.progress, name) for name in ("env_steps", "env_ticks", "steps")},
                "reward_mean": result.rewards,
                "evaluations": [
                    {"cycle": cycle, **found._asdict()} for cycle, found in result.evaluations.items()
                ],
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
    if result.evaluations:
        cycle, found = list(result.evaluations.items())[-1]
        out.print(
            f"evaluated after cycle {cycle}: return {found.eval_return_mean:.4f} "
            rf"\[{found.eval_return_low:.4f}, {found.eval_return_high:.4f}], most probable actions "
            f"{found.eval_deterministic_return_mean:.4f}; highest return so far "
            f"{result.progress.best_return:.4f}"
        )
    out.print(f"run: {safe(folder)}")
    out.print(f"telemetry: {safe(log)}")
    out.print(f"weights sha256: {result.weights_sha256}")
    if not session.is_finished:
        so_far = count(result.progress.cycle, "cycle")
        note(f"stopped by --max-seconds after {so_far} of {session.settings.cycles:,}; every cycle is saved")
        next_step(shlex.join(("townlet", "train", "--resume", str(folder))))
    next_step(shlex.join(("townlet", "telemetry", "watch", str(log))))
    if session.scenario:
        next_step(shlex.join(("townlet", "evaluate", str(folder), "scripted", "random")))
