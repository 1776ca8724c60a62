"""A small run to read, and copies of it."""

import shutil
import time

import pytest
from made_runs import edit, make_old, train_small


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run of three cycles."""
    return train_small(tmp_path_factory.mktemp("trained") / "small")


@pytest.fixture
def make_run(trained, tmp_path):
    """Copy the run to a folder, with other values in its run.json."""

    def make(name="run", **changes):
        folder = tmp_path / name
        shutil.copytree(trained, folder)
        edit(folder / "run.json", **changes)
        return folder

    return make


@pytest.fixture
def set_age():
    """Make every file of a run so many days old."""
    return lambda folder, days, now=None: make_old(folder, days, time.time() if now is None else now)
