"""The training loop: cycles of replay and rollout, one network and one optimiser through all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import NotFiniteError, RunFailed, count
from townlet_core.locks import FileLock
from townlet_core.memory import require_memory
from townlet_core.policy.learned import LearnedPolicy, discourage_release, network_for
from townlet_core.ppo.checkpoint import (
    Checkpoint,
    load_checkpoint,
    prune,
    restore_network,
    restore_optimizer,
    save_checkpoint,
)
from townlet_core.ppo.config import NetworkConfig, learning_rate_at, network_config
from townlet_core.ppo.device import resolve_device, settle_threads, torch, versions
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.statistics import EpochStats, SkippedUpdate, TrainBatch
from townlet_core.ppo.update import SKIPS_THAT_END_A_RUN, make_optimizer, update_policy
from townlet_core.replay.batch import ReplayBatch
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.scenario.model import Scenario
from townlet_core.telemetry.writer import TelemetryWriter, take_up_log
from townlet_core.training.advantage_targets import first_statistics, replay_batch, rollout_batch
from townlet_core.training.epoch_record import describe_replay, epoch_record
from townlet_core.training.nan_dump import ABOUT, save_minibatch
from townlet_core.training.progress import Progress, read_progress, refuse_other_network
from townlet_core.training.recordings import (
    ReplayFeed,
    check_agreement,
    count_logged_events,
    warn_of_scenarios,
)
from townlet_core.training.rollout import STATE_FILE, Rollout
from townlet_core.training.run_directory import LOG
from townlet_core.training.run_file import now, run_id_of
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest
from townlet_core.training.warm_start import Cloned, clone_epoch

REPLAY_HALF, ROLLOUT_HALF = 0, 1  # coordinates of chance: the two updates of a cycle shuffle apart


class Reports(NamedTuple):
    """What the loop tells while it runs; all of them may do nothing."""

    record: Callable[[dict[str, Any]], Any] = lambda record: None
    batch: Callable[[ReplayBatch], Any] = lambda batch: None
    cycle: Callable[[], Any] = lambda: None
    cloned: Callable[[Cloned], Any] = lambda cloned: None
    warning: Callable[[str], Any] = lambda message: None


class Trained(NamedTuple):
    """How a run ended."""

    progress: Progress
    weights_sha256: str
    rewards: list[float]  # mean reward of each cycle's last data


class Trainer:
    """One run: the network, its optimiser, the data, and the log they are told to."""

    def __init__(
        self,
        settings: TrainingSettings,
        folder: Path,
        scenario: Scenario | None,
        dataset: ReplayDataset | None,
        stop: StopRequest,
        reports: Reports,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.run_id = run_id_of(folder)
        self.stop = stop
        self.reports = reports
        self.device = resolve_device(settings.device)
        self.progress = Progress(threads=settle_threads(), device=self.device.type)
        self.rollout = Rollout(scenario, settings) if scenario and settings.source != "replay" else None
        self.dataset = dataset
        fed = dataset if settings.source != "rollout" else None
        self.feed = ReplayFeed(fed, settings.replay_transitions) if fed else None
        if dataset and self.rollout:
            check_agreement(dataset, self.rollout.towns.scenario)
            for warning in warn_of_scenarios(dataset, self.rollout.towns.scenario):
                self.reports.warning(warning)
        self.event_counts = count_logged_events(dataset, reports.warning) if dataset else None
        self.scenario_name = scenario.name if scenario else "recordings"
        config = self._network_config(scenario, dataset)
        # Weights, gradients, Adam's two moments, and what a checkpoint is written from.
        require_memory(44 * config.parameter_count, f"training {count(config.parameter_count, 'parameter')}")
        network = ActorCritic(
            config,
            settings.seed,
            settings.normalise_observations,
            settings.normalise_returns,
        )
        if self.rollout:
            discourage_release(network)
        self.network = network.to(self.device)
        self.optimizer = make_optimizer(self.network, settings.learning_rate)
        self.log = settings.ppo_log or folder / LOG
        self.cycle_began = 0.0  # on the clock of time.perf_counter
        self.log_lock: FileLock | None = None  # of the log, where the session holds it already
        self.run_id = run_id_of(folder)
        self.generation: Path | None = None  # the checkpoint that the weights were last saved to or read from

    def _network_config(self, scenario: Scenario | None, dataset: ReplayDataset | None) -> NetworkConfig:
        """Shape the network by the recordings where there are no live towns, by the scenario otherwise."""
        if self.rollout and scenario:
            return network_for(scenario, self.settings.hidden_size)
        assert dataset is not None  # a run without towns has recordings
        channels, height, width = dataset.map_shape
        return network_config(
            map_shape=(channels, height, width),
            feature_count=len(dataset.feature_names),
            action_count=dataset.action_dim,
            hidden_size=self.settings.hidden_size,
            feature_names=dataset.feature_names,
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take up weights, optimiser, towns, counters and chance where the checkpoint has them.

        Raises InputError if any of them is not of this run; the trainer is then not to be used.
        """
        refuse_other_network(checkpoint, self.network)
        self.network = restore_network(checkpoint, self.device)
        self.optimizer = make_optimizer(self.network, self.settings.learning_rate)
        restore_optimizer(checkpoint, self.optimizer)
        progress = read_progress(checkpoint, self.reports.warning)
        then = {**checkpoint.about.versions, "torch threads": progress.threads, "device": progress.device}
        here = {**versions(), "torch threads": torch.get_num_threads(), "device": self.device.type}
        for what in here:
            if then.get(what) != here[what]:
                self.reports.warning(
                    f"{what}: was {then.get(what)}, now {here[what]}; the continuation is not bit-exact"
                )
        self.generation = checkpoint.folder
        self.progress = progress._replace(threads=torch.get_num_threads(), device=self.device.type)
        if self.feed:
            self.feed.position = progress.replay_position
        if self.rollout:
            name = str(checkpoint.folder / STATE_FILE)
            self.rollout.restore(checkpoint.extra.get(STATE_FILE, b""), name)
            if "env_steps" not in checkpoint.state:  # from before they were counted: the towns know
                env_steps, env_ticks = self.rollout.count_steps(progress.cycle)
                self.progress = self.progress._replace(env_steps=env_steps, env_ticks=env_ticks)

    def run(self) -> Trained:
        """Train until all cycles are done; each ends with a checkpoint, so that nothing before it is lost.

        Raises Interrupted when asked to stop, and RunFailed after three updates in a row that were not
        finite, or where the network's output is not. The trainer is then back at the last checkpoint, that of
        the last good cycle, and the minibatch, if there was one, stands in the run's folder.
        """
        settings, rewards = self.settings, []
        prune(self.folder / "checkpoints", settings.keep_checkpoints)  # what a crash left
        lock = self.log_lock or take_up_log(self.log, self.run_id, self.progress.log_offset)
        with TelemetryWriter(self.log, settings.log_every, settings.log_max_bytes, lock=lock) as log:
            gap = log.resume(self.progress.log_offset)
            if gap:
                self.reports.warning(gap)
            if self.progress.cycle == 0:
                if self.progress.cloned is None:
                    self._save(log)
                    self._initialise_normalisers(log)
                self._warm_up(log)
            while self.progress.cycle < settings.cycles:
                try:
                    about = self._play_cycle(log)
                except NotFiniteError as error:
                    what = f"{self.folder}: in cycle {self.progress.cycle + 1}, {error}"
                    raise self._rolled_back(what) from error
                rewards.append(about["reward_mean"])
                self._finish_cycle(log, about)
        return Trained(self.progress, weights_sha256(self.network), rewards)

    def _initialise_normalisers(self, log: TelemetryWriter) -> None:
        """Begin statistics before anything is learned: from recordings, or a rollout that is taken back.

        They are kept in a checkpoint: the network that acts first is one of those that best.json can name.
        """
        own = [kept for kept in (self.network.observations, self.network.returns) if kept is not None]
        if not own or any(kept.count for kept in own):
            return  # no statistics, or a run that is taken up after it has looked around
        if self.dataset:
            recorded = ReplayFeed(self.dataset, self.settings.replay_transitions).take()
            first_statistics(self.network, recorded, self.settings.gamma)
        elif self.rollout:
            before = self.rollout.dump()
            self.rollout.play(LearnedPolicy(self.network, self.settings.precision), self.stop)
            first_statistics(self.network, [self.rollout.frames], self.settings.gamma)
            self.rollout.restore(before, STATE_FILE)
        self._save(log)

    def _warm_up(self, log: TelemetryWriter) -> None:
        """Imitate the recordings if that is asked for; every epoch of it ends with a checkpoint."""
        if self.settings.warm_start == "none":
            return
        assert self.dataset is not None  # a warm start opens recordings in every mode
        done = int(self.progress.cloned["epoch"]) if self.progress.cloned else 0
        for epoch in range(done, self.settings.warm_start_epochs):
            try:
                with self.stop.at_once():  # an epoch that is cut is not saved
                    cloned = clone_epoch(
                        self.network, self.optimizer, self.dataset, self.settings, epoch, self.stop
                    )
            except NotFiniteError as error:
                raise self._rolled_back(
                    f"{self.folder}: in epoch {epoch + 1} of the warm start, {error}"
                ) from error
            self.progress = self.progress._replace(cloned=cloned._asdict())
            self.reports.cloned(cloned)  # before it is saved: a crash in between tells it again
            self._save(log)

    def _play_cycle(self, log: TelemetryWriter) -> dict[str, Any]:
        """Learn from recordings, then from live towns; return what the last data was like."""
        self.cycle_began = time.perf_counter()
        about: dict[str, Any] = {}
        if self.feed:
            recorded = self.feed.take()
            for found in recorded:
                self.reports.batch(found)
            began = time.perf_counter()
            settings = self.settings
            batch, off_policy = replay_batch(recorded, self.network, settings.ppo, settings.replay_correction)
            # An event log is of all recordings, and says nothing of a part of them.
            is_all = self.dataset and sum(len(b.names) for b in recorded) == self.dataset.sample_count
            counts = self.event_counts if is_all else None
            about = {**describe_replay(recorded, counts), **off_policy._asdict()}
            self._learn(batch, about, "replay", REPLAY_HALF, began, log)
        if self.rollout:
            began = time.perf_counter()
            about = self.rollout.play(LearnedPolicy(self.network, self.settings.precision), self.stop)
            self._count_environment_steps(self.rollout)
            batch = rollout_batch(self.rollout.frames, self.settings.ppo)
            self._learn(batch, about, "rollout", ROLLOUT_HALF, began, log)
        return about

    def _count_environment_steps(self, rollout: Rollout) -> None:
        """Add the rollout that was just played."""
        ticks, towns, _ = rollout.frames.actions.shape
        self.progress = self.progress._replace(
            env_steps=self.progress.env_steps + int(rollout.frames.alive.sum()),
            env_ticks=self.progress.env_ticks + ticks * towns,
        )

    def _learn(
        self,
        batch: TrainBatch,
        about: dict[str, Any],
        data_mode: str,
        half: int,
        began: float,
        log: TelemetryWriter,
    ) -> None:
        """Update on one batch and log every epoch of it."""
        progress, settings = self.progress, self.settings
        config = settings.ppo
        skips: list[SkippedUpdate] = []
        self.network.update_observation_stats(batch.features)
        if half == ROLLOUT_HALF:  # what recordings returned has been taken in at the start
            self.network.update_return_stats(batch.returns)
        else:  # replay_batch has scaled the advantages already
            config = config.model_copy(update={"advantage_normalization": False})
        history = update_policy(
            self.network,
            self.optimizer,
            batch,
            config,
            (settings.seed, progress.cycle, half),
            learning_rate_at(settings, progress.cycle / settings.cycles),
            self.stop.is_set,
            progress.skipped_in_a_row,
            skips.append,
        )
        self.stop.check()
        ended = time.perf_counter()
        seconds = (ended - began) / len(history)
        if half == ROLLOUT_HALF:  # its rows are the ticks at which an agent was in town
            about = {**about, "env_steps_per_second": len(batch.rewards) / (ended - self.cycle_began)}
        for stats in history:
            self._tell(stats, about, data_mode, seconds, log)
        if self.progress.skipped_in_a_row >= SKIPS_THAT_END_A_RUN:
            place = {"cycle": progress.cycle + 1, "data_mode": data_mode}
            saved = save_minibatch(self.folder, place, batch, skips[-1], self.network)
            raise self._rolled_back(
                f"{saved}: holds the minibatch whose loss or gradient was not finite "
                f"{SKIPS_THAT_END_A_RUN} times in a row in cycle {progress.cycle + 1}",
                f"{self.folder / ABOUT} says what in it was not; ",
            )

    def _rolled_back(self, what: str, hint: str = "") -> RunFailed:
        """Go back to the last checkpoint and return the error that ends the run."""
        self.resume(load_checkpoint(self.folder))
        return RunFailed(
            f"{what}; rolled back to the checkpoint of cycle {self.progress.cycle}",
            f"{hint}if the data is sound, lower --learning-rate or --max-grad-norm and start again",
        )

    def _tell(
        self, stats: EpochStats, about: dict[str, Any], data_mode: str, seconds: float, log: TelemetryWriter
    ) -> None:
        progress = self.progress
        self.progress = progress = progress._replace(
            epoch=progress.epoch + 1,
            steps=progress.steps + stats.transitions,
            skipped_in_a_row=stats.skipped_in_a_row,
        )
        place = {
            "run_id": self.run_id or self.folder.name,
            "scenario": self.scenario_name,
            "seed": self.settings.seed,
            "timestamp": now(),
            "epoch": progress.epoch,
            "cycle_id": progress.cycle,
            "data_mode": data_mode,
            "steps": progress.steps,
            "env_steps": progress.env_steps,
            "env_ticks": progress.env_ticks,
            "epoch_duration_sec": seconds,
            "steps_per_second": stats.transitions / max(seconds, 1e-9),
        }
        record = epoch_record(stats, about, place)
        log.write(record)
        self.reports.record(record)

    def _finish_cycle(self, log: TelemetryWriter, about: dict[str, Any]) -> None:
        """Count the cycle and keep it. If no rollout was paid more, what it began with is the best so far."""
        most, paid = self.progress.best_reward, about["reward_mean"]
        is_best = self.rollout is not None and (most is None or paid > most)
        self.progress = self.progress._replace(
            cycle=self.progress.cycle + 1, best_reward=paid if is_best else most
        )
        self._save(log, self.generation if is_best else None)
        self.reports.cycle()

    def _save(self, log: TelemetryWriter, best: Path | None = None) -> None:
        log.flush()
        self.progress = self.progress._replace(
            log_offset=log.offset,
            replay_position=self.feed.position if self.feed else (0, 0),
        )
        self.generation = save_checkpoint(
            self.folder / "checkpoints",
            self.network,
            self.optimizer,
            self.progress._asdict(),
            {STATE_FILE: self.rollout.dump()} if self.rollout else {},
            self.settings.keep_checkpoints,
            best,
        )
