"""What `townlet train --seeds` prints: a table of runs, and means with intervals over seeds."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from townlet_cli.console import command, count, next_step, note, out, print_json, safe, table
from townlet_core.errors import RunFailed

if TYPE_CHECKING:
    from townlet_core.training.seeds import SeedSet


def show_seed(seeds: tuple[int, ...], seed: int) -> None:
    """Say which seed begins."""
    note(f"seed {seed}, {seeds.index(seed) + 1} of {len(seeds)}")


def report_seeds(found: SeedSet, seeds: tuple[int, ...], as_json: bool) -> None:
    """Print the runs and the estimates over their seeds. Raises RunFailed, after that, if a run failed."""
    if as_json:
        print_json(seeds_json(found, seeds))
    elif found.sessions:
        _show(found, seeds)
    if found.failed:
        reasons = "; ".join(f"seed {seed}: {error}" for seed, error in found.failed.items())
        failed = f"{count(len(found.failed), 'seed')} of {len(seeds)} failed"
        raise RunFailed(f"{failed}: {reasons}", next(iter(found.failed.values())).hint)


def _show(found: SeedSet, seeds: tuple[int, ...]) -> None:
    names = list(found.estimates) or list(next(iter(found.finals.values())))
    finished = sum(session.is_finished for session in found.sessions.values())
    rows = table(
        f"{count(finished, 'seed')} of {len(seeds)} finished; values that the logs end with", "", *names
    )
    for seed in found.sessions:
        values = (f"{found.finals[seed][name]:.4f}" if name in found.finals[seed] else "" for name in names)
        rows.add_row(f"seed {seed}", *values)
    if found.estimates:
        rows.add_row("mean", *(f"{estimate.mean:.4f}" for estimate in found.estimates.values()))
        rows.add_row("95 % interval", *(f"{e.low:.4f} … {e.high:.4f}" for e in found.estimates.values()))
    out.print(rows)
    for seed, session in found.sessions.items():
        out.print(f"run of seed {seed}: {safe(session.folder)}")
    if not all(session.is_finished for session in found.sessions.values()):
        note("stopped by --max-seconds; every cycle is saved")
        for session in found.sessions.values():
            if not session.is_finished:
                next_step(shlex.join(("townlet", "train", "--resume", str(session.folder))))
        return
    folders = [session.folder for session in found.sessions.values()]
    if next(iter(found.sessions.values())).scenario:
        next_step(command("evaluate", *folders, "scripted"))


def status_of(found: SeedSet) -> str:
    """Return how a set of seeds ended: one run that failed counts more than one that was stopped."""
    if found.failed:
        return "failed"
    return "finished" if found.is_finished else "interrupted"


def seeds_json(found: SeedSet, seeds: tuple[int, ...]) -> dict[str, object]:
    """Return what --json prints."""
    from townlet_core.estimates import LEVEL, METHOD

    return {
        "status": status_of(found),
        "seeds": list(seeds),
        "runs": [
            {
                "seed": seed,
                "run": str(session.folder),
                "status": "finished" if session.is_finished else "interrupted",
                "cycles": session.result.progress.cycle,
                "env_steps": session.result.progress.env_steps,
                "weights_sha256": session.result.weights_sha256,
                **found.finals[seed],
            }
            for seed, session in found.sessions.items()
        ],
        "failed": [{"seed": seed, "reason": str(error)} for seed, error in found.failed.items()],
        "interval": {"level": LEVEL, "method": METHOD, "over": "seeds"},
        "estimates": {name: estimate._asdict() for name, estimate in found.estimates.items()},
    }
