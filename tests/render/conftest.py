"""Recordings to play again, made once."""

import pytest
from render_recordings import REFERENCE, captured


@pytest.fixture(scope="session")
def queue(tmp_path_factory):
    """A capture of queue_conflict: the folder."""
    return captured("queue_conflict", tmp_path_factory.mktemp("queue"))


@pytest.fixture(scope="session")
def day(tmp_path_factory):
    """A capture of town_day: the folder."""
    return captured("town_day", tmp_path_factory.mktemp("day"))


@pytest.fixture(scope="session")
def older():
    """A capture of the older generation: the folder."""
    return REFERENCE / "queue_conflict"
