"""`townlet evaluate`: how good policies are, side by side, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.capture import note_first_compilation
from townlet_cli.console import command, next_step, note, out, print_json, progress, safe, table, warn
from townlet_cli.policies import open_policy, scenario_of_run
from townlet_core import io

if TYPE_CHECKING:
    from townlet_core.evaluate import Estimate


def evaluate(
    policies: Annotated[list[str], typer.Argument(help="scripted, random, or a run or checkpoint folder.")],
    scenario: Annotated[
        str | None, typer.Option(help="Name or YAML file; by default what the first run was trained in.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=2, max=100_000, help="Episodes per policy.")] = 100,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Seed of the episodes; the same for all policies.")
    ] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play whole episodes with each policy and compare returns, conflicts, needs and wages."""
    from townlet_core.evaluate import MEASURES
    from townlet_core.evaluate import evaluate as play
    from townlet_core.scenario.load import load_scenario

    trained_in = {name: found for name in policies if (found := scenario_of_run(name))}
    chosen = scenario or next(iter(trained_in.values()), "queue_conflict")
    plan = load_scenario(chosen)
    for name, own in trained_in.items():
        if own not in (chosen, plan.name):
            warn(f"{name} was trained in {own}, and is evaluated in {plan.name}")
    opened = [(name, *open_policy(name, plan, None, chosen)) for name in policies]
    note_first_compilation()
    results: dict[str, dict[str, Estimate]] = {}
    with progress(f"evaluating on {plan.name}", episodes * len(opened)) as advance:
        for name, policy, _ in opened:
            results[name] = play(plan, policy, episodes, seed, advance)
    if as_json:
        print_json(
            {
                "scenario": plan.name,
                "episodes": episodes,
                "seed": seed,
                "policies": [
                    {"policy": name, "behaviour": behaviour, **_as_dict(results[name])}
                    for name, _, behaviour in opened
                ],
            }
        )
        return
    rows = table(
        f"{safe(plan.name)}: {episodes} episodes each, mean [95 % interval]", "", *map(safe, results)
    )
    for measure in MEASURES:
        rows.add_row(measure, *(_show(result[measure]) for result in results.values()))
    out.print(rows)
    for measure, meaning in MEASURES.items():
        note(f"[dim]{measure}: {meaning}[/dim]")
    folder, n = f"captures/{plan.name}-policy", 1
    while io.kind_of(Path(folder)):
        n += 1
        folder = f"captures/{plan.name}-policy-{n}"
    next_step(command("capture", chosen, "--policy", policies[0], "--output", folder))


def _as_dict(result: dict[str, Estimate]) -> dict[str, dict[str, float]]:
    return {measure: estimate._asdict() for measure, estimate in result.items()}


def _show(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f}\n[dim]{estimate.low:.3f} … {estimate.high:.3f}[/dim]"
