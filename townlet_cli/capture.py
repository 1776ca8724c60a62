"""`townlet capture`: play a scenario and write what happened as replay samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from townlet_cli.policies import SCRIPTS, open_policy, open_scored_policy
from townlet_cli.training_settings import project_folder
from townlet_core.errors import InputError
from townlet_core.vocab import EVENTS

if TYPE_CHECKING:
    from townlet_core.capture.finish import Capture
    from townlet_core.capture.folder import CaptureFiles
    from townlet_core.capture.session import PreparedCapture
    from townlet_core.capture.settings import CaptureSettings
    from townlet_core.scenario.model import Scenario

SHOWN_SAMPLES = 12  # rows of the table; the manifest lists all
NOTED_SECONDS = 1  # of a compilation


def capture(
    scenario: Annotated[str, typer.Argument(help="Name of a bundled scenario, or a YAML file.")],
    ticks: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, help="Ticks per town; by default one episode."),
    ] = None,
    towns: Annotated[int, typer.Option(min=1, max=1_000_000, help="Number of towns to simulate.")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Random seed; by default the scenario's.")
    ] = None,
    policy: Annotated[str, typer.Option(help="scripted, random, or a checkpoint.")] = "scripted",
    agent: Annotated[str | None, typer.Option(help="Record this agent only.")] = None,
    epsilon: Annotated[
        float | None, typer.Option(min=0, max=1, help="Probability that the script takes a random action.")
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic", help="Checkpoints take the most probable action instead of sampling."
        ),
    ] = False,
    score: Annotated[
        str | None, typer.Option(help="Critic that fills value_preds of a script: a checkpoint, or fresh.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to; by default captures/SCENARIO.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Prefix of all file names.")] = "rollout_sample",
    compress: Annotated[
        bool, typer.Option("--compress", help="Compress the NPZ files: smaller, slower to read.")
    ] = False,
    format: Annotated[
        str, typer.Option(help="npz: two files per sample; arrow: shards of many samples.")
    ] = "npz",
    compression: Annotated[
        str | None, typer.Option(help="Of Arrow shards: zstd (the default), lz4 or none.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Processes that play towns.")] = 1,
    shard: Annotated[
        str | None, typer.Option(help="I/N: capture the I-th of N parts; replay merge joins them.")
    ] = None,
    auto_seed_agents: Annotated[
        bool, typer.Option("--auto-seed-agents", help="Add agents alice and bob if the scenario has none.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Check the scenario's expectations; exit 1 if they are not met.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the capture in the folder.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written and removed, and do neither.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play a scenario and write replay samples, metrics, events and a manifest."""
    from townlet_core.capture.session import prepare_capture
    from townlet_core.capture.settings import refuse_uncheckable
    from townlet_core.scenario.load import load_with_text, with_placeholder_agents

    if epsilon is not None and policy != "scripted":
        raise InputError(f"--epsilon is for the script, and --policy is {policy}", "leave one of them out")
    if deterministic and policy in SCRIPTS:
        raise InputError(f"--deterministic is for checkpoints, and --policy is {policy}", "leave it out")
    if score is not None and policy not in SCRIPTS:
        raise InputError("--score is for scripts; a checkpoint has its own critic", "leave it out")
    loaded, text = load_with_text(scenario)
    train: tuple[str, ...] = ("train", scenario, "--mode", "mixed")
    if auto_seed_agents and not loaded.agents:
        train = ("train", "--mode", "replay")  # nobody lives in the scenario itself
        loaded = with_placeholder_agents(loaded)
        note("no agents in the scenario: added alice and bob")
    if score is None:
        acting = open_policy(policy, loaded, epsilon, scenario, deterministic)
    else:
        critic_seed = loaded.seed if seed is None else seed
        acting = open_scored_policy(policy, loaded, epsilon, score, scenario, critic_seed)
    prepared = prepare_capture(
        loaded,
        output or project_folder("captures") / loaded.name,
        acting,
        text=text,
        ticks=ticks,
        towns=towns,
        seed=seed,
        agent=agent,
        prefix=prefix,
        compress=compress,
        format=format,
        compression=compression,
        shard=shard,
        workers=workers,
        force=force,
    )
    if check:
        refuse_uncheckable(loaded, prepared.settings)
    if dry_run:
        _report_plan(prepared, as_json)
        return
    if prepared.finished:
        note(f"{safe(prepared.output)}: shard {shard} is there already, and was not played again")
    else:
        _name_what_goes(prepared.replaces, prepared.output)
        note_first_compilation()
    result = prepared.finished or _write(prepared)
    if scenario == "-":  # which is not there to be read again; the capture has a copy
        train = ("train", str(prepared.output / f"{prefix}_scenario.yaml"), *train[2:])
    then = command(*train, "--replay-manifest", result.manifest)
    if shard is not None:
        then = f"{command('replay', 'merge')} SHARD… --output FOLDER, with all shards"
    _report(loaded, prepared.settings, result, as_json, then)
    if check:
        _check(loaded, result)


def _report_plan(prepared: PreparedCapture, as_json: bool) -> None:
    """Say what --dry-run leaves undone."""
    existing, towns, ticks = prepared.replaces, prepared.towns, prepared.settings.ticks
    removed = [*existing.parts, *existing.samples]
    kept = list(existing.others)
    if as_json:
        folder = str(prepared.output)
        print_json({"output": folder, "towns": towns, "ticks": ticks, "removed": removed, "kept": kept})
        return
    where = f"would play {count(towns, 'town')} of {count(ticks, 'tick')} into {safe(prepared.output)}"
    out.print(f"{safe(prepared.scenario.name)}: {where}")
    if removed:
        out.print(f"would remove the capture that is there: {_some(removed)}")
    if removed and kept:
        out.print(f"would keep what is not of it: {_some(kept)}")
    note("nothing was written; repeat the command without --dry-run")


def _write(prepared: PreparedCapture) -> Capture:
    """Write the capture under a progress bar that counts transitions."""
    agents = 1 if prepared.settings.agent else len(prepared.scenario.agents)
    per_town = prepared.settings.ticks * agents
    done, towns = prepared.finished_towns, prepared.towns
    if done:
        note(f"continuing a capture that was interrupted: {done:,} of {count(towns, 'town')} are finished")
    what = f"capturing {prepared.scenario.name}"
    with progress(what, towns * per_town, "transitions", done * per_town) as advance:
        return prepared.write(lambda ticks: advance(ticks * agents))


def _name_what_goes(existing: CaptureFiles, folder: Path) -> None:
    """Say which files of an older capture are removed, and what else stays."""
    files = [*existing.parts, *existing.samples]
    if files:
        note(f"{safe(folder)}: replacing the capture that is there: {_some(files)}")
    if files and existing.others:
        note(f"{safe(folder)}: keeping what is not of it: {_some(existing.others)}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_SAMPLES} more" if len(names) > SHOWN_SAMPLES else ""
    return safe(", ".join(names[:SHOWN_SAMPLES])) + more


def note_first_compilation(num_towns: int = 1) -> None:
    """Explain why the first tick after an installation takes a while; many towns have their own kernels."""
    from townlet_core.kernels import tell_compiled, warn_if_unwritable
    from townlet_core.simulation.towns import is_compiled_for

    tell_compiled(_note_compiled)
    if not is_compiled_for(num_towns):
        warn_if_unwritable()
        note("compiling the rules of the town, once per version; this takes about half a minute …")


def _note_compiled(kernel: str, seconds: float) -> None:
    if seconds >= NOTED_SECONDS:
        note(f"compiled {kernel}: {seconds:.0f} s")


def _report(scenario: Scenario, settings: CaptureSettings, result: Capture, as_json: bool, then: str) -> None:
    if as_json:
        what = "shards" if settings.format == "arrow" else "samples"
        print_json({"manifest": str(result.manifest), what: result.entries, "totals": result.totals})
        return
    title = f"{safe(scenario.name)}: {count(settings.ticks, 'tick')}, seed {settings.seed}"
    if settings.format == "arrow":
        rows = table(title, "shard", "samples", "transitions")
        for entry in result.entries[:SHOWN_SAMPLES]:
            rows.add_row(safe(entry["shard"]), f"{entry['sample_count']:,}", f"{entry['transitions']:,}")
    else:
        rows = table(title, "sample", "ticks", "reward")
        for entry, reward in list(zip(result.entries, result.rewards, strict=True))[:SHOWN_SAMPLES]:
            rows.add_row(safe(entry["sample"]), str(entry["frame_count"]), f"{reward:.3f}")
    if len(result.entries) > SHOWN_SAMPLES:
        rows.add_row(f"… and {len(result.entries) - SHOWN_SAMPLES} more")
    out.print(rows)
    counts = {name: result.totals[f"{name}_events"] for name in EVENTS}
    out.print(", ".join(f"{name} {n:g}" for name, n in counts.items() if n) or "no events")
    out.print(f"manifest: {safe(result.manifest)}")
    next_step(then)


def _check(scenario: Scenario, result: Capture) -> None:
    from townlet_core.capture.totals import unmet_expectations
    from townlet_core.errors import CheckFailed

    misses = unmet_expectations(scenario, result.totals)
    for miss in misses:
        warn(str(miss))
    if misses:
        raise CheckFailed(
            f"{scenario.name}: {len(misses)} of {count(len(scenario.expect), 'expectation')} not met"
        )
    note(f"{safe(scenario.name)}: {count(len(scenario.expect), 'expectation')} met")
