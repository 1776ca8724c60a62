"""The examples of every help page, its essential options and its headings, by the words of the command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Page(NamedTuple):
    """What a help page shows beside what the command itself says."""

    examples: tuple[str, ...]  # lines to paste, at least two
    essential: tuple[str, ...] | None = None  # options without --help-all; None: all of them
    groups: Mapping[
        str, tuple[str, ...]
    ] = {}  # headings over the other options; of a group over its commands


PAGES = {
    "": Page(
        ("townlet capture queue_conflict", "townlet train queue_conflict --cycles 10"),
        essential=("--version", "-q", "-v", "--color", "--no-progress"),
        groups={
            "First steps": ("scenario", "capture", "train", "evaluate", "study"),
            "Look at what came out": ("report", "runs", "telemetry", "replay"),
            "This program": ("doctor", "docs", "config", "compile"),
        },
    ),
    "capture": Page(
        ("townlet capture queue_conflict", "townlet capture town_day --towns 8 -o captures/day"),
        essential=("--ticks", "--towns", "--seed", "--policy", "--output", "--check", "--force", "--json"),
        groups={
            "Policy": ("--epsilon", "--deterministic", "--score"),
            "What is recorded": ("--agent", "--auto-seed-agents"),
            "Files": ("--prefix", "--format", "--compression", "--compress", "--dry-run"),
            "Many machines": ("--workers", "--shard"),
        },
    ),
    "train": Page(
        (
            "townlet train queue_conflict --mode mixed --cycles 10",
            "townlet train --resume runs/queue_conflict-s0-1",
        ),
        essential=(
            "--mode",
            "--cycles",
            "--seed",
            "--output",
            "--resume",
            "--config",
            "--force",
            "--num-towns",
            "--replay-manifest",
            "--learning-rate",
            "--device",
            "--json",
        ),
        groups={"Run": (), "Data": (), "Evaluation": (), "PPO": ()},
    ),
    "evaluate": Page(
        (
            "townlet evaluate scripted random --episodes 20",
            "townlet evaluate runs/queue_conflict-s0-1 scripted",
        ),
        essential=("--scenario", "--episodes", "--seed", "--deterministic", "--json"),
        groups={"Many machines": ("--shard", "--merge", "--output", "--force")},
    ),
    "study": Page(("townlet study plan.yaml --list", "townlet study plan.yaml --run 1-4")),
    "report": Page(
        ("townlet report runs/queue_conflict-s0-1", "townlet report runs/a-s0-1 runs/a-s1-1 -o a.html"),
        essential=("--output", "--png", "--no-player", "--baseline-episodes", "--force"),
    ),
    "config": Page(("townlet config show", "townlet config show --origin")),
    "config show": Page(
        ("townlet config show --origin", "townlet config show --set ppo.gamma=0.9 --json"),
        essential=("--config", "--set", "--origin", "--json"),
        groups={"Run": (), "Data": (), "PPO": ()},
    ),
    "compile": Page(("townlet compile", "townlet compile --json")),
    "doctor": Page(("townlet doctor", "townlet doctor --json")),
    "docs": Page(("townlet docs", "townlet docs telemetry")),
    "scenario": Page(("townlet scenario list", "townlet scenario show town_day")),
    "scenario list": Page(("townlet scenario list", "townlet scenario list --json")),
    "scenario show": Page(("townlet scenario show queue_conflict", "townlet scenario show my_town.yaml")),
    "scenario validate": Page(
        ("townlet scenario validate my_town.yaml", "townlet scenario validate towns/*.yaml --json")
    ),
    "scenario new": Page(
        ("townlet scenario new my_town", "townlet scenario new bath --from queue_conflict -o towns")
    ),
    "scenario schema": Page(
        ("townlet scenario schema", "townlet scenario schema -o townlet_scenario.schema.json")
    ),
    "replay": Page(
        ("townlet replay inspect captures/queue_conflict", "townlet replay render captures/queue_conflict"),
        groups={
            "Look at recordings": ("list", "inspect", "render", "stats", "measure", "validate", "diff"),
            "Make datasets": ("filter", "slice", "merge", "split"),
            "Other forms": ("pack", "unpack", "recompress", "export", "import"),
            "Tidy up": ("prune",),
        },
    ),
    "replay validate": Page(
        (
            "townlet replay validate captures/queue_conflict",
            "townlet replay validate captures/* --for-training",
        )
    ),
    "replay inspect": Page(
        (
            "townlet replay inspect captures/queue_conflict",
            "townlet replay inspect captures/queue_conflict --json",
        )
    ),
    "replay render": Page(
        (
            "townlet replay render captures/queue_conflict",
            "townlet replay render captures/queue_conflict --format png",
        ),
        essential=("--format", "--output", "--force", "--town", "--episode", "--from", "--to"),
        groups={"Pictures": ("--tick", "--moments", "--every", "--fps")},
    ),
    "replay stats": Page(
        (
            "townlet replay stats captures/queue_conflict",
            "townlet replay stats captures/queue_conflict --card",
        )
    ),
    "replay measure": Page(
        ("townlet replay measure captures/day", "townlet replay measure captures/day --json")
    ),
    "replay pack": Page(
        ("townlet replay pack captures/queue_conflict", "townlet replay pack captures/day -o captures/packed")
    ),
    "replay unpack": Page(
        (
            "townlet replay unpack captures/queue_conflict_packed",
            "townlet replay unpack captures/packed -o captures/day",
        )
    ),
    "replay filter": Page(
        (
            "townlet replay filter captures/day --where 'reward_sum > 0'",
            "townlet replay filter captures/day --agent anna",
        ),
        essential=("--where", "--agent", "--scenario", "--output", "--copy", "--force", "--json"),
        groups={"Copies": ("--prefix", "--format", "--compression")},
    ),
    "replay slice": Page(
        (
            "townlet replay slice captures/day --ticks 100:300 -o cut",
            "townlet replay slice captures/day --agent anna -o anna",
        ),
        essential=("--ticks", "--agent", "--output", "--force", "--json"),
        groups={"Copies": ("--prefix", "--format", "--compression")},
    ),
    "replay merge": Page(
        ("townlet replay merge captures/* -o captures/all", "townlet replay merge day night -o both"),
        essential=("--output", "--force", "--json"),
        groups={"Copies": ("--prefix", "--format", "--compression")},
    ),
    "replay split": Page(
        (
            "townlet replay split captures/day",
            "townlet replay split captures/day --validation 0.1 --seed 7",
        ),
        essential=("--validation", "--seed", "--output", "--copy", "--force", "--json"),
        groups={"Copies": ("--prefix", "--format", "--compression")},
    ),
    "replay list": Page(("townlet replay list", "townlet replay list captures --json")),
    "replay diff": Page(
        ("townlet replay diff captures/a captures/b", "townlet replay diff captures/a captures/b --bytes")
    ),
    "replay recompress": Page(
        (
            "townlet replay recompress captures/day --compression zstd",
            "townlet replay recompress captures/day --compression deflated",
        )
    ),
    "replay prune": Page(
        ("townlet replay prune captures --keep 5", "townlet replay prune captures --older-than 30d --yes")
    ),
    "replay export": Page(
        (
            "townlet replay export captures/day --to parquet -o day",
            "townlet replay export captures/day --to minari -o day",
        )
    ),
    "replay import": Page(
        (
            "townlet replay import a.npz --from npz --mapping m.yaml -o a",
            "townlet replay import b/c-v0 --from minari --mapping m.yaml -o b",
        )
    ),
    "telemetry": Page(
        (
            "townlet telemetry watch runs/queue_conflict-s0-1 --follow",
            "townlet telemetry summary runs/queue_conflict-s0-1",
        )
    ),
    "telemetry watch": Page(
        (
            "townlet telemetry watch runs/queue_conflict-s0-1 --follow",
            "townlet telemetry watch a.jsonl --alert 'kl_divergence > 0.2'",
        ),
        essential=(
            "--follow",
            "--metric",
            "--alert",
            "--rules",
            "--fail-on-alert",
            "--stale-after",
            "--json",
        ),
    ),
    "telemetry rules": Page(("townlet telemetry rules queue_conflict", "townlet telemetry rules town_day")),
    "telemetry summary": Page(
        (
            "townlet telemetry summary runs/queue_conflict-s0-1",
            "townlet telemetry summary new.jsonl --baseline old.jsonl",
        )
    ),
    "telemetry validate": Page(
        (
            "townlet telemetry validate runs/queue_conflict-s0-1",
            "townlet telemetry validate a.jsonl --json",
        )
    ),
    "telemetry schema": Page(
        ("townlet telemetry schema", "townlet telemetry schema -o telemetry.schema.json"),
    ),
    "telemetry export": Page(
        (
            "townlet telemetry export runs/queue_conflict-s0-1 --to csv -o run.csv",
            "townlet telemetry export runs --to tensorboard -o board",
        )
    ),
    "runs": Page(("townlet runs list", "townlet runs show runs/queue_conflict-s0-1")),
    "runs list": Page(("townlet runs list", "townlet runs list --status failed --sort size")),
    "runs show": Page(
        (
            "townlet runs show runs/queue_conflict-s0-1",
            "townlet runs show runs/queue_conflict-s0-1 --all --json",
        )
    ),
    "runs compare": Page(
        ("townlet runs compare runs/a-s0-1 runs/b-s0-1", "townlet runs compare runs/* --json")
    ),
    "runs export": Page(
        (
            "townlet runs export runs/a-s0-1 runs/a-s1-1 --to latex",
            "townlet runs export runs/* --to marl-eval -o results.json",
        )
    ),
    "runs prune": Page(("townlet runs prune --keep 20", "townlet runs prune --older-than 30d --yes")),
}
