"""What `townlet train --dry-run` prints: the runs that would be made, and what would be removed for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from townlet_cli.console import count, note, out, print_json, safe

if TYPE_CHECKING:
    from townlet_core.training.plan import Plan

SHOWN_NAMES = 8  # of what would stay


def report_plan(plan: Plan, as_json: bool) -> None:
    """Say what a run would make and remove."""
    if as_json:
        print_json(plan_json(plan))
        return
    _show(plan)
    note("nothing was written; repeat the command without --dry-run")


def report_plans(plans: list[Plan], seeds: tuple[int, ...], as_json: bool) -> None:
    """Say what the runs of several seeds would make and remove."""
    if as_json:
        print_json({"seeds": list(seeds), "runs": [plan_json(plan) for plan in plans]})
        return
    for plan in plans:
        _show(plan)
    note("nothing was written; repeat the command without --dry-run")


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return what --json prints of a run."""
    from townlet_core.training.settings import config_yaml

    made = plan.recording
    return {
        "run": str(plan.folder),
        "telemetry": str(plan.log),
        "resumes": plan.resumes,
        "settings": config_yaml(plan.settings),
        "removed": plan.removed.removed,
        "kept": plan.removed.kept,
        "removed_log": [str(file) for file in plan.old_log],
        "recordings": made and {**made._asdict(), "folder": str(made.folder)},
        "parameters": plan.parameters,
        "memory_bytes": plan.memory,
    }


def _show(plan: Plan) -> None:
    settings, made, gone = plan.settings, plan.recording, plan.removed
    what = "resume the run" if plan.resumes else f"train {count(settings.cycles, 'cycle')}"
    out.print(
        f"{safe(plan.scenario)}: would {what} in {safe(plan.folder)}; mode {settings.source}, seed "
        f"{settings.seed}, log {safe(plan.log)}"
    )
    out.print(f"{count(plan.parameters, 'parameter')} take about {plan.memory / 1e6:,.1f} MB to train")
    if made and made.is_there:
        out.print(f"would learn from the recordings in {safe(made.folder)}")
    elif made:
        size = f"{count(made.towns, 'town')} of {count(made.ticks, 'tick')}"
        out.print(f"would record the scripted policy in {size} into {safe(made.folder)}")
    if gone.removed:
        out.print(f"would remove the run that is there: {safe(', '.join(gone.removed))}")
    if gone.kept:
        more = len(gone.kept) - SHOWN_NAMES
        shown = safe(", ".join(gone.kept[:SHOWN_NAMES])) + (f" and {more} more" if more > 0 else "")
        out.print(f"would keep what is not of it: {shown}")
    if plan.old_log:
        out.print(f"would remove the log that is there: {safe(', '.join(map(str, plan.old_log)))}")
