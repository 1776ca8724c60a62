"""A run that was stopped anywhere and resumed ends as the run that was not."""

import contextlib
import os
import signal
from pathlib import Path

import orjson
import pytest
from small_runs import settings_of, trainer_of

from townlet_core import io
from townlet_core.errors import DiskError, InputError, Interrupted
from townlet_core.ppo import checkpoint as checkpoints
from townlet_core.ppo.device import versions
from townlet_core.training import progress
from townlet_core.training.reports import Reports
from townlet_core.training.run_file import note_status_of
from townlet_core.training.signals import StopRequest, stop_on_signals

CLOCKS = (
    "timestamp",
    "epoch_duration_sec",
    "eval_duration_sec",
    "steps_per_second",
    "env_steps_per_second",
    "run_id",
)


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


@pytest.mark.parametrize(
    ("saved", "next_move"), [(True, "continue with: townlet train --resume"), (False, "run the")]
)
def test_a_disk_that_fails_is_told_with_what_goes_on(tmp_path, saved, next_move):
    if saved:
        io.write_json(tmp_path / "checkpoints" / "latest.json", {})
    with pytest.raises(DiskError) as refused, note_status_of(tmp_path):
        raise io.disk_error(OSError(28, "No space left on device"), tmp_path / "telemetry.jsonl")
    assert refused.value.hint.startswith(f"check free space and permissions, then {next_move}")


def test_the_first_signal_is_a_request_and_the_second_is_not_caught():
    before = signal.getsignal(signal.SIGINT)  # a shell's background command has it ignored
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_set()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        with pytest.raises(Interrupted, match="SIGTERM"):
            stop.check()
    assert signal.getsignal(signal.SIGINT) is before


def test_towns_of_another_shape_are_refused(tmp_path):
    trainer_of(tmp_path, settings_of(cycles=1)).run()
    with pytest.raises(InputError, match=r"returns is not <f8 of shape \(5, 3\)"):
        trainer_of(tmp_path, settings_of(cycles=2, num_towns=5), resume=True)


def test_environment_steps_go_on_from_a_checkpoint_that_did_not_count_them(tmp_path):
    counted = trainer_of(tmp_path, settings_of(cycles=2)).run().progress
    checkpoint = checkpoints.load_checkpoint(tmp_path)
    for name in ("env_steps", "env_ticks"):
        del checkpoint.state[name]
    again = trainer_of(tmp_path, settings_of(cycles=2))
    again.resume(checkpoint)
    assert again.progress == counted
    assert counted.env_steps == 900


def test_other_versions_are_told_once(tmp_path, monkeypatch):
    trainer_of(tmp_path, settings_of(cycles=1)).run()
    here = versions()
    for module in (checkpoints, progress):
        monkeypatch.setattr(module, "versions", lambda: dict.fromkeys(here, "other"))
    heard: list[str] = []
    again = trainer_of(tmp_path, settings_of(cycles=2), reports=Reports(warning=heard.append), resume=True)
    assert heard == [
        f"{name}: was {version}, now other; the continuation is not bit-exact"
        for name, version in here.items()
    ]
    assert list(here) == ["townlet", "torch", "numpy", "numba", "processor"]
    again.run()
    heard.clear()
    trainer_of(tmp_path, settings_of(cycles=3), reports=Reports(warning=heard.append), resume=True)
    assert heard == []  # as it was left by what went on
