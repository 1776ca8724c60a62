"""A training session: `train` begins a run, `resume` continues one.

Input is checked before the run directory is touched. What shows only while the recordings are made or the
learner is built is refused right after, and the run is removed again.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.capture.settings import PREFIX
from townlet_core.capture.unfinished import discard_remains
from townlet_core.errors import DiskError, InputError, MissingError, count, shown
from townlet_core.locks import FileLock, lock_folder
from townlet_core.ppo.checkpoint import Checkpoint, load_checkpoint
from townlet_core.ppo.config import learning_rate_at
from townlet_core.ppo.device import resolve_device
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.scenario.load import load_scenario, scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.telemetry.writer import begin_log, claim_log, take_up_log
from townlet_core.training.loop import Trainer
from townlet_core.training.origin import origin_of, read_text
from townlet_core.training.progress import Progress, read_progress
from townlet_core.training.recordings import (
    check_agreement,
    check_own_recordings,
    open_dataset,
    record_script,
    refuse_other_recordings,
)
from townlet_core.training.reports import Reports, Trained
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
    Ending,
    begin_run,
    note_resumed,
    note_status_of,
    note_warm_start,
    refuse_other_recordings_than,
    reopen_run,
)
from townlet_core.training.run_json import RunFile, read_run
from townlet_core.training.settings import TrainingSettings, with_absolute_paths
from townlet_core.training.signals import StopRequest, stop_on_signals
from townlet_core.training.tracking import check_tracking, tracked
from townlet_core.training.warm_start import Cloned


def no_bar(done: int, cycles: int) -> AbstractContextManager[Any]:
    """Show no progress bar."""
    return nullcontext()


class Listener(NamedTuple):
    """Callbacks of a session, besides the reports of its loop; each may do nothing."""

    note: Callable[[str], Any] = lambda message: None
    removed: Callable[[Path, Removed], Any] = lambda folder, removed: None
    cloned: Callable[[Cloned, int], Any] = lambda cloned, epochs: None  # a warm start of so many epochs
    compiling: Callable[[int], Any] = lambda num_towns: None  # before so many towns are played
    cycles: Callable[[int, int], AbstractContextManager[Any]] = no_bar  # around cycles: done so far, of all


class Session(NamedTuple):
    """A run that ended well: finished, or stopped by max_seconds."""

    folder: Path
    log: Path
    scenario: Scenario | None
    settings: TrainingSettings
    result: Trained

    @property
    def is_finished(self) -> bool:
        """Whether all cycles are done; if not, the time was up."""
        return self.result.progress.cycle >= self.settings.cycles


def train(
    settings: TrainingSettings,
    output: str | Path | None = None,
    *,
    force: bool = False,
    max_seconds: float = math.inf,
    runs: str | Path = "runs",
    sources: dict[str, str] | None = None,
    reports: Reports | None = None,
    listener: Listener | None = None,
) -> Session:
    """Begin a run and train to its end.

    output: the run directory, by default the next free one in the folder `runs`. force: replace the run in
    it, and a log at settings.ppo_log. max_seconds: stop after the cycle in which so much time has passed; the
    run can be resumed. sources: where each setting came from, as resolve_settings returns it.
    Raises InputError, MissingError, DiskError or BusyError before anything is written, or after the new run
    was removed again; RunFailed and Interrupted once there is something to resume.
    """
    if not isinstance(settings, TrainingSettings):
        raise InputError(f"settings: {shown(settings)}, expected TrainingSettings(...)")
    settings, reports, listener = with_absolute_paths(settings), reports or Reports(), listener or Listener()
    until = time.monotonic() + max_seconds
    with stop_on_signals() as stop_request:
        with stop_request.at_once():
            scenario = _scenario_of(settings)
            wanted = None if output is None else Path(output)
            name = scenario.name if scenario else "replay"
            folder = choose_folder(wanted, name, settings.seed, force, Path(runs))
            dataset = _check_input(settings, scenario, folder, force)
        text = read_text(settings.scenario) if scenario else None
        made = first_missing(folder)
        with lock_folder(folder):
            finish_removal(folder)
            old_log = log_files(settings.ppo_log) if force and settings.ppo_log else []
            if force and is_run(folder):
                listener.removed(folder, without(remove_run(folder), folder, old_log))
                old_log = [file for file in old_log if io.kind_of(file)]
            refuse_run(folder)
            with (
                begin_log(settings.ppo_log, force) if settings.ppo_log else nullcontext() as log_lock,
                _discarded_if_refused(folder, made),
            ):
                begin_run(folder, settings, sources or {}, scenario, text)
                end_removal(folder)
                if old_log:
                    listener.note(
                        f"replaced the log {settings.ppo_log}: {', '.join(f.name for f in old_log)}"
                    )
                listener.note(f"writing to {folder}")
                with note_status_of(folder) as ending:
                    with stop_request.at_once():
                        trainer = prepare_trainer(
                            settings, folder, scenario, dataset, stop_request, reports, listener, log_lock
                        )
                    return _run(trainer, scenario, listener, until, ending)


def resume(
    folder: str | Path,
    cycles: int | None = None,
    *,
    max_seconds: float = math.inf,
    reports: Reports | None = None,
    listener: Listener | None = None,
) -> Session:
    """Resume a run, bit for bit, to the cycles last requested, or to `cycles`.

    max_seconds: as of `train`.
    Raises InputError, MissingError, DiskError or BusyError if it cannot be resumed, and leaves it unchanged.
    """
    folder, reports, listener = Path(folder), reports or Reports(), listener or Listener()
    until = time.monotonic() + max_seconds
    with stop_on_signals() as stop_request:
        settings, before = reopen_run(folder, cycles), reopen_run(folder).cycles
        check_tracking(settings)
        with lock_folder(folder):
            end_removal(folder)
            run_file = read_run(folder)
            scenario = _own_scenario(folder, run_file, reports)
            refuse_other_recordings_than(folder, run_file, settings)
            checkpoint = _last_checkpoint(folder)
            for warning in checkpoint.warnings if checkpoint else ():
                reports.warning(warning)
            progress = read_progress(checkpoint) if checkpoint else Progress()
            done, log = progress.cycle, settings.ppo_log or folder / LOG
            is_done = done >= settings.cycles
            place = f"after cycle {done} of {max(done, settings.cycles)}"
            if is_done:
                listener.note(f"{folder} stands {place}: nothing is left to do; --cycles N goes on")
            else:
                listener.note(f"resuming {folder} {place}")
                _warn_of_schedule(settings, done, before, reports)
            if is_done and checkpoint and run_file.status == "finished":
                result = Trained(progress, checkpoint.metadata.weights_sha256, [], {})
                return Session(folder, log, scenario, settings, result)
            with take_up_log(log, run_file.run_id, progress.log_offset) as log_lock:
                with note_status_of(folder, goes_on=True), stop_request.at_once():
                    trainer = prepare_trainer(
                        settings, folder, scenario, None, stop_request, reports, listener, log_lock
                    )
                    if checkpoint:
                        trainer.resume(checkpoint)
                if not is_done:
                    note_resumed(folder, settings, done)
                with note_status_of(folder) as ending:
                    return _run(trainer, scenario, listener, until, ending)


def _own_scenario(folder: Path, run_file: RunFile, reports: Reports) -> Scenario | None:
    """Load the scenario of a run: its copy, or the original file for a run of 0.1.0."""
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
    """Warn that another number of cycles changes the learning rate of a schedule."""
    then = learning_rate_at(settings, done / before)
    now = learning_rate_at(settings, done / settings.cycles)
    if now != then:
        reports.warning(
            f"--cycles {settings.cycles} moves the {settings.lr_schedule} schedule: after cycle {done} the "
            f"learning rate is {now:g}; with {count(before, 'cycle')} it was {then:g}"
        )


def _scenario_of(settings: TrainingSettings) -> Scenario | None:
    """Load the scenario; None for training on recordings alone, without evaluation.

    Raises InputError if it has no agents.
    """
    recordings = settings.replay_manifest or settings.replay_sample
    if not settings.uses_recordings and recordings:
        raise InputError(
            "--mode rollout learns from live towns only, and recordings were given",
            "use --mode mixed, or --warm-start bc",
        )
    if settings.source == "replay" and recordings and not settings.eval_every:
        return None
    scenario = load_scenario(settings.scenario)
    if not scenario.agents:
        raise InputError(f"{scenario.name}: has no agents to train", "add some under agents:")
    return scenario


def _check_input(
    settings: TrainingSettings, scenario: Scenario | None, folder: Path, force: bool
) -> ReplayDataset | None:
    """Check all input before a run begins; return the given recordings, opened."""
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
    if dataset and scenario:
        check_agreement(dataset, scenario)
    if scenario and settings.uses_recordings and not given:
        check_own_recordings(scenario, settings)
    resolve_device(settings.device)
    check_tracking(settings)
    return dataset


def _check_writable(path: Path) -> None:
    """Raise InputError or DiskError if a file could not be written, without writing it."""
    nearest = next(place for place in (path, *path.absolute().parents) if io.kind_of(place))
    if nearest != path and io.kind_of(nearest) != "folder":
        raise InputError(f"{nearest}: is a file, expected a folder", "choose another place")
    if not os.access(nearest, os.W_OK):
        raise DiskError(f"{path}: cannot be written: {nearest} is read-only", "choose another place")


@contextmanager
def _discarded_if_refused(folder: Path, made: Path | None) -> Iterator[None]:
    """Remove a run that is refused before its first checkpoint, so that bad input leaves nothing behind."""
    try:
        yield
    except (InputError, MissingError, DiskError):
        if io.kind_of(folder / CHECKPOINTS / "latest.json") is None:
            discard(folder, made)
        raise


def _last_checkpoint(folder: Path) -> Checkpoint | None:
    try:
        return load_checkpoint(folder)
    except MissingError:  # stopped before the first one: nothing to resume from
        return None


def _open_recordings(
    settings: TrainingSettings, folder: Path, scenario: Scenario | None, listener: Listener
) -> ReplayDataset | None:
    """Open the recordings; if none were given, the scripted policy records some. None for live towns only."""
    if not settings.uses_recordings:
        return None
    manifests = settings.replay_manifest
    if not manifests and not settings.replay_sample:
        assert scenario is not None  # without recordings there is a scenario
        where = settings.capture_dir or folder / SAMPLES
        manifest = where / f"{PREFIX}_manifest.json"
        if io.kind_of(manifest):
            refuse_other_recordings(where, scenario, settings)
            discard_remains(where, PREFIX)
        else:
            listener.note("no recordings given: the scripted policy makes some first")
            listener.compiling(1)
            record_script(scenario, settings, where)
        manifests = (manifest,)
    return open_dataset(settings, manifests)


def prepare_trainer(
    settings: TrainingSettings,
    folder: Path,
    scenario: Scenario | None,
    dataset: ReplayDataset | None,
    stop_request: StopRequest,
    reports: Reports,
    listener: Listener,
    log_lock: FileLock | None = None,
) -> Trainer:
    """Open the recordings, unless they are open already, and build the trainer of a run that has begun.

    The accuracy of a warm start is written into run.json as well.
    """
    dataset = dataset or _open_recordings(settings, folder, scenario, listener)
    for warning in dataset.warnings if dataset else ():
        reports.warning(warning)

    def note_cloned(cloned: Cloned) -> None:
        reports.cloned(cloned)
        listener.cloned(cloned, settings.warm_start_epochs)
        if cloned.epoch >= settings.warm_start_epochs:
            note_warm_start(folder, cloned._asdict())

    noted = reports._replace(cloned=note_cloned)
    return Trainer(settings, folder, scenario, dataset, stop_request, noted, log_lock)


def _run(
    trainer: Trainer, scenario: Scenario | None, listener: Listener, until: float, ending: Ending
) -> Session:
    """Train to the end, or until the time is up, with the folder locked."""
    settings, folder = trainer.settings, trainer.folder
    if scenario:
        listener.compiling(settings.num_towns)
    with (
        tracked(trainer.reports, settings, folder, trainer.progress) as trainer.reports,
        listener.cycles(trainer.progress.cycle, settings.cycles),
    ):
        result = trainer.run(until)
    if result.progress.cycle < settings.cycles:
        ending.reason = "--max-seconds: the time was up"
    return Session(folder, settings.ppo_log or folder / LOG, scenario, settings, result)
