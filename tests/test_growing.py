"""What is one row in a table is one edit: a copy of the package with one more row works from end to end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("townlet_core", "townlet_cli", "scenarios", "pyproject.toml", "tests/reference")

# Runs commands one after the other in one process, as plain Python: nothing waits for the compiler.
DRIVER = """
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


class GrownCopy:
    """A copy of the project in a folder, to be edited and run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, folder / name)

    def insert(self, file: str, after: str, line: str) -> None:
        """Add a line to a file, after the only line that begins with `after`."""
        lines = (self.folder / file).read_text().splitlines(keepends=True)
        (place,) = [n for n, text in enumerate(lines, start=1) if text.startswith(after)]
        lines.insert(place, line + "\n")
        (self.folder / file).write_text("".join(lines))

    def run(self, program: str, *arguments: str) -> str:
        """Run a program with the copy's packages and return what it prints."""
        path = os.pathsep.join([str(self.folder), str(self.folder / "tests")])
        environment = {**os.environ, "PYTHONPATH": path, "NUMBA_DISABLE_JIT": "1", "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=self.folder,
            env=environment | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def grown(tmp_path: Path) -> GrownCopy:
    return GrownCopy(tmp_path / "copy")


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
THIRST = '    Need("thirst", "how well watered", is_vital=True, decay=0.003, deficit=0.01),'
COMPARE = """
from reference.compare import compare_over_episodes
for seed in range(2):
    compare_over_episodes(seed)
"""


def test_a_need_is_a_row_of_the_table(grown: GrownCopy) -> None:
    grown.insert("townlet_core/vocab.py", '    Need("energy"', THIRST)
    (grown.folder / "well.yaml").write_text(WELL)
    train = "--mode rollout --num-towns 1 --rollout-ticks 12 --hidden-size 4 --output run"
    printed = grown.run(
        DRIVER,
        "scenario show well.yaml",
        "capture well.yaml --output capture --check",
        "replay validate capture --for-training",
        "replay render capture --output film.html",
        "replay render capture --format png --output film.png",
        "replay render capture --format ansi --tick 12",
        f"train well.yaml --cycles 1 {train}",
        "train --resume run --cycles 2",
        "evaluate run --episodes 2",
    )
    assert "energy  thirst" in printed  # of `scenario show`
    assert "thirst █" in printed  # of `replay render`
    assert "need_thirst" in printed  # of `evaluate`
    sample = json.loads((grown.folder / "capture" / "rollout_sample_ann_001.json").read_text())
    assert sample["feature_names"][:5] == [
        "need_hunger",
        "need_hygiene",
        "need_energy",
        "need_thirst",
        "wallet",
    ]
    totals = json.loads((grown.folder / "capture" / "rollout_sample_metrics.json").read_text())["total"]
    assert totals["ann.thirst_min"] == pytest.approx(0.2, abs=0.05)


def test_the_slow_town_knows_a_need_by_its_name(grown: GrownCopy) -> None:
    grown.insert("townlet_core/vocab.py", '    Need("energy"', THIRST)
    entities = grown.folder / "tests" / "reference" / "entities.py"
    text = entities.read_text().replace('"energy")', '"energy", "thirst")')
    entities.write_text(text.replace('VITAL = ("hunger",)', 'VITAL = ("hunger", "thirst")'))
    grown.run(COMPARE)
