"""Train on every scenario over several seeds, evaluate, and write docs/results.md with learning curves.

python -m benchmarks.learning [NAME ...] [--seeds 5] [--episodes 200] [--output docs/results.md] [--keep]

Every run has one thread, and as many runs as cores are trained at once, so results do not depend on the
number of cores, except for the seconds. The result of each run is kept beside the page in results.json; with
--keep, runs that it holds are not trained again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.results_page import Found, Run, write_page
from townlet_core import __version__, io
from townlet_core.cpus import available_cpus
from townlet_core.estimates import Estimate
from townlet_core.evaluate import evaluate
from townlet_core.policy.learned import LearnedPolicy
from townlet_core.policy.loading import load_policy
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.training.reports import Reports
from townlet_core.training.rollout import LONGEST_DEFAULT
from townlet_core.training.session import train
from townlet_core.training.settings import TrainingSettings

EVALUATION_SEED = 1000
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


class Experiment(NamedTuple):
    """An experiment: the settings that are trained on one scenario and compared."""

    scenario: str
    settings: dict[str, Any]  # of all modes, other than the defaults of `townlet train`
    modes: dict[str, dict[str, Any]]  # settings by mode; SB3 is another learner with the same settings
    remark: str = ""  # for the reader of the page


EXPERIMENTS = {
    "queue_conflict": Experiment(
        "queue_conflict", {"cycles": 40, **SHORT}, {**BOTH, SB3: {"source": "rollout"}}
    ),
    "kitchen_breakfast": Experiment(
        "kitchen_breakfast",
        {"cycles": 40, **SHORT},
        BOTH,
        "The scripted policy is near the best here: both learners reach its return, with hardly a conflict.",
    ),
    "employment_punctuality": Experiment("employment_punctuality", {"cycles": 30, **SHORT}, BOTH),
    "rivalry_decay": Experiment("rivalry_decay", {"cycles": 30, **SHORT}, BOTH),
    "queue_conflict_bf16": Experiment(
        "queue_conflict",
        {"cycles": 10, **SHORT},
        {"fp32": {"source": "mixed"}, "bf16": {"source": "mixed", "precision": "bf16"}},
    ),
    "town_day": Experiment(
        "town_day",
        DAY,
        {
            "mixed": {"source": "mixed", "capture_towns": 12, "cycles": 55},
            "warm start, rollout": {"source": "rollout", **IMITATE, "cycles": 50},
            "rollout": {"source": "rollout", "cycles": 100},
        },
        "The long town is trained in bf16, for its speed. Without recordings of the script, a learner needs "
        "more than a million environment steps to gain anything. Trained agents hardly sleep in bed at "
        "night, which takes four hours: they rest on benches.",
    ),
    # An experiment of its own, because it takes longer than all others together; it computes in fp32.
    "town_day_stable_baselines3": Experiment("town_day", DAY, {SB3: {"source": "rollout", "cycles": 100}}),
}


def train_and_evaluate(name: str, mode: str, seed: int, episodes: int) -> Run:
    """Train once, in a temporary folder, and evaluate."""
    torch.set_num_threads(1)
    experiment = EXPERIMENTS[name]
    scenario = load_scenario(experiment.scenario)
    settings = TrainingSettings(
        scenario=scenario.name, seed=seed, **experiment.settings, **experiment.modes[mode]
    )
    ticks = settings.rollout_ticks or min(scenario.ticks, LONGEST_DEFAULT)
    steps = ticks * settings.num_towns * len(scenario.agents)
    began = time.process_time()
    policy: Any
    if mode == SB3:
        from benchmarks import sb3

        rewards, policy = sb3.train(scenario, settings, ticks)
    else:
        rewards, policy = train_ours(scenario, settings, steps)
    seconds = time.process_time() - began
    return Run(rewards, steps, evaluate(scenario, policy, episodes, EVALUATION_SEED), seconds)


def train_ours(
    scenario: Scenario, settings: TrainingSettings, steps: int
) -> tuple[list[float], LearnedPolicy]:
    """Train for cycles of `steps` environment steps; returns each one's mean reward, and the policy."""
    rewards: list[float] = []
    seen: set[int] = set()

    def collect(record: dict) -> None:
        if record["data_mode"] == "rollout" and record["cycle_id"] not in seen:
            seen.add(record["cycle_id"])
            rewards.append(record["baseline_reward_sum"] / steps)  # an agent that is gone has a reward of 0

    with tempfile.TemporaryDirectory() as folder:
        run = train(settings, folder, reports=Reports(record=collect)).folder
        return rewards, load_policy(run, scenario)


def run_experiment(name: str, seeds: int, episodes: int, kept: Kept, pool: ProcessPoolExecutor) -> Found:
    """Run one experiment, except for the runs that are kept."""
    experiment = EXPERIMENTS[name]
    scenario = load_scenario(experiment.scenario)
    jobs = {
        (mode, seed): pool.submit(train_and_evaluate, name, mode, seed, episodes)
        for mode in experiment.modes
        for seed in range(seeds)
        if kept.find(name, mode, seed) is None
    }
    runs: dict[str, list[Run]] = {mode: [] for mode in experiment.modes}
    for mode in experiment.modes:
        for seed in range(seeds):
            run = jobs[mode, seed].result() if (mode, seed) in jobs else kept.find(name, mode, seed)
            assert run is not None  # kept or just trained
            runs[mode].append(run)
            kept.add(name, mode, seed, run)
            print(
                f"{name} {mode} seed {seed}: {run.rewards[0]:.4f} → {run.rewards[-1]:.4f}, return "
                f"{run.result['return'].mean:.3f}, {run.seconds:.0f} s",
                file=sys.stderr,
            )
    baselines = {
        word: evaluate(scenario, ScriptedPolicy(scenario, epsilon), episodes, EVALUATION_SEED)
        for word, epsilon in (("scripted", None), ("random", 1.0))
    }
    modes = {mode: flags(chosen) for mode, chosen in experiment.modes.items() if mode != SB3}
    return Found(
        name,
        experiment.scenario,
        flags(experiment.settings),
        modes,
        experiment.remark,
        scenario.ticks,
        runs,
        baselines,
    )


class Kept:
    """The kept runs by experiment, mode and seed; only those of equal settings, episodes and version."""

    def __init__(self, path: Path, episodes: int, wanted: bool) -> None:
        self.path = path
        self.episodes = episodes
        found = io.read_json(path) if wanted and io.kind_of(path) else []
        self.rows: list[dict[str, Any]] = [row for row in found if row == {**row, **self._key(row)}]

    def _key(self, row: dict[str, Any]) -> dict[str, Any]:
        experiment = EXPERIMENTS.get(row["plan"])
        settings = {**experiment.settings, **experiment.modes.get(row["mode"], {})} if experiment else None
        return {"settings": settings, "episodes": self.episodes, "townlet": __version__}

    def find(self, plan: str, mode: str, seed: int) -> Run | None:
        for row in self.rows:
            if (row["plan"], row["mode"], row["seed"]) == (plan, mode, seed):
                result = {name: Estimate(*values) for name, values in row["result"].items()}
                return Run(row["rewards"], row["steps_per_cycle"], result, row["seconds"])
        return None

    def add(self, plan: str, mode: str, seed: int, run: Run) -> None:
        """Keep a run, on disk as well, so that an interruption loses nothing."""
        row = {"plan": plan, "mode": mode, "seed": seed}
        result = {name: list(estimate) for name, estimate in run.result.items()}
        row |= {**self._key(row), **run._asdict(), "result": result}
        if self.find(plan, mode, seed) is None:
            self.rows.append(row)
            io.write_json(self.path, self.rows)


def flags(chosen: dict[str, Any]) -> str:
    """Spell settings as flags of `townlet train`."""
    words = []
    for name, value in chosen.items():
        flag = ("mode" if name == "source" else name).replace("_", "-")
        words.append(f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag} {value}")
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "experiments",
        nargs="*",
        metavar="NAME",
        help=f"one of {', '.join(EXPERIMENTS)}; by default all",
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--output", type=Path, help="by default docs/results.md, for all experiments")
    parser.add_argument("--keep", action="store_true", help="do not repeat the runs in results.json")
    wanted = parser.parse_args()
    names = wanted.experiments or list(EXPERIMENTS)
    if unknown := [name for name in names if name not in EXPERIMENTS]:
        parser.error(f"unknown experiment {unknown[0]!r}, expected one of {', '.join(EXPERIMENTS)}")
    if wanted.experiments and not wanted.output:
        parser.error("--output: required for some experiments only; docs/results.md has all")
    if wanted.seeds < 2:
        parser.error("--seeds: expected at least 2, because one seed has no interval")
    page = wanted.output or Path("docs/results.md")
    command = " ".join(["python -m benchmarks.learning", *wanted.experiments, f"--seeds {wanted.seeds}"])
    command += f" --episodes {wanted.episodes}"
    kept = Kept(page.with_suffix(".json"), wanted.episodes, wanted.keep)
    found: list[Found] = []
    with ProcessPoolExecutor(available_cpus(), multiprocessing.get_context("spawn")) as pool:
        for name in names:
            began = time.perf_counter()
            found.append(run_experiment(name, wanted.seeds, wanted.episodes, kept, pool))
            print(f"{name}: {time.perf_counter() - began:.0f} s in all", file=sys.stderr)
            write_page(page, command, wanted.seeds, wanted.episodes, found)
    print(page.read_text())


if __name__ == "__main__":
    main()
