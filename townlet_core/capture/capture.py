"""Capture a scenario: play its towns one after the other and write samples, metrics, events and manifest."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core import __version__, io
from townlet_core.capture.frames import Policy, allocate_frames, collect
from townlet_core.capture.samples import cut_samples
from townlet_core.capture.totals import capture_totals
from townlet_core.errors import InputError, MissingError, did_you_mean, shown
from townlet_core.replay.events import save_events
from townlet_core.replay.manifest import ManifestEntry, load_manifest, save_manifest
from townlet_core.replay.metrics import TOTAL, save_metrics
from townlet_core.replay.sample import ReplaySample, save_sample
from townlet_core.scenario.load import scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import NAME_PATTERN


class CaptureSettings(NamedTuple):
    """What to record, and how it is marked."""

    ticks: int  # per town; an episode that ends before is followed by the next
    num_towns: int = 1
    seed: int = 0
    agent: str | None = None  # record this one only
    behaviour: str = "scripted"  # or the acting checkpoint's sha256
    value_source: str = "none"  # whose values the frames carry
    epsilon: float | None = None  # of a scripted policy
    prefix: str = "rollout_sample"
    compress: bool = False


class Capture(NamedTuple):
    """What was written."""

    manifest: Path
    entries: list[dict[str, Any]]  # of the manifest
    rewards: list[float]  # each sample's sum
    totals: dict[str, float]


def capture(
    scenario: Scenario,
    policy: Policy,
    settings: CaptureSettings,
    output: Path,
    after_tick: Callable[[], Any] = lambda: None,
) -> Capture:
    """Play and write a capture into the folder `output`; equal arguments give equal bytes.

    The manifest is removed first and written last, so that it only ever lists what is there. A capture that
    was killed has none: calling again writes the same files again and ends the same.
    """
    wanted = check_settings(scenario, settings)
    about = _describe(scenario, settings)
    entries: list[dict[str, Any]] = []
    samples: list[ReplaySample] = []
    events: list[dict[str, Any]] = []
    with io.lock_folder(output):
        _remove_listed(output / f"{settings.prefix}_manifest.json")
        for town in range(settings.num_towns):
            towns = Towns(scenario, 1, settings.seed, first_town=town)
            frames = allocate_frames(towns, settings.ticks)

            def note_tick(towns: Towns = towns) -> None:
                events.extend(towns.new_events())
                after_tick()

            collect(towns, policy, frames, note_tick)
            about_town = {**about, "capture": {**about["capture"], "town": town}}
            for i in wanted:
                agent_id = towns.agent_ids[i]
                for sample in cut_samples(frames, i, agent_id, towns.feature_names, about_town):
                    stem = f"{settings.prefix}_{agent_id}_{len(entries) + 1:03d}"
                    entries.append(save_sample(sample, output, stem, settings.compress))
                    samples.append(_without_maps(sample))
        totals = capture_totals(samples, events, [agent.id for agent in scenario.agents])
        pairs = zip(entries, samples, strict=True)
        metrics = {entry["sample"]: sample.metadata["metrics"] for entry, sample in pairs}
        save_metrics(output, settings.prefix, {**metrics, TOTAL: totals})
        save_events(output, settings.prefix, events)
        about = {**about, "capture": {**about["capture"], "towns": settings.num_towns}}
        manifest = save_manifest(output, settings.prefix, entries, {**about, "events": len(events)})
    rewards = [float(sample.rewards.sum(dtype=np.float64)) for sample in samples]
    return Capture(manifest, entries, rewards, totals)


def _remove_listed(manifest: Path) -> None:
    """Remove an older capture: the manifest first, so that it never lists what is gone, then its samples."""
    entries: tuple[ManifestEntry, ...] = ()
    with contextlib.suppress(InputError, MissingError):  # none, or damaged: then nothing is known to be its
        entries = load_manifest(manifest).entries
    io.remove(manifest)
    for entry in entries:
        io.remove(entry.sample)
        io.remove(entry.meta)


def check_settings(scenario: Scenario, settings: CaptureSettings) -> list[int]:
    """Return the agents to record. Raises InputError for what cannot be captured."""
    ids = [agent.id for agent in scenario.agents]
    if not ids:
        raise InputError(f"{scenario.name}: has no agents to record", "add some, or use --auto-seed-agents")
    if not NAME_PATTERN.fullmatch(settings.prefix):
        raise InputError(
            f"prefix {shown(settings.prefix)}: expected 1 to 64 letters, digits, '_', '.' or '-'"
        )
    if settings.agent is None:
        return list(range(len(ids)))
    if settings.agent not in ids:
        near = did_you_mean(settings.agent, ids)
        raise InputError(
            f"{scenario.name}: no agent {shown(settings.agent)}{near}", f"agents: {', '.join(ids)}"
        )
    return [ids.index(settings.agent)]


def refuse_other_capture(output: Path, prefix: str, force: bool) -> None:
    """Raise InputError if the folder holds anything but a capture of this prefix that was interrupted."""
    names = io.list_folder(output)
    ours = all(name.startswith((f"{prefix}_", ".")) for name in names)
    if ours and f"{prefix}_manifest.json" not in names and io.kind_of(output) == "folder":
        return
    io.refuse_existing(output, force)


def _describe(scenario: Scenario, settings: CaptureSettings) -> dict[str, Any]:
    """Say where the data comes from; no time and no path, so that equal captures are equal files."""
    about: dict[str, Any] = {
        "behaviour": settings.behaviour,
        "value_source": settings.value_source,
        "capture": {
            "scenario": scenario.name,
            "scenario_sha256": scenario_sha256(scenario),
            "seed": settings.seed,
            "ticks": settings.ticks,
            "versions": {"townlet": __version__, "numpy": np.__version__},
        },
    }
    if settings.behaviour in ("scripted", "random"):
        about["capture"]["epsilon"] = settings.epsilon
    return about


def _without_maps(sample: ReplaySample) -> ReplaySample:
    """Drop the large part of a sample that was written, so that memory stays that of one town."""
    return dataclasses.replace(sample, map=sample.map[:0])
