"""The training loop: cycles of replay and rollout with one network and one optimiser."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from townlet_core.errors import NotFiniteError, RunFailed
from townlet_core.locks import FileLock
from townlet_core.ppo.checkpoint import (
    Checkpoint,
    load_checkpoint,
    prune,
    restore_network,
    restore_optimizer,
    save_checkpoint,
)
from townlet_core.ppo.config import learning_rate_at
from townlet_core.ppo.device import resolve_device, settle_threads
from townlet_core.ppo.processes import Processes
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.shards import Shards
from townlet_core.ppo.statistics import EpochStats, SkippedUpdate, TrainBatch
from townlet_core.ppo.update import SKIPS_THAT_END_A_RUN, make_optimizer, update_policy
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.scenario.model import Scenario
from townlet_core.telemetry.writer import TelemetryWriter, take_up_log
from townlet_core.training.advantage_targets import (
    OffPolicy,
    add_statistics,
    replay_batch,
    rollout_batch,
    rows_of,
)
from townlet_core.training.building import begin_statistics, build_network
from townlet_core.training.epoch_record import (
    ReplayData,
    RolloutData,
    describe_replay,
    epoch_place,
    epoch_record,
)
from townlet_core.training.evaluation import Evaluation, evaluate_network
from townlet_core.training.nan_dump import REPORT, save_minibatch
from townlet_core.training.pace import Pace
from townlet_core.training.progress import (
    Progress,
    count_cycle,
    read_progress,
    refuse_other_network,
    warn_of_other_machine,
)
from townlet_core.training.recordings import (
    ReplayStream,
    check_agreement,
    count_logged_events,
    warn_of_scenarios,
)
from townlet_core.training.reports import Reports, Trained, describe_cycle
from townlet_core.training.rollout import STATE_FILE, Rollout
from townlet_core.training.run_directory import LOG
from townlet_core.training.run_file import run_id_of
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest
from townlet_core.training.warm_start import clone_epoch

REPLAY_HALF, ROLLOUT_HALF = 0, 1  # coordinates of chance: the two updates of a cycle shuffle apart


class Trainer:
    """One run: network, optimiser, data and telemetry log."""

    def __init__(
        self,
        settings: TrainingSettings,
        folder: Path,
        scenario: Scenario | None,
        dataset: ReplayDataset | None,
        stop_request: StopRequest,
        reports: Reports,
        log_lock: FileLock | None = None,
        processes: Processes | None = None,
    ) -> None:
        """log_lock: of the telemetry log, where the caller holds it already. processes: who share the run."""
        self.settings = settings
        self.folder = folder
        self.run_id = run_id_of(folder)
        self.scenario = scenario
        self.stop_request = stop_request
        self.reports = reports
        self.device = resolve_device(settings.device)
        settle_threads(is_alone=processes is None)
        self.shards = Shards(settings.shards, processes)
        self.progress = Progress(device=self.device.type)
        is_live = scenario and settings.source != "replay"
        self.rollout = Rollout(scenario, settings, self.shards) if scenario and is_live else None
        self.dataset = dataset
        streamed = dataset if settings.source != "rollout" else None
        self.recordings = ReplayStream(streamed, settings.replay_transitions) if streamed else None
        if dataset and scenario:
            check_agreement(dataset, scenario)
            for warning in warn_of_scenarios(dataset, scenario):
                self.reports.warning(warning)
        self.event_counts = count_logged_events(dataset, reports.warning) if dataset else None
        self.scenario_name = scenario.name if scenario else "recordings"
        network = build_network(settings, scenario if self.rollout else None, dataset)
        self.network = network.to(self.device)
        self.optimizer = make_optimizer(self.network, settings.learning_rate)
        self.log = settings.ppo_log or folder / LOG
        self.pace = Pace(lambda cycles: self.reports.moved(cycles))  # reports may be replaced
        self.log_lock = log_lock
        self.writer: TelemetryWriter | None = None  # of the log, while the run goes on
        self.cycle_began = self.progress
        self.evaluations: dict[int, Evaluation] = {}  # by the number of cycles done
        self.generation: Path | None = None  # the checkpoint that the weights were last saved to or read from

    def resume(self, checkpoint: Checkpoint) -> None:
        """Restore weights, optimiser, towns and counters from a checkpoint.

        Raises InputError if any of them is not of this run; the trainer must not be used then.
        """
        refuse_other_network(checkpoint, self.network)
        self.network = restore_network(checkpoint, self.device)
        self.optimizer = make_optimizer(self.network, self.settings.learning_rate)
        restore_optimizer(checkpoint, self.optimizer)
        progress = read_progress(checkpoint, self.reports.warning)
        warn_of_other_machine(checkpoint, progress, self.device.type, self.reports.warning)
        self.generation = checkpoint.folder
        self.progress = progress._replace(device=self.device.type)
        if self.recordings:
            self.recordings.position = progress.replay_position
        if self.rollout:
            name = str(checkpoint.folder / STATE_FILE)
            self.rollout.restore(checkpoint.extra.get(STATE_FILE, b""), name)
            if "env_steps" not in checkpoint.state:  # of 0.1.0, which did not count them: ask the towns
                env_steps, env_ticks = self.rollout.count_steps(progress.cycle)
                self.progress = self.progress._replace(env_steps=env_steps, env_ticks=env_ticks)

    def run(self, until: float = math.inf) -> Trained:
        """Train until all cycles are done, with a checkpoint after each.

        until: on the clock of time.monotonic; then training ends after the cycle, or the epoch of the warm
        start, that is running.
        Raises Interrupted on request, and RunFailed after three non-finite updates in a row or a non-finite
        network output. The trainer is then back at the checkpoint of the last good cycle, and the minibatch,
        if there was one, is saved in the run directory.
        """
        settings, rewards, is_late = self.settings, [], False
        with self.shards.at_work(), self._open_log():
            if self.progress.cycle == 0:
                if self.progress.cloned is None:
                    self._save()
                    if begin_statistics(
                        self.network, settings, self.rollout, self.dataset, self.stop_request
                    ):
                        self._save()  # best.json may name the network that acts first
                is_late = self._warm_up(until)
            while self.progress.cycle < settings.cycles and not is_late:
                try:
                    data = self._play_cycle()
                except NotFiniteError as error:
                    what = f"{self.folder}: in cycle {self.progress.cycle + 1}, {error}"
                    raise self._rolled_back(what) from error
                rewards.append(data.rewards.reward_mean)
                self._finish_cycle(data)
                is_late = self.shards.is_any(time.monotonic() >= until)
        return Trained(self.progress, weights_sha256(self.network), rewards, self.evaluations)

    @contextmanager
    def _open_log(self) -> Iterator[None]:
        """Continue the log where the progress stands, in the process that writes."""
        if not self.shards.is_first:
            yield
            return
        settings = self.settings
        prune(self.folder / "checkpoints", settings.keep_checkpoints)  # remnants of a crash
        lock = self.log_lock or take_up_log(self.log, self.run_id, self.progress.log_offset)
        with TelemetryWriter(self.log, settings.log_every, settings.log_max_bytes, lock=lock) as log:
            gap = log.resume(self.progress.log_offset)
            if gap:
                self.reports.warning(gap)
            self.writer = log
            yield

    def _warm_up(self, until: float) -> bool:
        """Clone the recorded behaviour if requested, with a checkpoint after every epoch.

        Returns whether the time was up after one.
        """
        if self.settings.warm_start == "none":
            return False
        assert self.dataset is not None  # a warm start opens recordings in every mode
        done = int(self.progress.cloned["epoch"]) if self.progress.cloned else 0
        for epoch in range(done, self.settings.warm_start_epochs):
            try:
                with self.stop_request.at_once():  # an interrupted epoch is not saved
                    data = (self.dataset, self.settings, epoch, self.stop_request, self.shards)
                    cloned = clone_epoch(self.network, self.optimizer, *data)
            except NotFiniteError as error:
                raise self._rolled_back(
                    f"{self.folder}: in epoch {epoch + 1} of the warm start, {error}"
                ) from error
            self.progress = self.progress._replace(cloned=cloned._asdict())
            self.reports.cloned(cloned)  # before saving: after a crash in between it is reported again
            self._save()
            if self.shards.is_any(time.monotonic() >= until):
                return True
        return False

    def _play_cycle(self) -> RolloutData | ReplayData:
        """Learn from recordings, then from live towns; return a summary of the last data."""
        parts = ["replay"] * (self.recordings is not None) + ["play", "rollout"] * (self.rollout is not None)
        self.pace.begin(self.progress.cycle, [*parts, *["evaluation"] * self._is_evaluated()])
        self.cycle_began = self.progress
        data: RolloutData | ReplayData | None = None
        if self.recordings:
            data = self._learn_from_recordings(self.recordings)
        if self.rollout:
            data = self._learn_from_rollout(self.rollout)
        assert data is not None  # a run has recordings, live towns or both
        return data

    def _learn_from_recordings(self, recordings: ReplayStream) -> ReplayData:
        recorded = recordings.take()
        for found in recorded:
            self.reports.batch(found)
        began = time.perf_counter()
        settings = self.settings
        batch, off_policy = replay_batch(
            recorded, self.network, settings.ppo, settings.replay_correction, self.shards
        )
        # An event log covers all recordings, and cannot be split.
        is_all = self.dataset and sum(len(b.names) for b in recorded) == self.dataset.sample_count
        data = describe_replay(recorded, self.event_counts if is_all else None)
        self._learn(rows_of(batch, self.shards), data, off_policy, began)
        return data

    def _learn_from_rollout(self, rollout: Rollout) -> RolloutData:
        began = time.perf_counter()
        policy = rollout.policy(self.network, self.settings.precision)
        data = rollout.play(policy, self.stop_request, self.pace.move)
        self.pace.end_part()
        self._count_environment_steps(rollout)
        config = self.settings.ppo
        parts = self.shards.map(lambda frames: rollout_batch(frames, config), rollout.parts())
        self._learn(parts, data, None, began)
        return data

    def _count_environment_steps(self, rollout: Rollout) -> None:
        """Count the steps of the rollout that was just played."""
        self.progress = self.progress._replace(
            env_steps=self.progress.env_steps + rollout.steps,
            env_ticks=self.progress.env_ticks + len(rollout.frames.actions) * rollout.num_towns,
        )

    def _learn(
        self,
        parts: list[TrainBatch],
        data: RolloutData | ReplayData,
        off_policy: OffPolicy | None,
        began: float,
    ) -> None:
        """Update on one batch, the parts of the own shards, and log every epoch of it.

        off_policy: of recordings. Their epochs report it in the place of the update's own ratio.
        """
        progress, settings = self.progress, self.settings
        half = REPLAY_HALF if off_policy else ROLLOUT_HALF
        config = settings.ppo
        skips: list[SkippedUpdate] = []
        # The returns of recordings were added at the start.
        returns = [part.returns for part in parts] if half == ROLLOUT_HALF else None
        add_statistics(self.network, [part.features for part in parts], returns, self.shards)
        if half == REPLAY_HALF:  # replay_batch has scaled the advantages already
            config = replace(config, advantage_normalization=False)
        history = update_policy(
            self.network,
            self.optimizer,
            parts,
            config,
            (settings.seed, progress.cycle, half),
            learning_rate_at(settings, progress.cycle / settings.cycles),
            self.pace.counting(self.stop_request.is_set, config.num_epochs * config.num_mini_batches),
            progress.skipped_in_a_row,
            skips.append,
            self.shards,
        )
        # A signal to any process has cut the update of all short.
        self.stop_request.pass_on(self.shards.largest(self.stop_request.signal_number))
        self.pace.end_part()
        ended = time.perf_counter()
        seconds = (ended - began) / len(history)
        if isinstance(data, RolloutData):
            assert self.rollout is not None  # which was played
            data = data._replace(env_steps_per_second=self.rollout.steps / (ended - self.pace.began))
        if off_policy:
            history = [stats._replace(**off_policy._asdict()) for stats in history]
        for stats in history:
            evaluation = self._evaluate_if_due(data, stats) if stats is history[-1] else None
            self._report_epoch(stats, data, seconds, evaluation)
        if self.progress.skipped_in_a_row >= SKIPS_THAT_END_A_RUN:
            place = (progress.cycle + 1, data.data_mode)
            saved = save_minibatch(self.folder, *place, parts, skips[-1], self.network, self.shards)
            raise self._rolled_back(
                f"{saved}: holds the minibatch whose loss or gradient was not finite "
                f"{SKIPS_THAT_END_A_RUN} times in a row in cycle {progress.cycle + 1}",
                f"{self.folder / REPORT} names the columns and weights; ",
            )

    def _evaluate_if_due(self, data: RolloutData | ReplayData, last: EpochStats) -> Evaluation | None:
        """Evaluate the policy after the last update of every eval_every-th cycle; None after any other."""
        is_last_update = self.rollout is None or isinstance(data, RolloutData)
        is_bad = last.skipped_in_a_row >= SKIPS_THAT_END_A_RUN
        if not self._is_evaluated() or not is_last_update or is_bad:
            return None
        assert self.scenario is not None  # settings without one are refused
        episodes, seed = self.settings.eval_episodes, self.settings.seed
        after_episode = self.pace.counting(lambda: None, 2 * episodes)
        with self.stop_request.at_once():  # nothing that is saved changes
            evaluation = evaluate_network(self.network, self.scenario, episodes, seed, after_episode)
        self.pace.end_part()
        self.evaluations[self.progress.cycle + 1] = evaluation
        return evaluation

    def _is_evaluated(self) -> bool:
        """Whether the current cycle ends with an evaluation."""
        every = self.settings.eval_every
        return every is not None and (self.progress.cycle + 1) % every == 0

    def _rolled_back(self, what: str, hint: str = "") -> RunFailed:
        """Restore the last checkpoint and return the error that ends the run."""
        self.resume(load_checkpoint(self.folder))
        return RunFailed(
            f"{what}; rolled back to the checkpoint of cycle {self.progress.cycle}",
            f"{hint}if the data is sound, lower --learning-rate or --max-grad-norm and start again",
        )

    def _report_epoch(
        self,
        stats: EpochStats,
        data: RolloutData | ReplayData,
        seconds: float,
        evaluation: Evaluation | None,
    ) -> None:
        """Write the record of an epoch; one with an evaluation whatever log_every says."""
        progress = self.progress
        self.progress = progress = progress._replace(
            epoch=progress.epoch + 1,
            steps=progress.steps + stats.transitions,
            skipped_in_a_row=stats.skipped_in_a_row,
        )
        run = (self.run_id or self.folder.name, self.scenario_name, self.settings.seed)
        place = epoch_place(*run, progress, data, stats, seconds)
        record = epoch_record(place, stats, data, evaluation)
        if self.writer:
            self.writer.write(record, always=evaluation is not None)
        self.reports.record(record)

    def _finish_cycle(self, data: RolloutData | ReplayData) -> None:
        """Count the cycle and save it."""
        done, before = self.progress.cycle + 1, self.generation
        evaluation = self.evaluations.get(done)
        acted = None if self.rollout is None or self.settings.eval_every else data.rewards.reward_mean
        self.progress, is_best, acted_best = count_cycle(
            self.progress, evaluation and evaluation.eval_return_mean, acted
        )
        kept = f"cycle{done:06d}.json" if self.shards.is_any(self.stop_request.wants_checkpoint) else None
        self._save(before if acted_best else None, is_best, kept)
        if kept:
            self.stop_request.wants_checkpoint = False
        now, cycles = self.progress, self.settings.cycles
        end = describe_cycle(self.cycle_began, now, cycles, data, evaluation, self.pace)
        self.reports.cycle(end._replace(kept=self.folder / "checkpoints" / kept if kept else None))

    def _save(self, best: Path | None = None, is_best: bool = False, kept: str | None = None) -> None:
        """Save a checkpoint. Every process calls this, and the first one writes."""
        towns = {STATE_FILE: self.rollout.dump()} if self.rollout else {}
        position = self.recordings.position if self.recordings else (0, 0)
        self.progress = self.progress._replace(replay_position=position)
        if self.writer is None:
            return
        self.writer.flush()
        self.progress = self.progress._replace(log_offset=self.writer.offset)
        self.generation = save_checkpoint(
            self.folder / "checkpoints",
            self.network,
            self.optimizer,
            self.progress._asdict(),
            towns,
            self.settings.keep_checkpoints,
            best,
            is_best,
            kept,
        )
