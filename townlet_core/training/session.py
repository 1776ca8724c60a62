"""A training session: `train` begins a run, `resume` continues one.

Input is checked before the run directory is touched. What shows only while the recordings are made or the
learner is built is refused right after, and the run is removed again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.capture.settings import PREFIX
from townlet_core.capture.unfinished import discard_remains
from townlet_core.errors import DiskError, InputError, MissingError, shown
from townlet_core.locks import FileLock, lock_folder
from townlet_core.ppo.checkpoint import Checkpoint, load_checkpoint
from townlet_core.ppo.processes import Processes, has_restarted, joined
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.scenario.model import Scenario
from townlet_core.telemetry.writer import begin_log, take_up_log
from townlet_core.training.input_checks import check_input, own_scenario, scenario_of, warn_of_schedule
from townlet_core.training.loop import Trainer
from townlet_core.training.origin import read_text
from townlet_core.training.progress import Progress, read_progress
from townlet_core.training.recordings import (
    local_manifests,
    open_dataset,
    own_manifest,
    record_script,
    refuse_other_recordings,
)
from townlet_core.training.reports import Reports, Trained
from townlet_core.training.run_directory import (
    CHECKPOINTS,
    LOG,
    Removed,
    choose_folder,
    discard,
    end_removal,
    finish_removal,
    first_missing,
    is_run,
    log_files,
    refuse_run,
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
from townlet_core.training.run_json import read_run
from townlet_core.training.settings import TrainingSettings, with_absolute_paths
from townlet_core.training.signals import StopRequest, stop_on_signals
from townlet_core.training.together import agree_to_begin, agree_to_resume, follow, is_run_of, lead
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
    rank: int = 0  # of this process, where torchrun started several; the one with 0 has written everything

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
    timeout: float | None = None,
    sources: dict[str, str] | None = None,
    reports: Reports | None = None,
    listener: Listener | None = None,
) -> Session:
    """Begin a run and train to its end; in processes that torchrun started again, resume it.

    output: the run directory, by default the next free one in the folder `runs`. force: replace the run in
    it, and a log at settings.ppo_log. max_seconds: stop after the cycle in which so much time has passed; the
    run can be resumed. timeout: seconds to wait for another process of the run. sources: where each setting
    came from, as resolve_settings returns it.
    Raises InputError, MissingError, DiskError or BusyError before anything is written, or after the new run
    was removed again; RunFailed and Interrupted once there is something to resume.
    """
    if not isinstance(settings, TrainingSettings):
        raise InputError(f"settings: {shown(settings)}, expected TrainingSettings(...)")
    settings, reports, listener = with_absolute_paths(settings), reports or Reports(), listener or Listener()
    until = time.monotonic() + max_seconds
    wanted = None if output is None else Path(output)
    with stop_on_signals() as stop_request, _joined(timeout, stop_request) as processes:
        with stop_request.at_once():
            scenario = scenario_of(settings)
            is_restart = has_restarted(processes)
        if wanted and is_restart and is_run_of(wanted, settings, scenario):
            return _go_on(wanted, None, until, reports, listener, processes, stop_request)
        with stop_request.at_once():
            agree_to_begin(processes, settings, scenario, wanted)
        if processes and processes.rank:
            return _followed(processes, stop_request)
        with stop_request.at_once():
            name = scenario.name if scenario else "replay"
            folder = choose_folder(wanted, name, settings.seed, force, Path(runs))
            dataset = check_input(settings, scenario, folder, force)
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
                            settings,
                            folder,
                            scenario,
                            dataset,
                            stop_request,
                            reports,
                            listener,
                            log_lock,
                            processes,
                        )
                        lead(processes, folder, settings.cycles, goes_on=False)
                    return _run(trainer, scenario, listener, until, ending)


def resume(
    folder: str | Path,
    cycles: int | None = None,
    *,
    max_seconds: float = math.inf,
    timeout: float | None = None,
    reports: Reports | None = None,
    listener: Listener | None = None,
) -> Session:
    """Resume a run, bit for bit, to the cycles last requested, or to `cycles`, on any number of workers.

    max_seconds, timeout: as of `train`.
    Raises InputError, MissingError, DiskError or BusyError if it cannot be resumed, and leaves it unchanged.
    """
    folder, reports, listener = Path(folder), reports or Reports(), listener or Listener()
    until = time.monotonic() + max_seconds
    with stop_on_signals() as stop_request, _joined(timeout, stop_request) as processes:
        return _go_on(folder, cycles, until, reports, listener, processes, stop_request)


def _go_on(
    folder: Path,
    cycles: int | None,
    until: float,
    reports: Reports,
    listener: Listener,
    processes: Processes | None,
    stop_request: StopRequest,
) -> Session:
    """Resume a run, with the processes that share it."""
    settings, before = reopen_run(folder, cycles), reopen_run(folder).cycles
    agree_to_resume(processes, settings, folder)
    if processes and processes.rank:
        return _followed(processes, stop_request)
    check_tracking(settings)
    with lock_folder(folder):
        end_removal(folder)
        run_file = read_run(folder)
        scenario = own_scenario(folder, run_file, reports)
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
            warn_of_schedule(settings, done, before, reports)
        if is_done and checkpoint and run_file.status == "finished":
            result = Trained(progress, checkpoint.metadata.weights_sha256, [], {})
            lead(processes, folder, settings.cycles, goes_on=True, is_done=True)
            return Session(folder, log, scenario, settings, result)
        with take_up_log(log, run_file.run_id, progress.log_offset) as log_lock:
            with note_status_of(folder, goes_on=True), stop_request.at_once():
                trainer = prepare_trainer(
                    settings,
                    folder,
                    scenario,
                    None,
                    stop_request,
                    reports,
                    listener,
                    log_lock,
                    processes,
                )
                if checkpoint:
                    trainer.resume(checkpoint)
                lead(processes, folder, settings.cycles, goes_on=bool(checkpoint))
            if not is_done:
                note_resumed(folder, settings, done)
            with note_status_of(folder) as ending:
                return _run(trainer, scenario, listener, until, ending)


@contextmanager
def _joined(timeout: float | None, stop_request: StopRequest) -> Iterator[Processes | None]:
    """Join the other processes; a signal ends the wait for them."""
    with ExitStack() as stack:
        with stop_request.at_once():
            processes = stack.enter_context(joined(timeout))
        yield processes


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
    manifests = local_manifests(settings)
    if not manifests and not settings.replay_sample:
        assert scenario is not None  # without recordings there is a scenario
        manifest = own_manifest(settings, folder)
        where = manifest.parent
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
    processes: Processes | None = None,
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
    return Trainer(settings, folder, scenario, dataset, stop_request, noted, log_lock, processes)


def _followed(processes: Processes, stop_request: StopRequest) -> Session:
    """Train with rank 0, and return the session as this process knows it."""
    folder, settings, scenario, result = follow(processes, stop_request)
    return Session(folder, settings.ppo_log or folder / LOG, scenario, settings, result, processes.rank)


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
