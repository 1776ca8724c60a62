"""`townlet evaluate`: how good policies are, side by side, with intervals."""

from __future__ import annotations

import math
from pathlib import Path
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

    from townlet_core.capture.rollout import RecordedPolicy
    from townlet_core.estimates import Estimate
    from townlet_core.evaluate_shards import Plan
    from townlet_core.scenario.model import Scenario


def evaluate(
    context: typer.Context,
    policies: Annotated[
        list[str],
        typer.Argument(help="scripted, random, or a run or checkpoint folder; with --merge, shards."),
    ],
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
    shard: Annotated[
        str | None, typer.Option(help="I/N: play the I-th of N parts into --output; --merge joins them.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the shard; all shards may share it.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Play a shard again that is there.")] = False,
    merge: Annotated[
        bool, typer.Option("--merge", help="Report on shards, named as files or folders, as one evaluation.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play whole episodes with each policy and compare returns, conflicts, needs and wages."""
    from townlet_core.evaluate import evaluate_episodes as play
    from townlet_core.evaluate_shards import merge_shards, plan_evaluation
    from townlet_core.scenario.load import load_scenario
    from townlet_core.shards import parse_shard

    if merge:
        _refuse_with_merge(context)
        _report(*merge_shards(map(Path, policies)), as_json)
        return
    _check_shard_options(shard, output, force)
    if deterministic and all(name in SCRIPTS for name in policies):
        raise InputError("--deterministic is for checkpoints, and none is evaluated", "leave it out")
    trained_in = {name: found for name in policies if (found := scenario_of_run(name))}
    chosen = scenario or next(iter(trained_in.values()), "queue_conflict")
    loaded = load_scenario(chosen)
    for name, own in trained_in.items():
        if own != chosen and not is_same_scenario(own, loaded):
            warn(f"{name} was trained in {own}, and is evaluated in {loaded.name}")
    opened = [(name, open_policy(name, loaded, None, chosen, deterministic)) for name in policies]
    part = None if shard is None else parse_shard(shard)
    plan = plan_evaluation(loaded, chosen, opened, episodes, seed, part)
    if output is not None:
        _play_shard(loaded, [policy for _, policy in opened], plan, output, force, as_json)
        return
    note_first_compilation()
    with progress(f"evaluating on {loaded.name}", episodes * len(opened)) as advance:
        results = [play(loaded, policy, episodes, seed, advance) for _, policy in opened]
    _report(plan, results, as_json)


def _refuse_with_merge(context: typer.Context) -> None:
    """Raise InputError for an option that says how to play."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        is_free = parameter.name in ("policies", "merge", "as_json")
        if not is_free and source is not None and source.name == "COMMANDLINE":
            raise InputError(
                f"{parameter.opts[0]} does not apply to --merge: shards say how they were played",
                "leave it out",
            )


def _check_shard_options(shard: str | None, output: Path | None, force: bool) -> None:
    """Raise InputError unless a shard has a place to be written to, and nothing else has."""
    if shard is None and (output is not None or force):
        name = "--force" if output is None else "--output"
        raise InputError(f"{name} is for shards, and --shard is missing", "add --shard I/N, or leave it out")
    if shard is not None and output is None:
        raise InputError("--output: is missing, expected a folder for the shard", "all shards may share one")


def _play_shard(
    scenario: Scenario,
    policies: Sequence[RecordedPolicy],
    plan: Plan,
    folder: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Play a shard unless it is there, and say where it is."""
    from townlet_core.evaluate_shards import is_written, shard_path, write_shard

    io.refuse_address(folder)
    path, numbers = shard_path(folder, plan), plan.numbers
    is_there = not force and is_written(path, plan)
    if not is_there:
        note_first_compilation()
        with progress(f"evaluating on {scenario.name}", len(numbers) * len(policies)) as advance:
            is_there = not write_shard(scenario, policies, plan, folder, force, advance)
    if is_there:
        note(f"{safe(path)}: is there already, and was not played again")
    number, shards = plan.shard or (1, 1)
    if as_json:
        first, last = numbers[0] + 1, numbers[-1] + 1
        print_json(
            {
                "file": str(path),
                "shard": f"{number}/{shards}",
                "first_episode": first,
                "last_episode": last,
                "played": not is_there,
            }
        )
        return
    out.print(f"shard {number}/{shards}: {count(len(numbers), 'episode')} per policy in {safe(path)}")
    next_step(command("evaluate", "--merge", folder))


def _report(plan: Plan, played: Sequence[np.ndarray], as_json: bool) -> None:
    """Print the estimates of every policy, and how they differ. played: measures of its episodes, of each."""
    from townlet_core.measures.table import MEASURES, estimate_measures

    results = [estimate_measures(values) for values in played]
    # The episodes are the same for all policies, so what they have in common cancels in a difference.
    less = [estimate_measures(played[0] - values) for values in played[1:]]
    if as_json:
        print_json(_as_json(plan, results, less))
        return
    names = [
        f"{safe(name)}{' (deterministic)' if greedy else ''}"
        for name, greedy in zip(plan.policies, plan.deterministic, strict=True)
    ]
    shown = [name for name in MEASURES if any(_is_something(found[name]) for found in results)]
    title = f"{safe(plan.scenario)}: {count(plan.episodes, 'episode')} of each policy, mean and 95 % interval"
    _print_table(title, shown, dict(zip(names, results, strict=True)))
    if less:
        out.print()
        title = f"{names[0]} less each other policy, in the same episodes"
        _print_table(title, shown, dict(zip(names[1:], less, strict=True)))
    if left_out := [name for name in MEASURES if name not in shown]:
        out.print(f"0 or not defined for every policy: {', '.join(left_out)}")
    for measure in shown:
        note(f"[dim]{measure}: {MEASURES[measure]}[/dim]")
    note("[dim]intervals cover other episodes of these policies, not other training seeds[/dim]")
    first, n = project_folder("captures") / f"{plan.scenario}-policy", 1
    folder = first
    while io.kind_of(folder):
        n += 1
        folder = first.with_name(f"{first.name}-{n}")
    greedy = ("--deterministic",) if plan.deterministic[0] else ()
    next_step(command("capture", plan.source, "--policy", plan.policies[0], *greedy, "--output", folder))


def _as_json(
    plan: Plan, results: Sequence[dict[str, Estimate]], less: Sequence[dict[str, Estimate]]
) -> dict[str, object]:
    """Return what --json prints."""
    from townlet_core.estimates import LEVEL, METHOD

    return {
        "scenario": plan.scenario,
        "episodes": plan.episodes,
        "seed": plan.seed,
        "interval": {"level": LEVEL, "method": METHOD, "over": "episodes"},
        "policies": [
            {
                "policy": name,
                "behaviour": behaviour,
                "deterministic": greedy,
                **{measure: estimate._asdict() for measure, estimate in result.items()},
            }
            for name, behaviour, greedy, result in zip(
                plan.policies, plan.behaviours, plan.deterministic, results, strict=True
            )
        ],
        "differences": [
            {
                "first": plan.policies[0],
                "second": name,
                **{measure: estimate._asdict() for measure, estimate in difference.items()},
            }
            for name, difference in zip(plan.policies[1:], less, strict=True)
        ],
    }


def _is_something(estimate: Estimate) -> bool:
    return not math.isnan(estimate.mean) and tuple(estimate) != (0, 0, 0)


def _print_table(title: str, measures: Sequence[str], results: dict[str, dict[str, Estimate]]) -> None:
    rows = table(title, "", *results)
    for measure in measures:
        rows.add_row(measure, *(_show(found[measure]) for found in results.values()))
    out.print(rows)


def _show(estimate: Estimate) -> str:
    if math.isnan(estimate.low):  # no episode, or only one, defines the measure
        return "–" if math.isnan(estimate.mean) else f"{estimate.mean:.3f}"
    return f"{estimate.mean:.3f}\n[dim]{estimate.low:.3f} … {estimate.high:.3f}[/dim]"
