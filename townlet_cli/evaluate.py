"""`townlet evaluate`: how good policies are, side by side, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.capture import note_first_compilation
from townlet_cli.console import (
    command,
    count,
    next_step,
    note,
    out,
    print_json,
    progress,
    safe,
    table,
    warn,
)
from townlet_cli.policies import SCRIPTS, is_same_scenario, open_policy, scenario_of_run
from townlet_cli.training_settings import project_folder
from townlet_core import io
from townlet_core.errors import InputError

if TYPE_CHECKING:
    from townlet_core.estimates import Estimate


def evaluate(
    policies: Annotated[list[str], typer.Argument(help="scripted, random, or a run or checkpoint folder.")],
    scenario: Annotated[
        str | None, typer.Option(help="Name or YAML file; by default what the first run was trained in.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=2, max=100_000, help="Episodes per policy.")] = 100,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Seed of the episodes; the same for all policies.")
    ] = 1000,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic", help="Checkpoints take the most probable action instead of sampling."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play whole episodes with each policy and compare returns, conflicts, needs and wages."""
    from townlet_core.estimates import LEVEL, METHOD
    from townlet_core.evaluate import evaluate as play
    from townlet_core.measures.table import MEASURES
    from townlet_core.scenario.load import load_scenario

    if deterministic and all(name in SCRIPTS for name in policies):
        raise InputError("--deterministic is for checkpoints, and none is evaluated", "leave it out")
    trained_in = {name: found for name in policies if (found := scenario_of_run(name))}
    chosen = scenario or next(iter(trained_in.values()), "queue_conflict")
    loaded = load_scenario(chosen)
    for name, own in trained_in.items():
        if own != chosen and not is_same_scenario(own, loaded):
            warn(f"{name} was trained in {own}, and is evaluated in {loaded.name}")
    opened = [(name, open_policy(name, loaded, None, chosen, deterministic)) for name in policies]
    note_first_compilation()
    results: dict[str, dict[str, Estimate]] = {}
    with progress(f"evaluating on {loaded.name}", episodes * len(opened)) as advance:
        for name, policy in opened:
            results[name] = play(loaded, policy, episodes, seed, advance)
    if as_json:
        print_json(
            {
                "scenario": loaded.name,
                "episodes": episodes,
                "seed": seed,
                "interval": {"level": LEVEL, "method": METHOD, "over": "episodes"},
                "policies": [
                    {
                        "policy": name,
                        "behaviour": policy.behaviour,
                        "deterministic": deterministic and name not in SCRIPTS,
                        **_as_dict(results[name]),
                    }
                    for name, policy in opened
                ],
            }
        )
        return
    rows = table(
        f"{safe(loaded.name)}: {count(episodes, 'episode')} each, mean and its 95 % interval over episodes",
        "",
        *(
            f"{safe(name)}{' (deterministic)' if deterministic and name not in SCRIPTS else ''}"
            for name in results
        ),
    )
    for measure in MEASURES:
        rows.add_row(measure, *(_show(result[measure]) for result in results.values()))
    out.print(rows)
    for measure, meaning in MEASURES.items():
        note(f"[dim]{measure}: {meaning}[/dim]")
    first, n = project_folder("captures") / f"{loaded.name}-policy", 1
    folder = first
    while io.kind_of(folder):
        n += 1
        folder = first.with_name(f"{first.name}-{n}")
    greedy = ("--deterministic",) if deterministic and policies[0] not in SCRIPTS else ()
    next_step(command("capture", chosen, "--policy", policies[0], *greedy, "--output", folder))


def _as_dict(result: dict[str, Estimate]) -> dict[str, dict[str, float]]:
    return {measure: estimate._asdict() for measure, estimate in result.items()}


def _show(estimate: Estimate) -> str:
    if math.isnan(estimate.low):  # no episode, or only one, defines the measure
        return "–" if math.isnan(estimate.mean) else f"{estimate.mean:.3f}"
    return f"{estimate.mean:.3f}\n[dim]{estimate.low:.3f} … {estimate.high:.3f}[/dim]"
