"""Where recordings come from, and which of them a cycle learns from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.addresses import remote_address
from townlet_core.capture.capture import write_capture
from townlet_core.capture.finish import Capture
from townlet_core.capture.settings import PREFIX, CaptureSettings
from townlet_core.errors import DiskError, InputError, MissingError, count, name_difference, shown
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.remote.fetch import fetch_manifest
from townlet_core.replay.batch import ReplayBatch
from townlet_core.replay.compatibility import spell_scenario
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig, check_trainable
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.manifest import load_manifest, unlisted_entry
from townlet_core.replay.packed.reference import is_shard, unlisted_shard
from townlet_core.replay.stored import stored_features
from townlet_core.scenario.load import scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.training.run_directory import SAMPLES
from townlet_core.training.settings import TrainingSettings
from townlet_core.vocab import ACTION_COUNT, MAP_SHAPE

ENOUGH_TRANSITIONS = 4096  # recorded by the scripted policy, unless the number of towns is given


def record_script(scenario: Scenario, settings: TrainingSettings, folder: Path) -> Capture:
    """Record the scripted policy when no recordings are given."""
    return write_capture(scenario, ScriptedPolicy(scenario), _settings_of(scenario, settings), folder)


def own_manifest(settings: TrainingSettings, folder: Path) -> Path:
    """Return where the manifest of record_script lies, of the run in a folder."""
    return (settings.capture_dir or folder / SAMPLES) / f"{PREFIX}_manifest.json"


class ScriptRecording(NamedTuple):
    """What record_script would make, unless it is there."""

    folder: Path
    towns: int
    ticks: int
    is_there: bool


def planned_recording(scenario: Scenario, settings: TrainingSettings, folder: Path) -> ScriptRecording | None:
    """Return what record_script would make for a new run in a folder; None if recordings were given."""
    if not settings.uses_recordings or settings.replay_manifest or settings.replay_sample:
        return None
    manifest, own = own_manifest(settings, folder), _settings_of(scenario, settings)
    is_there = settings.capture_dir is not None and io.kind_of(manifest) is not None
    return ScriptRecording(manifest.parent, own.num_towns, own.ticks, is_there)


def check_own_recordings(scenario: Scenario, settings: TrainingSettings) -> None:
    """Raise InputError if the samples of record_script would not be trainable."""
    _check_length(scenario.name, _settings_of(scenario, settings).ticks, settings)
    if settings.capture_dir:
        refuse_other_recordings(settings.capture_dir, scenario, settings)


def refuse_other_recordings(folder: Path, scenario: Scenario, settings: TrainingSettings) -> None:
    """Raise InputError if the recordings in a folder differ from those of record_script."""
    path = folder / f"{PREFIX}_manifest.json"
    if io.kind_of(path) is None:
        return
    manifest, wanted = load_manifest(path), _settings_of(scenario, settings)
    recorded = manifest.metadata.get("capture")
    found = {
        **(recorded if isinstance(recorded, dict) else {}),
        "behaviour": manifest.metadata.get("behaviour"),
        "agents": sorted({entry.agent_id or "" for entry in manifest.entries}),
    }
    expected = {
        "scenario_sha256": scenario_sha256(scenario),
        "behaviour": wanted.behaviour,
        "epsilon": wanted.epsilon,
        "seed": wanted.seed,
        "ticks": wanted.ticks,
        "towns": wanted.num_towns,
        "agents": sorted(agent.id for agent in scenario.agents),
    }
    for name, value in expected.items():
        if found.get(name, value) != value:
            raise InputError(
                f"{path}: holds other recordings than this run would make: {name} is {shown(found[name])}, "
                f"expected {shown(value)}",
                "choose another --capture-dir, or learn from these with --replay-manifest",
            )


def towns_to_record(scenario: Scenario) -> int:
    """Return how many towns record_script plays, unless the settings say: those of ENOUGH_TRANSITIONS."""
    return -(-ENOUGH_TRANSITIONS // (scenario.ticks * max(len(scenario.agents), 1)))


def _settings_of(scenario: Scenario, settings: TrainingSettings) -> CaptureSettings:
    return CaptureSettings(
        ticks=scenario.ticks,
        num_towns=settings.capture_towns or towns_to_record(scenario),
        seed=settings.seed,
        epsilon=scenario.rules.epsilon,
        prefix=PREFIX,
    )


def recordings_sha256(settings: TrainingSettings) -> str | None:
    """Digest the recordings that were given: manifests, and samples whose digest no manifest holds."""
    limits = ReadLimits(follow_links=settings.follow_links)
    pairs: list[tuple[Path, Path]] = []
    for path in settings.replay_sample:
        entry, shard = unlisted_entry(path), unlisted_shard(path)
        pairs.append((shard.path, shard.samples) if is_shard(path) else (entry.sample, entry.meta))
    manifests = local_manifests(settings)
    for path in manifests:
        manifest = load_manifest(path, limits)
        pairs += [(entry.sample, entry.meta) for entry in manifest.samples if entry.sha256 is None]
        pairs += [(ref.path, ref.samples) for ref in manifest.shards if ref.samples_sha256 is None]
    files = [*manifests, *(file for pair in pairs for file in pair)]
    digests = [str(io.file_digest(path)["sha256"]) for path in files]
    return io.sha256("".join(digests).encode()) if files else None


def local_manifests(settings: TrainingSettings) -> tuple[Path, ...]:
    """Return the manifests that were given; those at s3:// addresses are copied here with their datasets."""
    limits = ReadLimits(follow_links=settings.follow_links)
    return tuple(
        fetch_manifest(address, limits) if (address := remote_address(path)) else path
        for path in settings.replay_manifest
    )


def open_dataset(settings: TrainingSettings, manifests: tuple[Path, ...]) -> ReplayDataset:
    """Open all recordings and their event logs, and check that they are trainable.

    Raises InputError also for an episode longer than --replay-transitions.
    """
    dataset = ReplayDataset(
        ReplayDatasetConfig(
            manifests=manifests,
            samples=settings.replay_sample,
            seed=settings.seed,
            streaming=settings.streaming,
            memory_budget=settings.streaming_memory << 20,
            for_training=True,
            bootstrap_truncations=settings.bootstrap_truncations,
            limits=ReadLimits(follow_links=settings.follow_links),
        )
    )
    check_trainable(dataset)
    ticks, name = dataset.selection.longest
    _check_length(name, ticks, settings)
    if settings.warm_start == "bc":
        check_cloneable(dataset)
    dataset.config = dataclasses.replace(dataset.config, events=_event_logs(dataset, manifests))
    return dataset


def _event_logs(dataset: ReplayDataset, manifests: tuple[Path, ...]) -> tuple[Path, ...]:
    """Find the event logs if they cover exactly the samples of the dataset."""
    logs = [path.with_name(path.name.replace("_manifest.json", "_events.jsonl")) for path in manifests]
    limits = dataset.config.limits
    listed = [entry.sample for path in manifests for entry in load_manifest(path, limits).entries]
    if dataset.selection.unlearnable or dataset.files != listed:
        return ()
    return tuple(logs) if all(log.suffix == ".jsonl" and io.kind_of(log) == "file" for log in logs) else ()


def _check_length(name: str, ticks: int, settings: TrainingSettings) -> None:
    if settings.source != "rollout" and ticks > settings.replay_transitions:  # a warm start reads all
        raise InputError(
            f"{name}: an episode of {count(ticks, 'tick')}, and --replay-transitions lets a cycle learn from "
            f"{settings.replay_transitions:,} at most",
            f"give --replay-transitions {ticks} or more",
        )


def count_logged_events(dataset: ReplayDataset, warn: Callable[[str], Any]) -> dict[str, int] | None:
    """Count the events of the recordings by type; None without an intact log."""
    if not dataset.config.events:
        return None
    try:
        return dataset.event_counts()
    except (InputError, MissingError, DiskError) as error:
        warn(f"{error}; its events are not counted")
        return None


def feature_statistics(dataset: ReplayDataset) -> dict[str, Any]:
    """Return `{names, count, mean, std}` of the features of all recordings.

    They are read from the manifest if it stores those of exactly these samples; otherwise they are computed,
    which reads all recordings once.
    """
    for path in dataset.config.manifests:
        metadata = load_manifest(path, dataset.config.limits).metadata
        stored = stored_features(metadata, dataset.selection.samples_sha256, dataset.feature_names)
        if stored:
            return stored
    return dataset.feature_statistics()


def check_cloneable(dataset: ReplayDataset) -> None:
    """Raise InputError if there are too few recordings to hold some out."""
    if dataset.sample_count < 2:
        raise InputError(
            "--warm-start bc: found 1 recorded sample, expected at least 2: one to imitate, one to hold out",
            "capture more towns with --towns, or leave --warm-start out",
        )


def check_agreement(dataset: ReplayDataset, scenario: Scenario) -> None:
    """Raise InputError if recordings and live towns can't share a network."""
    name = scenario.name
    if dataset.action_dim != ACTION_COUNT or dataset.map_shape != MAP_SHAPE:
        raise InputError(
            f"the recordings have {count(dataset.action_dim, 'action')} and map {dataset.map_shape}, "
            f"{name} has {ACTION_COUNT} and {MAP_SHAPE}",
            "use --mode replay, or capture the scenario anew",
        )
    if dataset.feature_names != scenario.feature_names:
        difference = name_difference(dataset.feature_names, scenario.feature_names, "the recordings", name)
        raise InputError(
            f"the recordings and {name} have different features: {difference}",
            "use --mode replay, or capture the scenario anew",
        )


def warn_of_scenarios(dataset: ReplayDataset, scenario: Scenario) -> list[str]:
    """Warn of a recording whose scenario is not that of the live towns."""
    own = scenario_sha256(scenario)
    others = [(digest, *found) for digest, found in dataset.scenarios.items() if digest != own]
    if not others:
        return []
    digest, name, sample = others[0]
    recorded = f"{sample} was recorded in {spell_scenario(name, digest)}"
    live = f"the live towns are {spell_scenario(scenario.name, own)}"
    return [f"{recorded}, and {live}: scenarios that differ may reward the same differently"]


class ReplayStream:
    """Stream the recordings of each cycle: a bounded number of transitions, at most one pass.

    position: (epoch, batches served of it, episodes served of the batch after them), which is all that a
    resumed run needs; an older checkpoint has the first two.
    """

    def __init__(self, dataset: ReplayDataset, transitions: int, position: tuple[int, ...] = (0, 0)) -> None:
        self.dataset = dataset
        self.transitions = transitions
        self.position = position

    def take(self) -> list[ReplayBatch]:
        """Return the next batches in the seeded order of the epoch, whole ones, or a part of the first."""
        epoch, served, part = (*self.position, 0)[:3]
        if served >= len(self.dataset):  # an older checkpoint, of recordings that held more then
            epoch, served, part = epoch + 1, 0, 0
        order = self.dataset.batch_order(epoch)
        taken: list[ReplayBatch] = []
        left = self.transitions
        while served < len(order):
            members, ticks = order[served][part:], self.dataset.timesteps(order[served][0])
            if len(members) * ticks > left:
                if not taken and left >= ticks:
                    members = members[: left // ticks]
                    taken, part = [self.dataset.stack(members)], part + len(members)
                break
            taken.append(self.dataset.stack(members))
            left -= len(members) * ticks
            served, part = served + 1, 0
        self.position = (epoch + 1, 0, 0) if served == len(order) else (epoch, served, part)
        return taken
