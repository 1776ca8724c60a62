"""What training shows: a line per cycle in a pipe, a bar that moves on a terminal, nothing if so asked."""

import json
import os
import re
import shlex
import signal
from io import StringIO

import pytest
from rich.console import Console

from townlet_cli import train_progress
from townlet_core import io
from townlet_core.ppo.checkpoint import load_checkpoint, prune
from townlet_core.training import loop, pace
from townlet_core.training.evaluation import Evaluation
from townlet_core.training.pace import Pace
from townlet_core.training.reports import CycleEnd, Reports
from townlet_core.training.session import train
from townlet_core.training.settings import TrainingSettings

TRAIN = shlex.split(
    "train --mode rollout --cycles 3 --num-towns 2 --hidden-size 8 --rollout-ticks 20 --epochs 2"
)
LINE = re.compile(
    r"cycle (\d)/3  reward -?\d\.\d{4}  conflicts \d+  env_steps (\d+)  steps/s [\d,]+  left \d:\d\d:\d\d"
)


def test_a_pipe_gets_a_line_per_cycle(townlet, tmp_path):
    _, _, stderr = townlet(*TRAIN, "--output", tmp_path / "run", "--eval-every", 3, "--eval-episodes", 2)
    lines = [line for line in stderr.splitlines() if line.startswith("cycle")]
    assert [LINE.match(line).groups() for line in lines] == [("1", "120"), ("2", "240"), ("3", "360")]
    assert re.search(r"left 0:00:00  eval_return \S+ \[\S+, \S+\]  eval_deterministic_return \S+$", lines[2])
    assert "eval_" not in lines[0] + lines[1]


@pytest.mark.parametrize("flag", ["-q", "--no-progress"])
def test_no_line_is_shown_if_so_asked(townlet, tmp_path, flag):
    _, stdout, stderr = townlet(*TRAIN, "--output", tmp_path / "run", flag)
    assert "cycle 1/3" not in stderr
    assert ("writing to" in stderr) == (flag == "--no-progress")
    assert stdout.startswith("3 cycles")


def test_a_terminal_gets_a_bar_with_the_reward_and_a_line_per_evaluation(monkeypatch):
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=100, highlight=False)
    monkeypatch.setattr("townlet_cli.console.err", console)
    monkeypatch.setattr(train_progress, "err", console)
    monkeypatch.setattr(train_progress, "shows_progress", lambda: True)
    watched = train_progress.CycleProgress()
    end = CycleEnd(
        2, 5, -0.0125, 7, 480, 1234.5, 61, Evaluation(2, 1, -3.0, -4.0, -2.0, 0.0, -5.0, *[0.0] * 4)
    )
    with watched.shown(1, 5):
        watched.move(1.5)
        watched.end_cycle(end)
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"training .*2/5 +reward -0\.0125  steps/s 1,234  left 0:01:01", seen)
    assert "cycle 2/5  eval_return -3.0000 [-4.0000, -2.0000]  eval_deterministic_return -5.0000" in seen
    assert "conflicts" not in seen


def test_the_bar_moves_within_a_cycle_and_never_back(tmp_path):
    settings = TrainingSettings(
        cycles=2, num_towns=2, rollout_ticks=10, hidden_size=8, capture_towns=1, eval_every=1, eval_episodes=2
    )
    moved = []
    train(settings, tmp_path / "run", reports=Reports(moved=moved.append))
    # 16 minibatches of recordings, 10 ticks, 16 minibatches, 2 × 2 episodes: at least one step each
    assert len(moved) == 2 * (16 + 10 + 16 + 4)
    assert moved == sorted(moved)
    assert moved[45] == 1
    assert moved[-1] == 2


def test_parts_count_by_the_time_they_took_and_the_first_cycle_is_not_the_pace(monkeypatch):
    now, moved = [0.0], []
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])
    clock = Pace(moved.append)
    for begin, seconds in ((0, (90, 10)), (1, (1, 3))):
        clock.begin(begin, ["play", "update"])
        for part in seconds:
            now[0] += part
            clock.end_part()
        assert clock.end() == sum(seconds)
        assert clock.seconds_left(5) == (500 if begin == 0 else 20)
    clock.begin(2, ["play", "update"])
    clock.move(1)
    assert moved == [2.25]  # the play took a quarter of the cycle before


def test_a_time_limit_stops_after_a_cycle_and_the_run_can_be_resumed(townlet, tmp_path):
    run = tmp_path / "run"
    code, stdout, _ = townlet(*TRAIN, "--output", run, "--max-seconds", 0, "--json")
    assert (code, json.loads(stdout)["status"], json.loads(stdout)["cycles"]) == (0, "interrupted", 1)
    told = io.read_json(run / "run.json")
    assert (told["status"], told["reason"]) == ("interrupted", "--max-seconds: the time was up")
    _, _, stderr = townlet("train", "--resume", run, "--max-seconds", 0)
    assert "stopped by --max-seconds after 2 cycles of 3; every cycle is saved" in stderr
    assert f"next: townlet train --resume {run}" in stderr
    last = json.loads(townlet("train", "--resume", run, "--json")[1])
    straight = json.loads(townlet(*TRAIN, "--output", tmp_path / "straight", "--json")[1])
    assert last["status"] == straight["status"] == "finished"
    assert last["weights_sha256"] == straight["weights_sha256"]


def test_a_time_limit_also_ends_a_warm_start_after_an_epoch(townlet, tmp_path):
    run = tmp_path / "run"
    warm = ("--warm-start", "bc", "--warm-start-epochs", 2, "--capture-towns", 1)
    stopped = json.loads(townlet(*TRAIN, *warm, "--output", run, "--max-seconds", 0, "--json")[1])
    assert (stopped["cycles"], stopped["warm_start"]["epoch"]) == (0, 1)
    resumed = json.loads(townlet("train", "--resume", run, "--json")[1])
    assert (resumed["cycles"], resumed["warm_start"]["epoch"]) == (3, 2)


def test_a_signal_keeps_the_checkpoint_of_its_cycle(townlet, tmp_path, monkeypatch):
    run, before = tmp_path / "run", signal.getsignal(signal.SIGUSR1)
    real, calls = loop.update_policy, []

    def with_signal(*given):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
        return real(*given)

    monkeypatch.setattr(loop, "update_policy", with_signal)
    _, _, stderr = townlet(*TRAIN, "--output", run, "--keep-checkpoints", 1)
    kept = run / "checkpoints" / "cycle000002.json"
    assert f"SIGUSR1: the checkpoint of cycle 2 stays: {kept}" in stderr
    prune(run / "checkpoints", keep=1)
    assert load_checkpoint(kept).state["cycle"] == 2
    assert load_checkpoint(run).state["cycle"] == 3
    assert signal.getsignal(signal.SIGUSR1) is before
    assert townlet("evaluate", kept, "--episodes", 2, "-q")[0] == 0
    _, _, stderr = townlet(*TRAIN, "--output", run, "--force")
    assert not kept.exists()
    assert "kept, not recognised" not in stderr
