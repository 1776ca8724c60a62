"""A run that a signal ended goes on as if nothing had been: SIGKILL anywhere, SIGTERM, Ctrl-C.

`make soak-resume` kills a hundred runs in the way that a few are killed here.
"""

import os
import signal
import time
from argparse import Namespace

import pytest
from kill_soak import (
    NEVER,
    TRAIN,
    differences,
    kill_and_resume,
    kills_of,
    run_unharmed,
    start,
    townlet,
    what_is_there,
)

from townlet_core import io
from townlet_core.training import loop

KILLS = 6


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The run that nobody kills: how it ended, and what it left."""
    return run_unharmed(tmp_path_factory.mktemp("straight"))


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_was_killed_ends_as_the_run_that_nobody_killed(tmp_path, straight, number):
    ended, expected = straight
    kills = kills_of(number, ended, Namespace(seed=1, kills=KILLS))
    story, found = kill_and_resume(tmp_path / "run", kills)
    assert differences(found, expected) == [], story


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_first_signal_ends_a_run_with_its_code_and_the_command_that_goes_on(
    tmp_path, straight, number, code
):
    run = held_in_an_update(tmp_path)
    send(run, number, tmp_path)
    (tmp_path / "go on").touch()
    run.join()
    assert run.exitcode == code
    assert f"continue with: townlet train --resume '{tmp_path / 'my run'}'" in (tmp_path / "told").read_text()
    assert io.read_json(tmp_path / "my run" / "run.json")["status"] == "interrupted"
    assert ends_like(straight, tmp_path / "my run")


def test_the_second_signal_ends_a_run_at_once_and_it_goes_on_all_the_same(tmp_path, straight):
    run = held_in_an_update(tmp_path)
    send(run, signal.SIGINT, tmp_path)
    assert run.is_alive()
    os.kill(run.pid, signal.SIGTERM)
    run.join()
    assert run.exitcode == -signal.SIGTERM
    assert ends_like(straight, tmp_path / "my run")


def held_in_an_update(tmp_path):
    """Start a run and return when it is held in its second cycle, until there is a file `go on`."""
    update, updates = loop.update_policy, []

    def held_update(*arguments):
        updates.append(arguments)
        while len(updates) == 3 and not (tmp_path / "go on").exists():
            (tmp_path / "held").touch()
            stop_is_set = arguments[6]
            if stop_is_set():
                (tmp_path / "heard").touch()
            time.sleep(0.005)
        return update(*arguments)

    def before():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background command ignores it
        loop.update_policy = held_update

    run = start([*TRAIN, "--output", tmp_path / "my run"], str(tmp_path / "told"), before=before)
    wait_for(tmp_path / "held", run)
    return run


def send(run, number, tmp_path):
    """Send a signal and return when the run has heard it."""
    os.kill(run.pid, number)
    wait_for(tmp_path / "heard", run)


def wait_for(file, run):
    while not file.exists():
        assert run.is_alive()
        time.sleep(0.005)


def ends_like(straight, folder):
    assert townlet(["train", "--resume", folder], NEVER).code == 0
    return differences(what_is_there(folder), straight[1]) == []
