"""Does it learn? Train on every scenario over seeds, evaluate, and write docs/results.md and its curves.

python -m benchmarks.learning [PLAN ...] [--seeds 5] [--episodes 200] [--output docs/results.md]

Every run has one thread of its own, and as many run side by side as there are cores; so a page comes out the
same on any number of them, but for the seconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.curves import Curve, draw_curves
from townlet_core import __version__, io
from townlet_core.evaluate import Estimate, bootstrap, evaluate
from townlet_core.policy.learned import LearnedPolicy
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.training.feed import PREFIX, open_dataset, record_script
from townlet_core.training.loop import Reports, Trainer
from townlet_core.training.rollout import LONGEST_DEFAULT
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.stopping import StopRequest

SHOWN = ("return", "conflicts", "intensity", "late_ticks", "wages", "faints", "gini")
EVALUATION_SEED = 1000
NEARLY = 0.9  # of the way from chance to script: what counts as having learned
SB3 = "Stable-Baselines3"
SHORT = {"learning_rate": 1e-3, "lr_schedule": "linear", "bootstrap_truncations": False}
BOTH = {"mixed": {"source": "mixed"}, "rollout": {"source": "rollout"}}
DAY = {
    "num_towns": 8,
    "rollout_ticks": 1440,
    "num_mini_batches": 32,
    "normalise_returns": True,
    "learning_rate": 1e-3,
    "lr_schedule": "linear",
    "entropy_coef": 0.001,
    "precision": "bf16",
}
IMITATE = {"warm_start": "bc", "warm_start_epochs": 25, "capture_towns": 12, "gamma": 0.997}


class Plan(NamedTuple):
    """What is trained on one scenario, and compared."""

    scenario: str
    settings: dict[str, Any]  # of all modes, where they differ from the defaults of `townlet train`
    modes: dict[str, dict[str, Any]]  # by name; that of SB3 is another learner with the same settings
    remark: str = ""  # for the reader of the page


PLANS = {
    "queue_conflict": Plan("queue_conflict", {"cycles": 40, **SHORT}, {**BOTH, SB3: {"source": "rollout"}}),
    "kitchen_breakfast": Plan(
        "kitchen_breakfast",
        {"cycles": 40, **SHORT},
        BOTH,
        "The script cannot be beaten here: both learners come to where it is, with hardly a conflict.",
    ),
    "employment_punctuality": Plan("employment_punctuality", {"cycles": 30, **SHORT}, BOTH),
    "rivalry_decay": Plan("rivalry_decay", {"cycles": 30, **SHORT}, BOTH),
    "queue_conflict_bf16": Plan(
        "queue_conflict",
        {"cycles": 10, **SHORT},
        {"fp32": {"source": "mixed"}, "bf16": {"source": "mixed", "precision": "bf16"}},
    ),
    "town_day": Plan(
        "town_day",
        DAY,
        {
            "mixed": {"source": "mixed", "capture_towns": 12, "cycles": 55},
            "warm start, rollout": {"source": "rollout", **IMITATE, "cycles": 50},
            "rollout": {"source": "rollout", "cycles": 100},
            SB3: {"source": "rollout", "cycles": 100},
        },
        "The long town is learned in bf16, for its speed; Stable-Baselines3 computes in fp32. Without the "
        "script to look at, it takes a learner a million ticks and more to gain anything. Whoever learns "
        "comes to do without nights in bed: they take four hours each, and benches are enough.",
    ),
}


class Run(NamedTuple):
    """What came of one training."""

    rewards: list[float]  # mean reward per agent and tick of each cycle's rollout, before its update
    ticks_per_cycle: int  # fresh agent-ticks
    result: dict[str, Estimate]
    seconds: float  # of training, without the evaluation


def train(name: str, mode: str, seed: int, episodes: int) -> Run:
    """Train once, in a folder that is thrown away, and evaluate."""
    torch.set_num_threads(1)
    plan = PLANS[name]
    scenario = load_scenario(plan.scenario)
    chosen = {**plan.settings, **plan.modes[mode]}
    settings = TrainingSettings(scenario=scenario.name, seed=seed, **chosen)
    ticks = settings.rollout_ticks or min(scenario.ticks, LONGEST_DEFAULT)
    fresh = ticks * settings.num_towns * len(scenario.agents)
    began = time.perf_counter()
    policy: Any
    if mode == SB3:
        from benchmarks import sb3

        rewards, policy = sb3.train(scenario, settings, ticks)
    else:
        rewards, policy = train_ours(scenario, settings, fresh)
    seconds = time.perf_counter() - began
    return Run(rewards, fresh, evaluate(scenario, policy, episodes, EVALUATION_SEED), seconds)


def train_ours(
    scenario: Scenario, settings: TrainingSettings, ticks: int
) -> tuple[list[float], LearnedPolicy]:
    """Train for cycles of `ticks` fresh agent-ticks; returns what each was paid per tick, and the policy."""
    rewards: list[float] = []
    noted: set[int] = set()

    def note(record: dict) -> None:
        if record["data_mode"] == "rollout" and record["cycle_id"] not in noted:
            noted.add(record["cycle_id"])
            rewards.append(record["baseline_reward_sum"] / ticks)  # those out of town are paid nothing

    with tempfile.TemporaryDirectory() as folder:
        dataset = None
        if settings.uses_recordings:
            samples = Path(folder) / "samples"
            record_script(scenario, settings, samples)
            dataset = open_dataset(settings, (samples / f"{PREFIX}_manifest.json",))
        trainer = Trainer(settings, Path(folder), scenario, dataset, StopRequest(), Reports(record=note))
        trainer.run()
    return rewards, LearnedPolicy(trainer.network)


def measure(name: str, seeds: int, episodes: int, pool: ProcessPoolExecutor, pictures: Path) -> list[str]:
    """Carry out one plan; draws its curves and returns the page's lines about it."""
    plan = PLANS[name]
    scenario = load_scenario(plan.scenario)
    jobs = {
        (mode, seed): pool.submit(train, name, mode, seed, episodes)
        for mode in plan.modes
        for seed in range(seeds)
    }
    fixed = {
        word: evaluate(scenario, ScriptedPolicy(scenario, epsilon), episodes, EVALUATION_SEED)
        for word, epsilon in (("scripted", None), ("random", 1.0))
    }
    runs: dict[str, list[Run]] = {mode: [] for mode in plan.modes}
    for (mode, seed), job in jobs.items():
        run = job.result()
        runs[mode].append(run)
        print(
            f"{name} {mode} seed {seed}: {run.rewards[0]:.4f} → {run.rewards[-1]:.4f}, return "
            f"{run.result['return'].mean:.3f}, {run.seconds:.0f} s",
            file=sys.stderr,
        )
    levels = {word: result["return"].mean / scenario.ticks for word, result in fixed.items()}
    picture = pictures / f"results_{name}.svg"
    x_name, y_name = "fresh agent-ticks", "reward per agent and tick"
    io.write_file(picture, draw_curves(curves_of(runs), levels, x_name, y_name).encode())
    return [
        f"## {name}",
        "",
        f"On `{plan.scenario}`, with `{flags(plan.settings)}`.",
        "",
        *(f"- {mode}: `{flags(chosen)}`" for mode, chosen in plan.modes.items() if mode != SB3),
        "",
        f"![{name}: learning curves](pictures/{picture.name})",
        "",
        *policy_table(fixed, runs),
        "",
        *(f"- {verdict(mode, runs[mode], fixed, levels)}" for mode in runs),
        "",
        *([plan.remark, ""] if plan.remark else []),
    ]


def flags(chosen: dict[str, Any]) -> str:
    """Spell settings as flags of `townlet train`."""
    words = []
    for name, value in chosen.items():
        name = "mode" if name == "source" else name
        flag = name.replace("_", "-")
        words.append(
            f"--{flag} {value}" if not isinstance(value, bool) else f"--{'' if value else 'no-'}{flag}"
        )
    return " ".join(words)


def curves_of(runs: dict[str, list[Run]]) -> dict[str, Curve]:
    """Mean and interval over seeds of every cycle's reward, over the fresh ticks before it."""
    curves = {}
    for mode, found in runs.items():
        table = np.array([run.rewards for run in found])
        estimates = [bootstrap(column, cycle) for cycle, column in enumerate(table.T)]
        x = np.arange(table.shape[1]) * found[0].ticks_per_cycle
        curves[mode] = Curve(x, *(np.array(part) for part in zip(*estimates, strict=True)))
    return curves


def show(estimate: Estimate, digits: int = 3) -> str:
    return f"{estimate.mean:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def over_seeds(runs: Sequence[Run], measure: str) -> Estimate:
    return bootstrap(np.array([run.result[measure].mean for run in runs]), 0)


def policy_table(fixed: dict[str, dict[str, Estimate]], runs: dict[str, list[Run]]) -> list[str]:
    """The policies at the end of training beside the scripted and the random one."""
    lines = ["| policy | " + " | ".join(SHOWN) + " |", "| --- |" + " --- |" * len(SHOWN)]
    for mode, found in runs.items():
        cells = " | ".join(show(over_seeds(found, name)) for name in SHOWN)
        lines.append(f"| {mode} | {cells} |")
    for word, result in fixed.items():
        lines.append(f"| {word} | " + " | ".join(show(result[name]) for name in SHOWN) + " |")
    return lines


def verdict(
    mode: str, runs: list[Run], fixed: dict[str, dict[str, Estimate]], levels: dict[str, float]
) -> str:
    """Say how a mode compares with the script, and how soon it was nearly as good."""
    own, script = over_seeds(runs, "return"), fixed["scripted"]["return"]
    how = "above" if own.low > script.high else "below" if own.high < script.low else "not told apart from"
    quarrels, their_quarrels = (over_seeds(runs, "conflicts").mean, fixed["scripted"]["conflicts"].mean)
    share = (
        f"{quarrels / their_quarrels:.0%} of its conflicts"
        if their_quarrels
        else f"{quarrels:.2f} conflicts against none"
    )
    goal = levels["random"] + NEARLY * (levels["scripted"] - levels["random"])
    reached = [np.flatnonzero(np.array(run.rewards) >= goal) for run in runs]
    first = [
        int(cycles[0]) * run.ticks_per_cycle for cycles, run in zip(reached, runs, strict=True) if len(cycles)
    ]
    soon = f"{NEARLY:.0%} of the way from chance to script: {len(first)} of {len(runs)} seeds"
    if first:
        soon += (
            f", after {np.median(first):,.0f} fresh agent-ticks (median; {min(first):,} to {max(first):,})"
        )
    seconds = np.median([run.seconds for run in runs])
    return f"{mode}: return {how} the script's, {share}. {soon}. A run took {seconds:.0f} s on one thread."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plans", nargs="*", metavar="PLAN", help=f"one of {', '.join(PLANS)}; by default all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--output", type=Path, help="by default docs/results.md, if all plans are wanted")
    wanted = parser.parse_args()
    names = wanted.plans or list(PLANS)
    if unknown := [name for name in names if name not in PLANS]:
        parser.error(f"unknown plan {unknown[0]!r}, expected one of {', '.join(PLANS)}")
    if wanted.plans and not wanted.output:
        parser.error("--output: say where to; docs/results.md has all plans")
    page = wanted.output or Path("docs/results.md")
    command = " ".join(["python -m benchmarks.learning", *wanted.plans, f"--seeds {wanted.seeds}"])
    lines = [
        "# Does it learn?",
        "",
        f"Written by `{command} --episodes {wanted.episodes}`, Townlet {__version__},",
        f"torch {torch.__version__}. Every run starts from nothing, with the defaults of `townlet train` and",
        "the flags named. `mixed` learns in turn from recordings of the scripted policy, by imitating what",
        "went better than expected, and from live towns; `rollout` from live towns alone;",
        "`warm start, rollout` imitates recordings first.",
        f"`{SB3}` is that library's PPO with the network, the settings and as many fresh ticks",
        "as `rollout`; it has no action mask and no statistics of returns, and where those are in use",
        "it does not clip its values.",
        "",
        f"Curves: what the policy is paid while it learns, mean over {wanted.seeds} seeds with its 95 %",
        f"bootstrap interval. Tables: the policy at the end, {wanted.episodes} episodes for each seed;",
        "intervals over seeds, for `scripted` and `random` over episodes. Conflicts and intensity are per",
        "1,000 agent-ticks; all measures are those of `townlet evaluate`. `observation_baseline`, the",
        "control, pays nothing, so there is nothing to learn in it.",
        "",
    ]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for name in names:
            began = time.perf_counter()
            lines += measure(name, wanted.seeds, wanted.episodes, pool, page.parent / "pictures")
            print(f"{name}: {time.perf_counter() - began:.0f} s in all", file=sys.stderr)
            io.write_file(page, "\n".join(lines).encode())
    print("\n".join(lines))


if __name__ == "__main__":
    main()
