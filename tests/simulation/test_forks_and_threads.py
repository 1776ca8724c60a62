"""Towns survive a fork and a second Python thread: no threads are asked for where that ends the process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_core.simulation.numba_support import is_forked, numba_threads

ROOT = Path(__file__).resolve().parents[2]

START = """
import os, sys, threading
import numpy as np
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import MANY_TOWNS, Towns, is_compiled_for

SCENARIO = load_scenario("queue_conflict")

def story(steps=40):
    towns, chance = Towns(SCENARIO, MANY_TOWNS, seed=3), np.random.default_rng(0)
    told = []
    for _ in range(steps):
        towns.step(chance.integers(0, 9, towns.state.agents.shape))
        told.append(towns.observe().features.tobytes() + towns.state.agents.tobytes())
    return told

def forked(function):
    child = os.fork()
    if child == 0:
        os._exit(0 if function() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

FORK = """
expected = story()
assert forked(lambda: story() == expected) == 0
assert forked(lambda: forked(lambda: story() == expected) == 0) == 0
assert forked(lambda: is_compiled_for(MANY_TOWNS)) == 0
assert story() == expected
"""

POOL = """
from multiprocessing import get_context
expected = story()
with get_context("fork").Pool(2) as pool:
    assert pool.map(story, [40, 40]) == [expected, expected]
"""

LOADER = """
from torch.utils.data import DataLoader, IterableDataset
from townlet_core.envs import TownVectorEnv
class Steps(IterableDataset):
    def __init__(self):
        self.env = TownVectorEnv("queue_conflict", MANY_TOWNS)
        self.env.reset(seed=3)
        self.env.step(np.zeros(self.env.num_envs, int))
    def __iter__(self):
        for _ in range(5):
            yield self.env.step(np.ones(self.env.num_envs, int))[0]["features"]
steps = Steps()
seen = [batch.numpy() for batch in DataLoader(steps, batch_size=None, num_workers=1)]
assert all(map(np.array_equal, seen, list(steps)))
"""

TRAIN = """
import contextlib
from townlet_cli.main import run
TRAINING = "train queue_conflict --mode rollout --cycles 1 --num-towns 64 --rollout-ticks 8 --output"
def townlet(arguments):
    sys.argv = ["townlet", "-q", *arguments.split()]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            run()
        except SystemExit as left:
            return not left.code
assert townlet(f"{TRAINING} parent")
assert forked(lambda: townlet(f"{TRAINING} child")) == 0
assert townlet("evaluate parent --episodes 70")
assert forked(lambda: townlet("evaluate parent --episodes 70")) == 0
"""

THREADS = """
expected, told = story(), []
players = [threading.Thread(target=lambda: told.append(story())) for _ in range(4)]
for player in players:
    player.start()
for player in players:
    player.join()
assert told == [expected] * 4
"""


def play(program, folder, **environment):
    """Run a program of its own process; it may be killed by a signal, which the exit code tells."""
    done = subprocess.run(
        [sys.executable, "-c", START + program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_NUM_THREADS": "2", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("program", [FORK, POOL, LOADER], ids=["fork", "pool", "loader"])
def test_a_forked_process_plays_as_its_parent(program, tmp_path):
    play(program, tmp_path)


def test_a_forked_process_trains_and_evaluates(tmp_path):
    play(TRAIN, tmp_path, OMP_NUM_THREADS="2")


@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_python_threads_play_side_by_side(layer, tmp_path):
    play(THREADS, tmp_path, NUMBA_THREADING_LAYER=layer)


def test_a_fork_survives_with_the_pool_of_numba(tmp_path):
    play(FORK, tmp_path, NUMBA_THREADING_LAYER="workqueue")


def test_one_caller_at_a_time_has_the_threads():
    assert not is_forked()
    with numba_threads() as first:
        assert first
        with numba_threads() as second:
            assert not second
    with numba_threads() as third:
        assert third
