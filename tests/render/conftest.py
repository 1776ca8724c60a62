"""Recordings to play again, made once."""

import pytest
from render_recordings import REFERENCE, animation_of, captured


@pytest.fixture(scope="session")
def queue(tmp_path_factory):
    """A capture of queue_conflict: the folder."""
    return captured("queue_conflict", tmp_path_factory.mktemp("queue"))


@pytest.fixture(scope="session")
def day(tmp_path_factory):
    """A capture of town_day: the folder."""
    return captured("town_day", tmp_path_factory.mktemp("day"))


@pytest.fixture(scope="session")
def long_day(day):
    """The animation of town_day."""
    return animation_of(day)


@pytest.fixture(scope="session")
def older():
    """A capture of the older generation: the folder."""
    return REFERENCE / "queue_conflict"
