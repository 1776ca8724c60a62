"""Write a capture: play blocks of towns, then write samples, metrics, events and manifest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from townlet_core import io
from townlet_core.capture.finish import Capture, finish_capture, load_finished
from townlet_core.capture.folder import (
    CaptureFiles,
    find_capture_files,
    refuse_other_capture,
    remove_capture,
)
from townlet_core.capture.play import Work
from townlet_core.capture.rollout import Policy
from townlet_core.capture.settings import CaptureSettings, plan_capture, towns_of
from townlet_core.capture.unfinished import Unfinished, discard_remains
from townlet_core.capture.workers import play_blocks
from townlet_core.locks import lock_folder
from townlet_core.scenario.dump import dump_scenario
from townlet_core.scenario.load import parse_scenario, scenario_sha256
from townlet_core.scenario.model import Scenario


def write_capture(
    scenario: Scenario,
    policy: Policy,
    settings: CaptureSettings,
    output: Path,
    after: Callable[[int], Any] = lambda ticks: None,
    *,
    scenario_text: bytes | None = None,
    force: bool = False,
    workers: int = 1,
) -> Capture:
    """Play a scenario and write the capture to the folder `output`; equal arguments give equal bytes.

    after: is told how many ticks were played since the last call, one for each town; not those of towns that
    an earlier call has finished.
    scenario_text: the original YAML, kept if it describes this scenario; else the scenario is serialised.
    force: also replace recordings of another origin, which are an InputError otherwise. Other files stay.
    workers: number of processes; it does not change the bytes.

    A capture that was killed has no manifest; a second call continues it, and ends with the same bytes. A
    shard that is finished is not played again, unless `force`.
    """
    plan = plan_capture(scenario, settings)
    with lock_folder(output):
        if not force and (finished := load_finished(output, plan)):
            return finished
        unfinished = begin_capture(plan, output, force)
        missing = [
            (block, unfinished.files(block), len(towns_of(plan, block)) * settings.ticks)
            for block in unfinished.missing()
        ]
        with closing(play_blocks(Work(scenario, policy, settings, plan), missing, workers, after)) as played:
            for block, record in played:
                unfinished.save(block, record)
        return finish_capture(unfinished, _scenario_file(scenario, scenario_text))


def begin_capture(plan: dict[str, Any], output: Path, force: bool) -> Unfinished:
    """Return the unfinished capture of this plan in a locked folder: the one that is there, or a new one.

    A new one replaces the capture that is there. Raises InputError if that is of another origin, without
    `force`.
    """
    unfinished = Unfinished(output, plan)
    if not unfinished.can_continue():
        existing = find_capture_files(output, plan["prefix"])
        if not force:
            unfinished.refuse_other()
            refuse_other_capture(output, existing, plan["origin"])
        remove_capture(output, existing)
        unfinished.begin()
    unfinished.clean()
    return unfinished


def _scenario_file(scenario: Scenario, text: bytes | None) -> bytes:
    """Return the text if it describes this scenario, else a serialised one."""
    said = None if text is None else parse_scenario(text)[0]
    is_same = said is not None and scenario_sha256(said) == scenario_sha256(scenario)
    return text if text is not None and is_same else dump_scenario(scenario)


def refuse_existing_capture(
    scenario: Scenario, settings: CaptureSettings, output: Path, force: bool
) -> CaptureFiles:
    """Return the files that a capture would replace. Raises InputError if anything else is in the folder.

    A capture of the same settings that was interrupted replaces nothing: it continues.
    force: raise only for foreign files with the name of a file to be written.
    """
    return refuse_existing_plan(plan_capture(scenario, settings), output, force)


def refuse_existing_plan(plan: dict[str, Any], output: Path, force: bool) -> CaptureFiles:
    """Do the same for a plan."""
    unfinished, prefix = Unfinished(output, plan), plan["prefix"]
    if unfinished.can_continue():
        return CaptureFiles([], {}, [])
    existing = find_capture_files(output, prefix)
    is_whole = f"{prefix}_manifest.json" in existing.parts
    if is_whole:
        discard_remains(output, prefix)
    if is_whole or existing.others or io.kind_of(output) != "folder":
        io.refuse_existing(output, force)
    if not force:
        unfinished.refuse_other()
        refuse_other_capture(output, existing, plan["origin"])
    return existing
