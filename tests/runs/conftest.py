"""Run directories to read: one of a small training run, and copies of it."""

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from small_runs import settings_of

from townlet_core.training.session import train


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run of three cycles."""
    folder = tmp_path_factory.mktemp("trained") / "small"
    sources = {"seed": "flag", "cycles": "environment", "hidden_size": "town.yaml", "gamma": "default"}
    train(settings_of(seed=7), folder, sources=sources)
    return folder


@pytest.fixture
def make_run(trained, tmp_path):
    """Copy the run to a folder, with other values in its run.json."""

    def make(name="run", **changes):
        folder = tmp_path / name
        shutil.copytree(trained, folder)
        edit(folder / "run.json", **changes)
        return folder

    return make


def edit(path, **changes):
    """Change keys of a JSON file; those of `settings` one by one."""
    content = json.loads(path.read_text())
    for name, value in changes.pop("settings", {}).items():
        next(section for section in content["settings"].values() if name in section)[name] = value
    path.write_text(json.dumps(content | changes))
