"""A training session from its first check to its last word: `train` begins a run, `resume` continues one.

Everything that can be refused is refused before the run folder is touched; what only making the recordings
or building the learner can show is refused right after, and the run is taken back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import DiskError, InputError, MissingError, count
from townlet_core.locks import lock_folder
from townlet_core.ppo.checkpoint import Checkpoint, load_checkpoint
from townlet_core.ppo.config import learning_rate_at
from townlet_core.ppo.device import resolve_device
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.scenario.load import load_scenario, scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.telemetry.writer import begin_log, claim_log, take_up_log
from townlet_core.training.loop import Reports, Trained, Trainer
from townlet_core.training.origin import origin_of, read_text
from townlet_core.training.progress import Progress, read_progress
from townlet_core.training.recordings import (
    PREFIX,
    check_agreement,
    check_own_recordings,
    open_dataset,
    record_script,
    refuse_other_recordings,
)
from townlet_core.training.run_directory import (
    CHECKPOINTS,
    LOG,
    SAMPLES,
    Removed,
    check_removable,
    choose_folder,
    discard,
    end_removal,
    finish_removal,
    first_missing,
    is_run,
    log_files,
    refuse_run,
    refuse_taken_places,
    remove_run,
    without,
)
from townlet_core.training.run_file import (
    RunFile,
    begin_run,
    note_resumed,
    note_status_of,
    note_warm_start,
    read_run,
    refuse_other_recordings_than,
    reopen_run,
)
from townlet_core.training.settings import TrainingSettings, with_absolute_paths
from townlet_core.training.signals import StopRequest, stop_on_signals
from townlet_core.training.warm_start import Cloned


def no_bar(total: int) -> AbstractContextManager[Callable[[], Any]]:
    """Show no progress."""
    return nullcontext(lambda: None)


class Voice(NamedTuple):
    """What a session tells besides the reports of its loop; all of it may do nothing."""

    note: Callable[[str], Any] = lambda message: None
    removed: Callable[[Path, Removed], Any] = lambda folder, removed: None
    cloned: Callable[[Cloned, int], Any] = lambda cloned, epochs: None  # a warm start of so many epochs
    compiling: Callable[[int], Any] = lambda num_towns: None  # before so many towns are played
    cycles: Callable[[int], AbstractContextManager[Callable[[], Any]]] = no_bar  # around so many cycles


class Session(NamedTuple):
    """A run that ended well."""

    folder: Path
    log: Path
    scenario: Scenario | None
    settings: TrainingSettings
    result: Trained


def train(
    settings: TrainingSettings,
    sources: dict[str, str] | None = None,
    output: Path | None = None,
    force: bool = False,
    reports: Reports | None = None,
    voice: Voice | None = None,
) -> Session:
    """Begin a run and train to its end.

    sources: where each setting came from, as resolve_settings says. output: the run folder, by default the
    next free one under runs/. force: replace the run that is there, and a log at settings.ppo_log.
    Raises InputError, MissingError, DiskError or BusyError before anything is touched, or with everything
    taken back that was begun; RunFailed and Interrupted once there is something to resume.
    """
    settings, reports, voice = with_absolute_paths(settings), reports or Reports(), voice or Voice()
    with stop_on_signals() as stop:
        with stop.at_once():
            plan = _scenario_of(settings)
            folder = choose_folder(output, plan.name if plan else "replay", settings.seed, force)
            dataset = _check_input(settings, plan, folder, force)
        text = read_text(settings.scenario) if plan else None
        made = first_missing(folder)
        with lock_folder(folder):
            finish_removal(folder)
            old_log = log_files(settings.ppo_log) if force and settings.ppo_log else []
            if force and is_run(folder):
                voice.removed(folder, without(remove_run(folder), folder, old_log))
                old_log = [file for file in old_log if io.kind_of(file)]
            refuse_run(folder)
            with (
                begin_log(settings.ppo_log, force) if settings.ppo_log else nullcontext() as log_lock,
                _taken_back(folder, made),
            ):
                begin_run(folder, settings, sources or {}, plan, text)
                end_removal(folder)
                if old_log:
                    voice.note(f"replaced the log {settings.ppo_log}: {', '.join(f.name for f in old_log)}")
                voice.note(f"writing to {folder}")
                with note_status_of(folder):
                    with stop.at_once():
                        dataset = dataset or _open_recordings(settings, folder, plan, voice)
                        trainer = _make_trainer(settings, folder, plan, dataset, stop, reports, voice)
                        trainer.log_lock = log_lock
                    return _run(trainer, plan, voice)


def resume(
    folder: Path, cycles: int | None = None, reports: Reports | None = None, voice: Voice | None = None
) -> Session:
    """Continue a run, bit for bit, to as many cycles as it was last asked for, or to `cycles`.

    Raises InputError, MissingError, DiskError or BusyError where it cannot go on; the run is then as it was.
    """
    reports, voice = reports or Reports(), voice or Voice()
    with stop_on_signals() as stop:
        settings, before = reopen_run(folder, cycles), reopen_run(folder).cycles
        with lock_folder(folder):
            end_removal(folder)
            run_file = read_run(folder)
            plan = _own_scenario(folder, run_file, reports)
            refuse_other_recordings_than(folder, run_file, settings)
            checkpoint = _last_checkpoint(folder)
            for warning in checkpoint.warnings if checkpoint else ():
                reports.warning(warning)
            stands = read_progress(checkpoint) if checkpoint else Progress()
            done, log = stands.cycle, settings.ppo_log or folder / LOG
            is_done = done >= settings.cycles
            place = f"after cycle {done} of {max(done, settings.cycles)}"
            if is_done:
                voice.note(f"{folder} stands {place}: nothing is left to do; --cycles N goes on")
            else:
                voice.note(f"resuming {folder} {place}")
                _warn_of_schedule(settings, done, before, reports)
            if is_done and checkpoint and run_file.status == "finished":
                result = Trained(stands, checkpoint.metadata.weights_sha256, [])
                return Session(folder, log, plan, settings, result)
            with take_up_log(log, run_file.run_id, stands.log_offset) as log_lock:
                with note_status_of(folder, goes_on=True), stop.at_once():
                    dataset = _open_recordings(settings, folder, plan, voice)
                    trainer = _make_trainer(settings, folder, plan, dataset, stop, reports, voice)
                    trainer.log_lock = log_lock
                    if checkpoint:
                        trainer.resume(checkpoint)
                if not is_done:
                    note_resumed(folder, settings, done)
                with note_status_of(folder):
                    return _run(trainer, plan, voice)


def _own_scenario(folder: Path, run_file: RunFile, reports: Reports) -> Scenario | None:
    """Load what a run was trained in: its own copy, or, for a run of an older version, the file itself."""
    origin = origin_of(folder, run_file)
    if origin is None:
        return None
    if run_file.scenario_sha256 not in (None, scenario_sha256(origin.scenario)):
        raise InputError(
            f"{folder}: the scenario has changed since the run began",
            "restore the file, or start a new run",
        )
    if origin.warning:
        reports.warning(origin.warning)
    return origin.scenario


def _warn_of_schedule(settings: TrainingSettings, done: int, before: int, reports: Reports) -> None:
    """Say that another number of cycles moves the learning rate of a schedule that ends with the last."""
    then = learning_rate_at(settings, done / before)
    now = learning_rate_at(settings, done / settings.cycles)
    if now != then:
        reports.warning(
            f"--cycles {settings.cycles} moves the {settings.lr_schedule} schedule: after cycle {done} the "
            f"learning rate is {now:g}; with {count(before, 'cycle')} it was {then:g}"
        )


def _scenario_of(settings: TrainingSettings) -> Scenario | None:
    """Load the scenario; None where recordings say everything. Raises InputError if nobody lives there."""
    recordings = settings.replay_manifest or settings.replay_sample
    if not settings.uses_recordings and recordings:
        raise InputError(
            "--mode rollout learns from live towns only, and recordings were given",
            "use mixed, or --warm-start bc",
        )
    if settings.source == "replay" and recordings:
        return None
    plan = load_scenario(settings.scenario)
    if not plan.agents:
        raise InputError(f"{plan.name}: has no agents to train", "add some under agents:")
    return plan


def _check_input(
    settings: TrainingSettings, plan: Scenario | None, folder: Path, force: bool
) -> ReplayDataset | None:
    """Refuse what can be refused before a run begins; return the recordings that were given, opened."""
    refuse_taken_places(folder, settings.ppo_log, settings.capture_dir)
    if settings.ppo_log:
        _check_writable(settings.ppo_log)
        if io.kind_of(settings.ppo_log.parent):
            claim_log(settings.ppo_log, force).release()  # claimed for good once everything else is sound
    for place in filter(None, (folder, settings.capture_dir)):
        _check_writable(place / LOG)
    given = (*settings.replay_manifest, *settings.replay_sample)
    if force and is_run(folder):
        read_run(folder)  # other programs write files of that name, too
        check_removable(folder, given)
    dataset = open_dataset(settings, settings.replay_manifest) if given else None
    if dataset and plan:
        check_agreement(dataset, plan)
    if plan and settings.uses_recordings and not given:
        check_own_recordings(plan, settings)
    resolve_device(settings.device)
    return dataset


def _check_writable(path: Path) -> None:
    """Raise InputError or DiskError if a file could not be written, without writing it."""
    nearest = next(place for place in (path, *path.absolute().parents) if io.kind_of(place))
    if nearest != path and io.kind_of(nearest) != "folder":
        raise InputError(f"{nearest}: is a file, expected a folder", "choose another place")
    if not os.access(nearest, os.W_OK):
        raise DiskError(f"{path}: cannot be written: {nearest} is read-only", "choose another place")


@contextmanager
def _taken_back(folder: Path, made: Path | None) -> Iterator[None]:
    """Take a run back if it is refused before its first checkpoint: bad input leaves nothing behind."""
    try:
        yield
    except (InputError, MissingError, DiskError):
        if io.kind_of(folder / CHECKPOINTS / "latest.json") is None:
            discard(folder, made)
        raise


def _last_checkpoint(folder: Path) -> Checkpoint | None:
    try:
        return load_checkpoint(folder)
    except MissingError:  # stopped before the first one, so there is nothing to take up
        return None


def _open_recordings(
    settings: TrainingSettings, folder: Path, plan: Scenario | None, voice: Voice
) -> ReplayDataset | None:
    """Open the recordings, made by the scripted policy now if none were given; None for live towns only."""
    if not settings.uses_recordings:
        return None
    manifests = settings.replay_manifest
    if not manifests and not settings.replay_sample:
        assert plan is not None  # without recordings there is a scenario
        where = settings.capture_dir or folder / SAMPLES
        manifest = where / f"{PREFIX}_manifest.json"
        if io.kind_of(manifest):
            refuse_other_recordings(where, plan, settings)
        else:
            voice.note("no recordings given: the scripted policy makes some first")
            voice.compiling(1)
            record_script(plan, settings, where)
        manifests = (manifest,)
    return open_dataset(settings, manifests)


def _make_trainer(
    settings: TrainingSettings,
    folder: Path,
    plan: Scenario | None,
    dataset: ReplayDataset | None,
    stop: StopRequest,
    reports: Reports,
    voice: Voice,
) -> Trainer:
    """Build the trainer; how well a warm start imitates is written into run.json, too."""
    for warning in dataset.warnings if dataset else ():
        reports.warning(warning)

    def note_cloned(cloned: Cloned) -> None:
        reports.cloned(cloned)
        voice.cloned(cloned, settings.warm_start_epochs)
        if cloned.epoch >= settings.warm_start_epochs:
            note_warm_start(folder, cloned._asdict())

    return Trainer(settings, folder, plan, dataset, stop, reports._replace(cloned=note_cloned))


def _run(trainer: Trainer, plan: Scenario | None, voice: Voice) -> Session:
    """Train to the end, with the folder locked."""
    settings, folder = trainer.settings, trainer.folder
    if plan:
        voice.compiling(settings.num_towns)
    with voice.cycles(settings.cycles - trainer.progress.cycle) as advance:
        tell = trainer.reports.cycle

        def count_cycle() -> None:
            advance()
            tell()

        trainer.reports = trainer.reports._replace(cycle=count_cycle)
        result = trainer.run()
    return Session(folder, settings.ppo_log or folder / LOG, plan, settings, result)
