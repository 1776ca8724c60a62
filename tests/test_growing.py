"""The vocabulary grows by the documented steps, and what was recorded before keeps its meaning.

Each test changes a copy of the package as a developer would, and runs commands of the copy. Towns are played
without compiling them.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from townlet_core.replay.sample import load_sample

ROOT = Path(__file__).resolve().parents[1]
OLD = ROOT / "tests" / "data" / "version_0_1_0"
OLD_MANIFEST = OLD / "capture" / "rollout_sample_manifest.json"


class Copy:
    """A copy of the package, to be changed, and a folder to work in."""

    def __init__(self, folder):
        self.package, self.folder = folder / "package", folder
        for room in ("townlet_core", "townlet_cli", "scenarios", "tests/reference"):
            shutil.copytree(ROOT / room, self.package / room, ignore=shutil.ignore_patterns("__pycache__"))

    def insert(self, file, at, line, after=False):
        """Insert a line before or after the one line that holds the text `at`, with its indentation."""
        path = self.package / file
        lines = path.read_text().splitlines(keepends=True)
        (place,) = [i for i, text in enumerate(lines) if at in text]
        indentation = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
        lines.insert(place + after, f"{indentation}{line}\n")
        path.write_text("".join(lines))

    def replace(self, file, old, new):
        """Replace the one place that holds the text `old`."""
        path = self.package / file
        before, after = path.read_text().split(old)
        path.write_text(before + new + after)

    def run(self, *command, compiled=False):
        """Run a Python program of the copy; return its exit code and what it printed."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.package),
            "NUMBA_DISABLE_JIT": str(int(not compiled)),
        }
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    def townlet(self, *arguments, compiled=False):
        """Run a command line of the copy."""
        return self.run("-m", "townlet_cli", *arguments, compiled=compiled)

    def capture(self):
        """Record a short capture; return its manifest."""
        code, printed = self.townlet("capture", OLD / "small_queue.yaml", "--output", "capture")
        assert code == 0, printed
        return self.folder / "capture" / "rollout_sample_manifest.json"

    def train(self, manifest, *more):
        """Train one small cycle on recordings alone: compiled kernels of the learner, none of the town."""
        return self.townlet(
            *("train", "--mode", "replay", "--replay-manifest", manifest, "--cycles", 1, "--hidden-size", 4),
            *("--output", "run", *more),
            compiled=True,
        )


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def samples_of(manifest):
    return [load_sample(path)[0] for path in sorted(manifest.parent.glob("*.npz"))]


def assert_accepts(copy, manifest, warning=""):
    """The copy validates the recordings for training, with this warning or none, and trains on them."""
    code, printed = copy.townlet("replay", "validate", manifest, "--for-training")
    assert (code, warning in printed, "no warnings" in printed) == (0, True, not warning), printed
    code, printed = copy.train(manifest)
    assert code == 0, printed


def test_a_feature_is_one_row_and_the_line_that_writes_it(copy):
    copy.insert("townlet_core/vocab.py", '("on_shift",', '("is_broke", False, True, None, "no money left"),')
    copy.insert(
        "townlet_core/simulation/observation.py",
        "out[OWN.on_shift] =",
        "out[OWN.is_broke] = agent.wallet == 0.0",
    )
    manifest = copy.capture()
    for sample in samples_of(manifest):
        broke, wallet = (sample.features[:, sample.feature_names.index(n)] for n in ("is_broke", "wallet"))
        assert np.array_equal(broke, wallet == 0)
    assert_accepts(copy, manifest)
    code, bounds = copy.run(
        "-c",
        "from townlet_core.envs import TownVectorEnv; env = TownVectorEnv('queue_conflict');"
        "box = env.single_observation_space['features']; i = env.feature_names.index('is_broke');"
        "print(box.low[i], box.high[i], env.observation_space.contains(env.reset()[0]))",
    )
    assert (code, bounds) == (0, "0.0 1.0 True\n")
    code, page = copy.run(
        "-c",
        f"import sys; sys.path.append({str(ROOT / 'tests' / 'documentation')!r});"
        "from feature_reference import PAGE, with_features; print(with_features(PAGE.read_text('utf-8')))",
    )
    assert (code, "| `is_broke` | 0, 1 | no money left |" in page) == (0, True)


def test_recordings_and_checkpoints_without_a_new_feature_are_refused_by_its_name(copy):
    copy.insert("townlet_core/vocab.py", '("on_shift",', '("is_broke", False, True, None, "no money left"),')
    code, printed = copy.townlet("replay", "validate", OLD / "capture", "--for-training")
    assert (code, "no warnings" in printed) == (0, True), printed
    town = OLD / "small_queue.yaml"
    for command in (
        ("train", town, "--mode", "mixed", "--replay-manifest", OLD_MANIFEST, "--output", "mixed"),
        ("evaluate", OLD / "run", "--scenario", town, "--episodes", 2),
    ):
        code, printed = copy.townlet(*command)
        assert (code, "only in small_queue: is_broke" in printed) == (2, True), printed


@pytest.fixture
def kind_copy(copy):
    """A copy with one more reward term, .25 in every tick."""
    copy.insert("townlet_core/vocab.py", '    "clipped",', '"kindness",')
    rewards = "townlet_core/simulation/rules/rewards.py"
    copy.replace(rewards, "FAINT, CLIPPED = range", "FAINT, KINDNESS, CLIPPED = range")
    copy.insert(rewards, "total = 0.0", "terms[KINDNESS] = 0.25")
    return copy


def test_a_reward_term_is_a_name_and_the_line_that_computes_it(kind_copy):
    copy = kind_copy
    manifest = copy.capture()
    metadata = json.loads((manifest.parent / "rollout_sample_anna_001.json").read_text())
    assert metadata["reward_terms"][-2:] == ["kindness", "clipped"]
    for sample in samples_of(manifest):  # read by this version, which does not know the term
        assert (sample.optional["reward_terms"][:, sample.reward_terms.index("kindness")] == 0.25).all()
        assert sample.metadata["metrics"]["reward_kindness_sum"] == 0.25 * sample.timesteps
    assert_accepts(copy, manifest)


def test_recordings_without_a_new_reward_term_are_read_with_a_warning(kind_copy):
    assert_accepts(kind_copy, OLD_MANIFEST, "reward_terms lack kindness, part of the rewards in this version")


def test_a_telemetry_field_is_one_row_and_the_line_that_computes_it(copy):
    copy.insert(
        "townlet_core/telemetry/fields.py",
        '_ours("reward_std",',
        '_ours("reward_median", "float", "", "median reward of a transition", BATCH),',
    )
    record = "townlet_core/training/epoch_record.py"
    copy.insert(record, "    reward_std: float", "reward_median: float")
    copy.insert(record, "reward_std=float(", "reward_median=float(np.median(rewards)),")
    code, printed = copy.train(OLD_MANIFEST)
    assert code == 0, printed
    records = [json.loads(line) for line in (copy.folder / "run" / "telemetry.jsonl").open()]
    rewards = np.concatenate([sample.rewards for sample in samples_of(OLD_MANIFEST)])
    assert {record["reward_median"] for record in records} == {float(np.median(rewards.astype(float)))}
    for log in ("run/telemetry.jsonl", OLD / "run" / "telemetry.jsonl"):
        code, printed = copy.townlet("telemetry", "validate", log)
        assert code == 0, printed
    assert "reward_median" in copy.townlet("telemetry", "summary", "run", "--json")[1]


THIRST = 'Need("thirst", "how well watered", is_vital=True, decay=0.003, deficit=0.01),'
WELL = """
name: well
ticks: 12
grid: {size: [5, 3]}
kinds:
  well: {affordance: drink, duration_ticks: 2, effects: {thirst: 0.5}}
objects:
  - {id: well, kind: well, position: [2, 0]}
agents:
  - {id: ann, position: [2, 1], needs: {thirst: 0.2}}
  - {id: bo, position: [0, 2], needs: {hunger: 0.9, thirst: 0.9}}
rules: {epsilon: 0, needs: {thirst_decay: 0.01}}
rewards: {thirst_deficit: 0.05}
expect: {ann.thirst_last: [0.5, 1]}
"""
# Runs commands one after the other in one process, which loads everything once.
COMMANDS = """
import sys
from townlet_cli.main import run
for command in sys.argv[1:]:
    sys.argv = ["townlet", *command.split()]
    try:
        run()
    except SystemExit as left:
        if left.code:
            sys.exit(f"{command}: exit code {left.code}")
"""
COMPARE = """
import sys
sys.path.append(sys.argv[1])
from reference.compare import compare_over_episodes
for seed in range(2):
    compare_over_episodes(seed)
"""


def test_a_need_is_a_row_of_the_table(copy):
    copy.insert("townlet_core/vocab.py", 'Need("energy"', THIRST, after=True)
    (copy.folder / "well.yaml").write_text(WELL)
    code, printed = copy.run(
        *("-c", COMMANDS, "scenario show well.yaml", "capture well.yaml --output capture --check"),
        "replay validate capture --for-training",
        "replay render capture --output page.html",
        "replay render capture --format png --output picture.png",
        "replay render capture --format ansi --tick 12",
        "train well.yaml --mode rollout --cycles 1 --num-towns 1 --hidden-size 4 --output run",
        "train --resume run --cycles 2",
        "evaluate run --episodes 2",
    )
    assert code == 0, printed
    for text in ("energy  thirst", "thirst █", "need_thirst"):  # of scenario show, replay render and evaluate
        assert text in printed
    sample = json.loads((copy.folder / "capture" / "rollout_sample_ann_001.json").read_text())
    needs = ["need_hunger", "need_hygiene", "need_energy", "need_thirst", "wallet"]
    assert sample["feature_names"][:5] == needs
    totals = json.loads((copy.folder / "capture" / "rollout_sample_metrics.json").read_text())["total"]
    assert totals["ann.thirst_min"] == pytest.approx(0.2, abs=0.05)


def test_the_slow_town_knows_a_need_by_its_name(copy):
    copy.insert("townlet_core/vocab.py", 'Need("energy"', THIRST, after=True)
    copy.replace("tests/reference/entities.py", '"energy")', '"energy", "thirst")')
    copy.replace("tests/reference/entities.py", 'VITAL = ("hunger",)', 'VITAL = ("hunger", "thirst")')
    code, printed = copy.run("-c", COMPARE, copy.package / "tests")
    assert code == 0, printed
