"""The operator's play: what somebody does with a scenario who signs a release off, by commands alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import orjson

from townlet_core import io
from townlet_core.scenario.load import load_scenario
from townlet_core.training.recordings import towns_to_record

TOWNLET = (sys.executable, "-m", "townlet_cli", "-q")
BASELINES = Path(__file__).parent / "baselines"


class Played(NamedTuple):
    """A row of the table."""

    scenario: str
    steps: int
    reward: float  # of the last cycle
    alerts: int
    problems: int
    drift: str  # the field that drifted most from the baseline
    failed: str  # the command that failed, or ""


def play(scenario: str, cycles: int, folder: Path) -> Played:
    """Capture, train, watch, summarise, report, validate; leave what was seen in a folder.

    The capture that is checked is one episode; training learns from as much as the baselines did.
    """
    checked, capture, run = folder / "checked", folder / "capture", folder / "run"
    towns = towns_to_record(load_scenario(scenario))
    baseline = BASELINES / f"{scenario}.jsonl"
    manifest = str(capture / "rollout_sample_manifest.json")
    commands = {
        "checked.txt": ("capture", scenario, "--check", "--output", str(checked), "--force"),
        "capture.txt": ("capture", scenario, "--towns", str(towns), "--output", str(capture), "--force"),
        "train.txt": (
            *("train", scenario, "--mode", "mixed", "--cycles", str(cycles), "--replay-manifest", manifest),
            *("--output", str(run), "--force"),
        ),
        "watch.jsonl": ("telemetry", "watch", str(run), "--json", "--rules", "bundled", "--fail-on-alert"),
        "summary.md": ("telemetry", "summary", str(run), "--format", "markdown"),
        "report.txt": ("report", str(run), "--output", str(folder / "report.html"), "--force"),
        "validate.json": ("telemetry", "validate", str(run), "--baseline", str(baseline), "--json"),
    }
    failed = ""
    io.make_folder(folder)
    for name, words in commands.items():
        ended = subprocess.run([*TOWNLET, *words], capture_output=True)
        io.write_file(folder / name, ended.stdout)
        if ended.returncode and not failed:
            said = ended.stderr.decode().partition("\n")[0]
            failed = f"townlet {' '.join(words[:2])} exits {ended.returncode}: {said}"
    return _row(scenario, folder, failed)


def _row(scenario: str, folder: Path, failed: str) -> Played:
    seen = [orjson.loads(line) for line in (folder / "watch.jsonl").read_bytes().splitlines()]
    last = seen[-1]["record"] if seen else {}
    check = orjson.loads((folder / "validate.json").read_bytes() or b"{}")
    drifts = [drift for log in check.get("logs", []) for drift in log["drift"]]
    most = max(drifts, key=lambda drift: drift["relative"], default=None)
    return Played(
        scenario,
        last.get("env_steps", 0),
        last.get("reward_mean", float("nan")),
        sum(len(one["alerts"]) for one in seen),
        len(check.get("problems", [])),
        f"{most['mode']} {most['field']} × {1 + most['relative']:.3g}" if most else "–",
        failed,
    )
