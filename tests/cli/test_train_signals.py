"""A signal is heeded at once wherever a run does long work, and what was ignored stays ignored."""

import json
import os
import shlex
import signal
import threading

import pytest

from townlet_core import io
from townlet_core.errors import Interrupted
from townlet_core.training import input_checks, loop, rollout, session
from townlet_core.training.signals import stop_on_signals

TRAIN = shlex.split(
    "train --cycles 1 --num-towns 2 --hidden-size 8 --rollout-ticks 5 --num-epochs 1 --capture-towns 1 "
    "--warm-start bc --warm-start-epochs 1 --eval-every 1 --eval-episodes 2"
)
LONG_WORK = [
    (session, "record_script"),
    (session, "open_dataset"),
    (session, "Trainer"),
    (loop, "clone_epoch"),
    (loop, "evaluate_network"),
    (rollout, "collect"),
]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return tmp_path_factory.mktemp("straight") / "run"


@pytest.mark.parametrize(("module", "name"), LONG_WORK, ids=[name for _, name in LONG_WORK])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_long_work_is_cut_by_a_signal_and_the_run_ends_as_if_it_had_not_been(
    townlet, tmp_path, monkeypatch, straight, module, name, number
):
    if not straight.exists():
        assert townlet(*TRAIN, "--output", straight, "-q")[0] == 0

    def meet_signal(*arguments):
        os.kill(os.getpid(), number)
        for _ in range(1000):
            pass  # between two of these Python listens
        raise AssertionError("went on")

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(module, name, meet_signal)
        code, _, stderr = townlet(*TRAIN, "--output", run)
    assert code == 128 + number
    assert f"stopped by {number.name}" in stderr
    assert f"continue with: townlet train --resume {run}" in stderr
    assert io.read_json(run / "run.json")["status"] == "interrupted"
    ended = json.loads(townlet("train", "--resume", run, "--json", "-q")[1])
    again = json.loads(townlet("train", "--resume", straight, "--json", "-q")[1])
    assert ended["weights_sha256"] == again["weights_sha256"]


def test_a_signal_before_a_run_begins_leaves_nothing(townlet, tmp_path, monkeypatch):
    monkeypatch.setattr(input_checks, "load_scenario", lambda name: os.kill(os.getpid(), signal.SIGTERM))
    code, _, stderr = townlet(*TRAIN, "--output", tmp_path / "run")
    assert (code, stderr) == (143, "error: stopped by SIGTERM\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_is_ignored_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop, stop.at_once():
            os.kill(os.getpid(), number)
            assert not stop.is_set()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_what_is_not_to_be_cut_is_asked_to_stop_and_what_comes_after_does_not_begin():
    begun = []
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        begun.append("work that finishes")
        with pytest.raises(Interrupted, match="SIGTERM"), stop.at_once():
            begun.append("work that may be cut")
    assert begun == ["work that finishes"]


def test_a_run_in_a_thread_hears_no_signals():
    heard = []

    def work():
        with stop_on_signals() as stop:
            heard.append(stop.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [False]
