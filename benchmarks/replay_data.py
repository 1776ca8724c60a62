"""The data of the replay benchmark: a capture of town_day, as NPZ files and packed, kept between runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from townlet_cli.console import note
from townlet_core import io
from townlet_core.capture.capture import write_capture
from townlet_core.capture.settings import PREFIX, CaptureSettings
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.manifest import load_manifest
from townlet_core.replay.packed.pack import pack
from townlet_core.replay.packed.writer import COMPRESSIONS
from townlet_core.scenario.load import load_scenario, scenario_sha256

SCENARIO = "town_day"
NPZ = "npz"  # the form that is not packed; the others are called by their compression
STAMP = "made.json"  # says what the folder holds; written last


class Data(NamedTuple):
    """One capture in every form; each has a folder."""

    folder: Path
    towns: int
    ticks: int
    agents: int

    @property
    def transitions(self) -> int:
        """Number of transitions."""
        return self.towns * self.ticks * self.agents

    def manifest(self, form: str) -> Path:
        """Return the manifest of a form."""
        return self.folder / form / f"{PREFIX}_manifest.json"

    def files(self, form: str) -> list[Path]:
        """List the files that hold the arrays of a form, in the order of its manifest."""
        manifest = load_manifest(self.manifest(form))
        return [entry.sample for entry in manifest.samples] + [shard.path for shard in manifest.shards]


def make_data(folder: Path, towns: int, ticks: int) -> Data:
    """Capture towns and pack them, unless an earlier run left the same in the folder.

    No two towns are alike: each has a number of its own, and with it draws of its own.
    """
    scenario = load_scenario(SCENARIO)
    data = Data(folder, towns, ticks, len(scenario.agents))
    forms = [NPZ, *COMPRESSIONS]
    made = {"forms": forms, "towns": towns, "ticks": ticks, "scenario_sha256": scenario_sha256(scenario)}
    if _made_of(folder) == made:
        return data
    note(f"capturing {data.transitions:,} transitions of {SCENARIO} into {folder}, once")
    (folder / STAMP).unlink(missing_ok=True)
    for form in forms:
        shutil.rmtree(folder / form, ignore_errors=True)
    settings = CaptureSettings(ticks=ticks, num_towns=towns, epsilon=scenario.rules.epsilon)
    captured = write_capture(scenario, ScriptedPolicy(scenario), settings, folder / NPZ)
    for compression in COMPRESSIONS:
        pack(load_manifest(captured.manifest), folder / compression, compression)
    io.write_json(folder / STAMP, made)
    return data


def _made_of(folder: Path) -> Any:
    stamp = folder / STAMP
    return io.read_json(stamp) if stamp.exists() else None
