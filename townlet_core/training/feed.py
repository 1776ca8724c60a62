"""Where recordings come from, and which of them a cycle learns from."""

from __future__ import annotations

from pathlib import Path

from townlet_core import io
from townlet_core.capture.capture import Capture, CaptureSettings, capture
from townlet_core.errors import InputError, shown
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.batch import ReplayBatch
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig, SampleFilters, check_trainable
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.manifest import load_manifest, unlisted_entry
from townlet_core.scenario.load import scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.training.settings import TrainingSettings
from townlet_core.vocab import ACTION_COUNT, MAP_SHAPE

PREFIX = "rollout_sample"
ENOUGH_TRANSITIONS = 4096  # what the scripted policy records if nobody says how many towns


def record_script(scenario: Scenario, settings: TrainingSettings, folder: Path) -> Capture:
    """Let the scripted policy make the recordings that nobody gave."""
    return capture(scenario, ScriptedPolicy(scenario), _settings_of(scenario, settings), folder)


def refuse_other_recordings(folder: Path, scenario: Scenario, settings: TrainingSettings) -> None:
    """Raise InputError if recordings that are in a folder already are not what record_script would make."""
    path = folder / f"{PREFIX}_manifest.json"
    if io.kind_of(path) is None:
        return
    manifest, wanted = load_manifest(path), _settings_of(scenario, settings)
    said = manifest.metadata.get("capture")
    found = {
        **(said if isinstance(said, dict) else {}),
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


def _settings_of(scenario: Scenario, settings: TrainingSettings) -> CaptureSettings:
    per_town = scenario.ticks * max(len(scenario.agents), 1)
    return CaptureSettings(
        ticks=scenario.ticks,
        num_towns=settings.capture_towns or -(-ENOUGH_TRANSITIONS // per_town),
        seed=settings.seed,
        epsilon=scenario.rules.epsilon,
        prefix=PREFIX,
    )


def recordings_sha256(settings: TrainingSettings) -> str | None:
    """Digest the recordings that were given: manifests, and samples whose digest no manifest holds."""
    limits = ReadLimits(follow_links=settings.follow_links)
    entries = [unlisted_entry(path) for path in settings.replay_sample]
    for path in settings.replay_manifest:
        entries += [entry for entry in load_manifest(path, limits).entries if entry.sha256 is None]
    files = [*settings.replay_manifest, *(file for entry in entries for file in (entry.sample, entry.meta))]
    digests = [io.sha256(io.read_file(path, limits.max_sample_bytes)) for path in files]
    return io.sha256("".join(digests).encode()) if files else None


def open_dataset(settings: TrainingSettings, manifests: tuple[Path, ...]) -> ReplayDataset:
    """Open all recordings, with the event logs beside their manifests, and check that they teach conflict."""
    logs = (path.with_name(path.name.replace("_manifest.json", "_events.jsonl")) for path in manifests)
    dataset = ReplayDataset(
        ReplayDatasetConfig(
            manifests=manifests,
            samples=settings.replay_sample,
            events=tuple(log for log in logs if log.suffix == ".jsonl" and io.kind_of(log) == "file"),
            seed=settings.seed,
            streaming=settings.streaming,
            # Of a single tick nobody knows what followed: a cycle that took only such had nothing to learn.
            filters=SampleFilters(min_timesteps=2),
            limits=ReadLimits(follow_links=settings.follow_links),
        )
    )
    check_trainable(dataset)
    if settings.warm_start == "bc":
        check_cloneable(dataset)
    return dataset


def check_cloneable(dataset: ReplayDataset) -> None:
    """Raise InputError if the recordings are too few to imitate some and judge by others."""
    if dataset.sample_count < 2:
        raise InputError(
            "--warm-start bc: found 1 recorded sample, expected at least 2: some to imitate, one to judge by",
            "capture more towns with --towns, or leave --warm-start out",
        )


def check_agreement(dataset: ReplayDataset, scenario: Scenario) -> None:
    """Raise InputError if recordings and live towns can't share a network."""
    name = scenario.name
    if dataset.action_dim != ACTION_COUNT or dataset.map_shape != MAP_SHAPE:
        raise InputError(
            f"the recordings have {dataset.action_dim} actions and map {dataset.map_shape}, {name} has "
            f"{ACTION_COUNT} and {MAP_SHAPE}",
            "use --mode replay, or capture the scenario anew",
        )
    if dataset.feature_names != scenario.feature_names:
        odd = sorted(set(dataset.feature_names) ^ set(scenario.feature_names))
        raise InputError(
            f"the recordings and {name} have different features ({', '.join(odd[:3]) or 'another order'} …)",
            "use --mode replay, or capture the scenario anew",
        )


class ReplayFeed:
    """Serve a cycle's recordings: whole batches up to a number of transitions, at most one pass over them.

    position: (epoch, batches served of it), which is all that a resumed run needs.
    """

    def __init__(self, dataset: ReplayDataset, transitions: int, position: tuple[int, int] = (0, 0)) -> None:
        self.dataset = dataset
        self.transitions = transitions
        self.position = position

    def take(self) -> list[ReplayBatch]:
        """Return the next batches in the seeded order of the epoch."""
        epoch, served = self.position
        taken: list[ReplayBatch] = []
        for batch in self.dataset.batches(epoch, served):
            if taken and sum(b.transitions for b in taken) + batch.transitions > self.transitions:
                break
            taken.append(batch)
        served += len(taken)
        self.position = (epoch + 1, 0) if served >= len(self.dataset) else (epoch, served)
        return taken
