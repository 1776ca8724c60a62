"""Write a capture: play towns one after the other and write samples, metrics, events and manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core import __version__, io
from townlet_core.capture.folder import CaptureFiles, find_capture_files, refuse_other_capture, remove_capture
from townlet_core.capture.rollout import Policy, allocate_frames, collect
from townlet_core.capture.samples import cut_samples
from townlet_core.errors import InputError, did_you_mean, shown
from townlet_core.locks import lock_folder
from townlet_core.replay.events import save_events
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.metrics import TOTAL, save_metrics
from townlet_core.replay.sample import save_sample
from townlet_core.replay.totals import EventTotals, Part, capture_totals, part_of
from townlet_core.scenario.dump import dump_scenario
from townlet_core.scenario.load import parse_scenario, scenario_sha256
from townlet_core.scenario.model import Scenario
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import NAME_PATTERN

PREFIX = "rollout_sample"  # of file names, unless another is chosen


class CaptureSettings(NamedTuple):
    """What to record, and its origin for the metadata."""

    ticks: int  # per town, over as many episodes as needed
    num_towns: int = 1
    seed: int = 0
    agent: str | None = None  # record only this agent
    behaviour: str = "scripted"  # or the acting checkpoint's sha256
    value_source: str = "none"  # the critic behind the values
    epsilon: float | None = None  # of a scripted policy
    deterministic: bool = False  # the most probable action, instead of sampling
    prefix: str = PREFIX
    compress: bool = False


class Capture(NamedTuple):
    """A capture that was written."""

    manifest: Path
    entries: list[dict[str, Any]]  # of the manifest
    rewards: list[float]  # sum per sample
    totals: dict[str, float]


def write_capture(
    scenario: Scenario,
    policy: Policy,
    settings: CaptureSettings,
    output: Path,
    after_tick: Callable[[], Any] = lambda: None,
    *,
    scenario_text: bytes | None = None,
    force: bool = False,
) -> Capture:
    """Play a scenario and write the capture to the folder `output`; equal arguments give equal bytes.

    scenario_text: the original YAML, kept if it describes this scenario; else the scenario is serialised.
    force: also replace recordings of another origin, which are an InputError otherwise. Other files stay.

    The manifest is removed first and written last, so that it only lists files that exist. A capture that was
    killed has no manifest; a second call writes the same files again.
    """
    wanted = check_settings(scenario, settings)
    about = _describe(scenario, settings)
    entries: list[dict[str, Any]] = []
    parts: list[Part] = []
    metrics: dict[str, dict[str, float]] = {}
    events: list[dict[str, Any]] = []
    with lock_folder(output):
        existing = find_capture_files(output, settings.prefix)
        if not force:
            refuse_other_capture(output, existing, about)
        remove_capture(output, existing)
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
                    entry = save_sample(sample, output, stem, settings.compress)
                    metrics[entry["sample"]] = sample.metadata["metrics"]
                    part = part_of(sample, sample.metadata["metrics"])
                    assert part is not None  # our own samples have every array
                    parts.append(part)
                    entries.append(entry)
        totals = capture_totals(parts, EventTotals(events), [agent.id for agent in scenario.agents])
        files = [
            save_metrics(output, settings.prefix, {**metrics, TOTAL: totals}),
            save_events(output, settings.prefix, events),
            _save_scenario(output, settings.prefix, scenario, scenario_text),
        ]
        about = {**about, "capture": {**about["capture"], "towns": settings.num_towns}}
        manifest = save_manifest(output, settings.prefix, entries, {**about, "events": len(events)}, files)
    rewards = [float(part.rewards.sum(dtype=np.float64)) for part in parts]
    return Capture(manifest, entries, rewards, totals)


def _save_scenario(folder: Path, prefix: str, scenario: Scenario, text: bytes | None) -> Path:
    """Write `<prefix>_scenario.yaml`: the text if it describes this scenario, else a serialised one."""
    path = Path(folder) / f"{prefix}_scenario.yaml"
    said = None if text is None else parse_scenario(text)[0]
    is_same = said is not None and scenario_sha256(said) == scenario_sha256(scenario)
    io.write_file(path, text if text is not None and is_same else dump_scenario(scenario))
    return path


def refuse_existing_capture(
    scenario: Scenario, settings: CaptureSettings, output: Path, force: bool
) -> CaptureFiles:
    """Return the folder's content. Raise InputError for anything but an interrupted run of this capture.

    force: raise only for foreign files with the name of a file to be written.
    """
    existing = find_capture_files(output, settings.prefix)
    is_whole = f"{settings.prefix}_manifest.json" in existing.parts
    if is_whole or existing.others or io.kind_of(output) != "folder":
        io.refuse_existing(output, force)
    if not force:
        refuse_other_capture(output, existing, _describe(scenario, settings))
    return existing


def check_settings(scenario: Scenario, settings: CaptureSettings) -> list[int]:
    """Return the agents to record. Raises InputError for invalid settings."""
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


def refuse_uncheckable(scenario: Scenario, settings: CaptureSettings) -> None:
    """Raise InputError if the ranges in `expect` do not apply to this capture.

    They hold for the scenario's default capture: one town, all agents, the scripted policy, the scenario's
    seed, ticks and epsilon.
    """
    if not scenario.expect:
        raise InputError(
            f"{scenario.name}: has no expect:, so --check has nothing to compare",
            "add some, or leave --check out",
        )
    own = {
        "towns": (settings.num_towns, 1),
        "agent": (settings.agent or "all", "all"),
        "policy": (settings.behaviour, "scripted"),
        "seed": (settings.seed, scenario.seed),
        "ticks": (settings.ticks, scenario.ticks),
        "epsilon": (settings.epsilon, scenario.rules.epsilon),
    }
    for name, (found, expected) in own.items():
        if found != expected:
            raise InputError(
                f"--check: the expectations of {scenario.name} are for {name} {expected}, found {found}",
                f"leave out --{name}, or --check",
            )


def _describe(scenario: Scenario, settings: CaptureSettings) -> dict[str, Any]:
    """Describe the origin of the data, without time and path, so that equal captures are equal files."""
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
    if settings.deterministic:
        about["capture"]["deterministic"] = True
    return about
