"""Does it learn? Train from nothing over seeds, evaluate, and write docs/results.md with every figure.

python -m benchmarks.learning [--cycles 10] [--seeds 5] [--scenario queue_conflict] [--output docs/results.md]

With --normalisation it compares running statistics of observations and returns instead of the modes, and
writes a page only where --output says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core import __version__, io
from townlet_core.evaluate import Estimate, bootstrap, evaluate
from townlet_core.policy.learned import LearnedPolicy
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.training.feed import PREFIX, open_dataset, record_script
from townlet_core.training.loop import Reports, Trainer
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.stopping import StopRequest

# What is compared: a name for the page, and the settings that make it.
MODES: dict[str, dict[str, Any]] = {
    "mixed": {"source": "mixed"},
    "mixed, V-trace": {"source": "mixed", "replay_correction": "vtrace"},
    "rollout": {"source": "rollout"},
}
NORMALISATION: dict[str, dict[str, Any]] = {
    f"{mode}{name}": {"source": mode, **settings}
    for mode in ("mixed", "rollout")
    for name, settings in (
        ("", {}),
        (", observations", {"normalise_observations": True}),
        (", returns", {"normalise_returns": True}),
        (", both", {"normalise_observations": True, "normalise_returns": True}),
    )
}
SHOWN = ("return", "conflicts", "intensity", "need_hygiene", "gini")
EVALUATION_SEED = 1000


def train_once(
    scenario: Scenario, chosen: dict[str, Any], seed: int, cycles: int
) -> tuple[list[float], Trainer]:
    """Train in a folder that is thrown away. Returns each rollout's mean reward, and the trainer."""
    settings = TrainingSettings(scenario=scenario.name, seed=seed, cycles=cycles, **chosen)
    rewards: dict[int, float] = {}

    def note(record: dict) -> None:
        if record["data_mode"] == "rollout":
            rewards[record["cycle_id"]] = record["reward_mean"]

    with tempfile.TemporaryDirectory() as folder:
        dataset = None
        if settings.source == "mixed":
            samples = Path(folder) / "samples"
            record_script(scenario, settings, samples)
            dataset = open_dataset(settings, (samples / f"{PREFIX}_manifest.json",))
        trainer = Trainer(settings, Path(folder), scenario, dataset, StopRequest(), Reports(record=note))
        trainer.run()
    return [rewards[cycle] for cycle in sorted(rewards)], trainer


def show(estimate: Estimate, digits: int = 4) -> str:
    return f"{estimate.mean:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def measure(
    scenario: Scenario, modes: dict[str, dict[str, Any]], cycles: int, seeds: int, episodes: int
) -> list[str]:
    """Train every mode over the seeds and return the page's lines about one scenario."""
    lines = [f"## {scenario.name}", ""]
    curves: dict[str, np.ndarray] = {}
    finals: dict[str, list[dict[str, Estimate]]] = {}
    for mode, chosen in modes.items():
        runs, finals[mode] = [], []
        for seed in range(seeds):
            began = time.perf_counter()
            rewards, trainer = train_once(scenario, chosen, seed, cycles)
            runs.append(rewards)
            policy = LearnedPolicy(trainer.network)
            finals[mode].append(evaluate(scenario, policy, episodes, EVALUATION_SEED))
            print(
                f"{scenario.name} {mode} seed {seed}: {rewards[0]:.4f} → {rewards[-1]:.4f}",
                file=sys.stderr,
                end="",
            )
            print(f" in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        curves[mode] = np.array(runs)
    lines += curve_table(curves, seeds)
    lines += policy_table(scenario, finals, episodes, seeds)
    return lines


def curve_table(curves: dict[str, np.ndarray], seeds: int) -> list[str]:
    """Mean reward per agent and tick of the rollout halves, cycle by cycle."""
    lines = [
        "Mean reward per agent and tick of each cycle's rollout: "
        f"mean over {seeds} seeds [95 % bootstrap interval].",
        "",
        "| cycle | " + " | ".join(curves) + " |",
        "| --- |" + " --- |" * len(curves),
    ]
    for cycle in range(len(next(iter(curves.values()))[0])):
        cells = (show(bootstrap(runs[:, cycle], cycle)) for runs in curves.values())
        lines.append(f"| {cycle + 1} | " + " | ".join(cells) + " |")
    for mode, runs in curves.items():
        gains = runs[:, -1] - runs[:, 0]
        rose = int((gains > 0).sum())
        lines += [
            "",
            f"`{mode}`: the last cycle is paid {show(bootstrap(gains, 0))} more than the first; it rose in ",
        ]
        lines[-1] += f"{rose} of {seeds} seeds."
    return [*lines, ""]


def policy_table(
    scenario: Scenario, finals: dict[str, list[dict[str, Estimate]]], episodes: int, seeds: int
) -> list[str]:
    """The policies at the end of training beside the scripted and the random one."""
    lines = [
        f"Policies compared on {episodes} episodes each. Trained ones: mean and interval over {seeds} seeds, "
        "each evaluated so; the others: over episodes.",
        "",
        "| policy | " + " | ".join(SHOWN) + " |",
        "| --- |" + " --- |" * len(SHOWN),
    ]
    for mode, results in finals.items():
        cells = (bootstrap(np.array([result[name].mean for result in results]), 0) for name in SHOWN)
        lines.append(f"| trained, {mode} | " + " | ".join(show(cell, 3) for cell in cells) + " |")
    for name, epsilon in (("scripted", None), ("random", 1.0)):
        result = evaluate(scenario, ScriptedPolicy(scenario, epsilon), episodes, EVALUATION_SEED)
        lines.append(f"| {name} | " + " | ".join(show(result[shown], 3) for shown in SHOWN) + " |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--scenario", nargs="+", default=["queue_conflict"])
    parser.add_argument("--normalisation", action="store_true")
    parser.add_argument("--output", type=Path)
    wanted = parser.parse_args()
    page = wanted.output or (None if wanted.normalisation else Path("docs/results.md"))
    modes = NORMALISATION if wanted.normalisation else MODES
    command = f"python -m benchmarks.learning --cycles {wanted.cycles} --seeds {wanted.seeds}"
    command += " --normalisation" * wanted.normalisation
    lines = [
        "# Does it learn?",
        "",
        f"Written by `{command} --scenario {' '.join(wanted.scenario)}`, Townlet {__version__},",
        "with the default settings of `townlet train`. Each run starts from nothing. `mixed` learns from",
        "recordings of the scripted policy and from live towns in turn, by imitating what went better than",
        "expected or with V-trace (`--replay-correction vtrace`); `rollout` learns from live towns alone.",
        "",
    ]
    for name in wanted.scenario:
        lines += measure(load_scenario(name), modes, wanted.cycles, wanted.seeds, wanted.episodes)
    if page:
        io.write_file(page, "\n".join(lines).encode())
    print("\n".join(lines))


if __name__ == "__main__":
    main()
