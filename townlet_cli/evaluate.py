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
    from collections.abc import Sequence

    import numpy as np

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
    from townlet_core.evaluate import evaluate_episodes
    from townlet_core.measures.table import MEASURES, estimate_measures
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
    played: dict[str, np.ndarray] = {}
    with progress(f"evaluating on {loaded.name}", episodes * len(opened)) as advance:
        for name, policy in opened:
            played[name] = evaluate_episodes(loaded, policy, episodes, seed, advance)
    results = {name: estimate_measures(values) for name, values in played.items()}
    first, *others = played
    # The episodes are the same for all policies, so what they have in common cancels in a difference.
    less = {name: estimate_measures(played[first] - played[name]) for name in others}
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
                "differences": [
                    {"first": first, "second": name, **_as_dict(difference)}
                    for name, difference in less.items()
                ],
            }
        )
        return
    shown = [name for name in MEASURES if any(_is_something(found[name]) for found in results.values())]
    title = f"{safe(loaded.name)}: {count(episodes, 'episode')} of each policy, mean and 95 % interval"
    _print_table(title, shown, {_heading(name, deterministic): found for name, found in results.items()})
    if less:
        out.print()
        title = f"{safe(_heading(first, deterministic))} less each other policy, in the same episodes"
        _print_table(title, shown, {_heading(name, deterministic): found for name, found in less.items()})
    if left_out := [name for name in MEASURES if name not in shown]:
        out.print(f"0 or not defined for every policy: {', '.join(left_out)}")
    for measure in shown:
        note(f"[dim]{measure}: {MEASURES[measure]}[/dim]")
    note("[dim]intervals cover other episodes of these policies, not other training seeds[/dim]")
    start, n = project_folder("captures") / f"{loaded.name}-policy", 1
    folder = start
    while io.kind_of(folder):
        n += 1
        folder = start.with_name(f"{start.name}-{n}")
    greedy = ("--deterministic",) if deterministic and policies[0] not in SCRIPTS else ()
    next_step(command("capture", chosen, "--policy", policies[0], *greedy, "--output", folder))


def _heading(name: str, deterministic: bool) -> str:
    return f"{safe(name)}{' (deterministic)' if deterministic and name not in SCRIPTS else ''}"


def _is_something(estimate: Estimate) -> bool:
    return not math.isnan(estimate.mean) and tuple(estimate) != (0, 0, 0)


def _print_table(title: str, measures: Sequence[str], results: dict[str, dict[str, Estimate]]) -> None:
    rows = table(title, "", *results)
    for measure in measures:
        rows.add_row(measure, *(_show(found[measure]) for found in results.values()))
    out.print(rows)


def _as_dict(result: dict[str, Estimate]) -> dict[str, dict[str, float]]:
    return {measure: estimate._asdict() for measure, estimate in result.items()}


def _show(estimate: Estimate) -> str:
    if math.isnan(estimate.low):  # no episode, or only one, defines the measure
        return "–" if math.isnan(estimate.mean) else f"{estimate.mean:.3f}"
    return f"{estimate.mean:.3f}\n[dim]{estimate.low:.3f} … {estimate.high:.3f}[/dim]"
