"""The results page: tables, verdicts and learning curves."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.curves import Curve, draw_curves
from townlet_core import __version__, io
from townlet_core.estimates import Estimate, estimate_mean
from townlet_core.statistics.comparison import difference_of_estimates

SHOWN = ("return", "return_min", "return_range", "conflicts", "intensity", "late_ticks", "wages", "faints")
NEARLY = 0.9  # fraction of the way from the random to the scripted policy that counts as learned


class Run(NamedTuple):
    """The result of one training run."""

    rewards: list[float]  # mean reward per environment step of each cycle's rollout, before its update
    steps_per_cycle: int  # environment steps
    result: dict[str, Estimate]  # of the trained policy, over episodes
    seconds: float  # processor time of training, without the evaluation


class Found(NamedTuple):
    """All runs of a plan."""

    name: str
    scenario: str
    settings: str  # of all modes, as flags
    modes: dict[str, str]  # flags of each mode of ours
    remark: str
    episode_ticks: int
    runs: dict[str, list[Run]]  # by mode; one per seed
    baselines: dict[str, dict[str, Estimate]]  # scripted and random, over episodes


def write_page(page: Path, command: str, seeds: int, episodes: int, found: Sequence[Found]) -> None:
    """Write the page, and one picture of curves per plan into the folder `pictures` beside it."""
    lines = introduction(command, seeds, episodes)
    for plan in found:
        picture = page.parent / "pictures" / f"results_{plan.name}.svg"
        names = "environment steps", "reward per environment step"
        io.write_file(picture, draw_curves(curves_of(plan.runs), levels_of(plan), *names).encode())
        lines += section(plan, picture)
    io.write_file(page, "\n".join(lines).encode())


def introduction(command: str, seeds: int, episodes: int) -> list[str]:
    return [
        "# Does it learn?",
        "",
        f"Written by this command, with Townlet {__version__} and torch {torch.__version__}:",
        "",
        "```",
        command,
        "```",
        "",
        "Every run starts from scratch, with the defaults of `townlet train` and the flags listed.",
        "",
        "| learner | trains on |",
        "| --- | --- |",
        "| `mixed` | recordings of the scripted policy (self-imitation) and live towns, in turn |",
        "| `rollout` | live towns only |",
        "| `warm start, rollout` | live towns, after behaviour cloning of recordings |",
        "| `Stable-Baselines3` | live towns, with that library's PPO |",
        "",
        "`Stable-Baselines3` has the same network, settings and number of environment steps as `rollout`.",
        "It has no action mask and no return normalisation. Its value clip is off where",
        "`--normalise-returns` is on.",
        "",
        "An environment step is one agent's place in one tick of one town, as Stable-Baselines3 counts its",
        "rows. Conflicts and intensity are per 1,000 agent steps. All measures are those of",
        "`townlet evaluate`.",
        "",
        f"- Tables show the policy at the end of training: {episodes} episodes for each of {seeds} seeds.",
        "- Intervals are 95 % Student's t intervals: over seeds for trained policies, over episodes for",
        "  `scripted` and `random`.",
        "- Above and below the scripted baseline: the 95 % interval of the difference of returns excludes 0.",
        f"- Curves show the mean reward of each rollout over {seeds} seeds, with the interval over seeds.",
        "- Seconds are processor time of one thread, median over seeds.",
        "- `observation_baseline` is the control. Its reward is 0 in every tick: there is nothing to learn.",
        "",
    ]


def section(plan: Found, picture: Path) -> list[str]:
    return [
        f"## {plan.name}",
        "",
        f"On `{plan.scenario}`, with `{plan.settings}`.",
        "",
        *(bullet(f"{mode}: `{flags}`") for mode, flags in plan.modes.items()),
        "",
        f"![{plan.name}: learning curves](pictures/{picture.name})",
        "",
        *policy_table(plan),
        "",
        *(bullet(verdict(mode, runs, plan.baselines, levels_of(plan))) for mode, runs in plan.runs.items()),
        "",
        *([plan.remark, ""] if plan.remark else []),
    ]


def levels_of(plan: Found) -> dict[str, float]:
    """Return the baselines' mean reward per environment step."""
    return {word: result["return"].mean / plan.episode_ticks for word, result in plan.baselines.items()}


def curves_of(runs: dict[str, list[Run]]) -> dict[str, Curve]:
    """Mean and interval over seeds of every cycle's reward, over the environment steps before it."""
    curves = {}
    for mode, found in runs.items():
        table = np.array([run.rewards for run in found])
        estimates = [estimate_mean(column) for column in table.T]
        x = np.arange(table.shape[1]) * found[0].steps_per_cycle
        curves[mode] = Curve(x, *(np.array(part) for part in zip(*estimates, strict=True)))
    return curves


def show(estimate: Estimate, digits: int = 3) -> str:
    return f"{estimate.mean:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def over_seeds(runs: Sequence[Run], measure: str) -> Estimate:
    return estimate_mean(np.array([run.result[measure].mean for run in runs]))


def policy_table(plan: Found) -> list[str]:
    """Compare the trained policies with the scripted and the random one."""
    lines = ["| policy | " + " | ".join(SHOWN) + " |", "| --- |" + " --- |" * len(SHOWN)]
    for mode, runs in plan.runs.items():
        cells = " | ".join(show(over_seeds(runs, name)) for name in SHOWN)
        lines.append(f"| {mode} | {cells} |")
    for word, result in plan.baselines.items():
        lines.append(f"| {word} | " + " | ".join(show(result[name]) for name in SHOWN) + " |")
    return lines


def bullet(text: str) -> str:
    """Write an item of a list, wrapped like every page."""
    return textwrap.fill(
        f"- {text}", 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def verdict(
    mode: str, runs: list[Run], baselines: dict[str, dict[str, Estimate]], levels: dict[str, float]
) -> str:
    """Compare a mode with the scripted baseline, with the environment steps until it was nearly as good."""
    difference = difference_of_estimates(over_seeds(runs, "return"), baselines["scripted"]["return"])
    if difference.low > 0:
        how = "return above the scripted baseline"
    elif difference.high < 0:
        how = "return below the scripted baseline"
    else:
        how = "no significant difference in return from the scripted baseline"
    conflicts, script_conflicts = over_seeds(runs, "conflicts").mean, baselines["scripted"]["conflicts"].mean
    share = (
        f"{conflicts / script_conflicts:.0%} of its conflicts"
        if script_conflicts
        else f"{conflicts:.2f} conflicts against none"
    )
    goal = levels["random"] + NEARLY * (levels["scripted"] - levels["random"])
    reached = [np.flatnonzero(np.array(run.rewards) >= goal) for run in runs]
    first = [
        int(cycles[0]) * run.steps_per_cycle for cycles, run in zip(reached, runs, strict=True) if len(cycles)
    ]
    soon = f"{NEARLY:.0%} of the way from random to scripted: {len(first)} of {len(runs)} seeds"
    if first:
        middle = np.median(first)
        soon += f", after {middle:,.0f} environment steps (median; {min(first):,} to {max(first):,})"
    seconds = np.median([run.seconds for run in runs])
    return f"{mode}: {how}, {share}. {soon}. A run took {seconds:.0f} s."
