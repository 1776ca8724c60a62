"""A run that was stopped anywhere and resumed ends as the run that was not."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from small_runs import settings_of, trainer_of

from townlet_core import io
from townlet_core.errors import DiskError, InputError, Interrupted
from townlet_core.training.stopping import StopRequest, stop_on_signals

CLOCKS = ("timestamp", "epoch_duration_sec", "steps_per_second", "run_id")


def told(folder: Path) -> list[dict]:
    """The telemetry without what only the clock decides."""
    lines = (folder / "telemetry.jsonl").read_bytes().splitlines()
    return [{k: v for k, v in orjson.loads(line).items() if k not in CLOCKS} for line in lines]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    result = trainer_of(folder, settings_of()).run()
    return result.weights_sha256, told(folder)


class StopAfter(StopRequest):
    """Ask to stop at the n-th time anybody asks."""

    def __init__(self, polls: int) -> None:
        super().__init__()
        self.left = polls

    def is_set(self) -> bool:
        self.left -= 1
        if self.left <= 0:
            self.signal_number = signal.SIGTERM
        return super().is_set()

    def check(self) -> None:
        self.is_set()
        super().check()


@pytest.mark.parametrize("polls", [1, 3, 5, 30, 56, 60, 61, 63, 64, 100, 121, 150])
def test_stopping_at_any_poll_and_resuming_changes_nothing(tmp_path, straight, polls):
    with pytest.raises(Interrupted) as stopped:
        trainer_of(tmp_path, settings_of(), stop=StopAfter(polls)).run()
    assert stopped.value.exit_code == 143
    result = trainer_of(tmp_path, settings_of(), resume=True).run()
    assert (result.weights_sha256, told(tmp_path)) == straight


@pytest.mark.parametrize("source", ["rollout", "mixed"])
def test_running_statistics_go_on_where_they_were(tmp_path, source):
    settings = settings_of(source=source, normalise_observations=True, normalise_returns=True)
    straight = trainer_of(tmp_path / "a", settings).run().weights_sha256
    for polls in (20, 120):  # before the first cycle, and in a later one
        with pytest.raises(Interrupted):
            trainer_of(tmp_path / "b", settings, StopAfter(polls), resume=polls > 20).run()
    resumed = trainer_of(tmp_path / "b", settings, resume=True)
    assert resumed.progress.cycle == 1
    assert resumed.run().weights_sha256 == straight
    assert told(tmp_path / "b") == told(tmp_path / "a")


@pytest.mark.parametrize("writes", range(1, 40, 3))
def test_a_disk_that_fails_at_any_write_loses_no_finished_cycle(tmp_path, straight, writes, monkeypatch):
    trainer = trainer_of(tmp_path, settings_of())
    left = [writes]
    real = os.write

    def failing(descriptor, data):
        left[0] -= 1
        if left[0] == 0:
            real(descriptor, bytes(data[: len(data) // 2]))
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", failing)
    with contextlib.suppress(DiskError):
        trainer.run()
    monkeypatch.undo()
    resumable = (tmp_path / "checkpoints" / "latest.json").exists()
    result = trainer_of(tmp_path, settings_of(), resume=resumable).run()
    assert (result.weights_sha256, told(tmp_path)) == straight


def test_a_run_killed_with_sigkill_resumes_through_the_command(tmp_path):
    flags = [
        "--cycles",
        "4",
        "--num-towns",
        "4",
        "--hidden-size",
        "16",
        "--capture-towns",
        "1",
        "-q",
        "--json",
    ]
    run = [sys.executable, "-m", "townlet_cli", "train"]
    straight = subprocess.run(
        [*run, *flags, "--output", str(tmp_path / "a")], capture_output=True, check=True, timeout=300
    )
    victim = subprocess.Popen([*run, *flags, "--output", str(tmp_path / "b")], stdout=subprocess.DEVNULL)
    latest = tmp_path / "b" / "checkpoints" / "latest.json"
    while victim.poll() is None and not (latest.exists() and io.read_json(latest)["generation"] >= "g000003"):
        time.sleep(0.005)
    victim.kill()
    victim.wait()
    resumed = subprocess.run(
        [*run, "--resume", str(tmp_path / "b"), "-q", "--json"], capture_output=True, check=True, timeout=300
    )
    digests = [orjson.loads(done.stdout)["weights_sha256"] for done in (straight, resumed)]
    assert digests[0] == digests[1]
    assert told(tmp_path / "a") == told(tmp_path / "b")


def test_the_first_signal_is_a_request_and_the_second_is_not_caught():
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_set()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with pytest.raises(Interrupted, match="SIGTERM"):
            stop.check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_towns_of_another_shape_are_refused(tmp_path):
    trainer_of(tmp_path, settings_of(cycles=1)).run()
    with pytest.raises(InputError, match="does not fit the scenario"):
        trainer_of(tmp_path, settings_of(cycles=2, num_towns=5), resume=True)


def test_another_number_of_threads_is_told(tmp_path, monkeypatch):
    import torch

    from townlet_core.training.loop import Reports

    trainer_of(tmp_path, settings_of(cycles=1)).run()
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    heard: list[str] = []
    trainer_of(tmp_path, settings_of(cycles=2), reports=Reports(warning=heard.append), resume=True)
    assert any("not bit-exact" in message for message in heard)
