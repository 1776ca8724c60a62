"""Run the command line in a process of its own."""

import os
import subprocess
import sys

import pytest
from cli.command_line import CAPTURE, RUN, SCENARIO, call

COLOUR_VARIABLES = ("FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "PY_COLORS")


@pytest.fixture
def environment():
    """The environment without what decides about colour or settings, so that tests decide."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in COLOUR_VARIABLES and not name.startswith("TOWNLET_")
    }


@pytest.fixture
def spawn(environment):
    """Run a command in a process of its own; returns subprocess.CompletedProcess with text."""

    def call(*arguments, variables=None, **options):
        command = [sys.executable, "-m", "townlet_cli", *map(str, arguments)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.run(
            command, env=environment | (variables or {}), text=True, stdin=subprocess.DEVNULL, **streams
        )

    return call


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """A folder with a capture, a run and a scenario by the names that the examples use."""
    folder = tmp_path_factory.mktemp("town")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call("capture queue_conflict --ticks 12 -q")
        tiny = "--cycles 1 --mode rollout --num-towns 1 --rollout-ticks 4 --num-epochs 1 --hidden-size 8"
        call(f"train queue_conflict {tiny} -q")
        call("scenario new my_town -q")
    (folder / "plan.yaml").write_text("{name: a, scenarios: [queue_conflict], seeds: 0-3}")
    folder.joinpath("towns").mkdir()
    folder.joinpath("towns", "a.yaml").write_bytes(SCENARIO.read_bytes())
    for source, names in ((CAPTURE, ("day", "a", "b")), (RUN + "/telemetry.jsonl", ("a", "old", "new"))):
        for name in names:
            if source == CAPTURE:
                subprocess.run(["cp", "-r", folder / CAPTURE, folder / "captures" / name], check=True)
            else:
                (folder / f"{name}.jsonl").write_bytes((folder / source).read_bytes())
    return folder


@pytest.fixture
def here(town, monkeypatch):
    monkeypatch.chdir(town)
    return town
