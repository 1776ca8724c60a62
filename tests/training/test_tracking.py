"""`--track tensorboard`: what TensorBoard reads of a run is its log, also after a kill and a resume."""

import builtins
import importlib
import sys
from pathlib import Path

import pytest
from small_runs import run_small, settings_of, trainer_of

from townlet_core.errors import InputError, MissingLibraryError
from townlet_core.telemetry.export_tensorboard import export_tensorboard
from townlet_core.telemetry.reader import read_telemetry
from townlet_core.training import session
from townlet_core.training.run_directory import contents
from townlet_core.training.session import resume, train
from townlet_core.training.settings import resolve_settings
from townlet_core.training.tracking import tracked

sys.path.append(str(Path(__file__).resolve().parents[1] / "telemetry"))

from event_files import read_events

CLOCKS = ("time/fps", "townlet/epoch_duration_sec", "townlet/steps_per_second")
MODES = ("replay", "rollout")


def events(folder):
    """Return every point that TensorBoard shows of a run, without what the clock decides."""
    found = {mode: read_events(folder / mode) for mode in MODES if (folder / mode).exists()}
    return {
        mode: {tag: points for tag, points in tags.items() if tag not in CLOCKS}
        for mode, tags in found.items()
    }


@pytest.fixture(scope="module")
def tracked_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked") / "run"
    run_small(folder, track="tensorboard")
    return folder


def test_a_tracked_run_shows_what_an_export_of_its_log_shows(tracked_run, tmp_path):
    export_tensorboard(read_telemetry(tracked_run / "telemetry.jsonl"), tmp_path / "tb")
    shown = events(tracked_run / "tensorboard")
    assert shown == events(tmp_path / "tb")
    assert [len(shown[mode]["train/loss"]) for mode in MODES] == [3, 3]


def test_its_files_are_the_runs_own(tracked_run):
    found = contents(tracked_run)
    assert [name for name in found.ours if name.startswith("tensorboard/")] == [
        "tensorboard/replay/events.out.tfevents.000001",
        "tensorboard/rollout/events.out.tfevents.000001",
    ]
    assert found.others == []


def test_a_run_that_was_killed_in_a_cycle_and_resumed_shows_every_point_once(tracked_run, tmp_path):
    """The kill is after the second cycle's recordings were reported, and in the middle of an event."""
    folder, settings = tmp_path / "run", settings_of(track="tensorboard")
    trainer = trainer_of(folder, settings)

    class Killed(BaseException):
        pass

    def kill(found):
        if found["cycle_id"] == 1 and found["data_mode"] == "rollout":
            raise Killed

    with (
        pytest.raises(Killed),
        tracked(trainer.reports._replace(record=kill), settings, folder, trainer.progress) as trainer.reports,
    ):
        trainer.run()
    before = events(folder / "tensorboard")
    assert [len(before[mode]["train/loss"]) for mode in MODES] == [2, 1]
    with open(folder / "tensorboard" / "rollout" / "events.out.tfevents.000001", "ab") as file:
        file.write(b"\x40\0\0")
    resume(folder)
    assert events(folder / "tensorboard") == events(tracked_run / "tensorboard")
    assert len(list((folder / "tensorboard" / "replay").iterdir())) == 2


def test_a_run_on_recordings_alone_is_purged_by_sample_passes(tracked_run, tmp_path):
    manifest = tracked_run / "samples" / "rollout_sample_manifest.json"
    folder = tmp_path / "run"
    settings = settings_of(track="tensorboard", source="replay", replay_manifest=(manifest,), cycles=2)
    train(settings, folder)
    resume(folder, 3)
    export_tensorboard(read_telemetry(folder / "telemetry.jsonl"), tmp_path / "tb")
    shown = events(folder / "tensorboard")
    assert shown == events(tmp_path / "tb")
    assert [step for step, _ in shown["replay"]["train/loss"]] == [
        step * shown["replay"]["train/loss"][0][0] for step in (1, 2, 3)
    ]


def test_force_replaces_the_event_files_with_the_run(tracked_run, tmp_path):
    folder = tmp_path / "run"
    run_small(folder, track="tensorboard", track_names="cleanrl", source="rollout", cycles=1)
    train(settings_of(source="rollout", cycles=1), folder, force=True)
    assert not (folder / "tensorboard").exists()


def test_without_the_library_a_run_does_not_begin(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name.partition(".")[0] == "tensorboard":
            raise ModuleNotFoundError(f"No module named {name!r}", name="tensorboard")
        return real(name, *rest)

    module = "townlet_core.telemetry.export_tensorboard"
    monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingLibraryError, match="tensorboard is not installed") as found:
        train(settings_of(track="tensorboard"), tmp_path / "run")
    assert found.value.hint == "pip install 'townlet[tensorboard]'"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    importlib.import_module(module)


def test_names_without_tracking_are_refused():
    with pytest.raises(InputError, match="--track-names"):
        resolve_settings({"track_names": "cleanrl"}, environment=False)
    assert resolve_settings({"track": "tensorboard", "track_names": "cleanrl"}, environment=False)
    assert session.tracked is tracked
