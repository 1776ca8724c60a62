"""Runs to report on, trained once: two seeds of one configuration, and another learning rate."""

import pytest
from render.render_recordings import captured
from training.small_runs import run_small

from townlet_core.telemetry.fields import required_fields
from townlet_core.telemetry.writer import TelemetryWriter


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """The folder of the runs s0, s1 and fast."""
    folder = tmp_path_factory.mktemp("runs")
    small = {"scenario": "queue_conflict", "rollout_ticks": 80, "num_epochs": 1, "hidden_size": 8}
    run_small(folder / "s0", **small)
    run_small(folder / "s1", **small, seed=1)
    run_small(folder / "fast", **small, learning_rate=0.01)
    return folder


@pytest.fixture(scope="session")
def capture(tmp_path_factory):
    """A capture of queue_conflict."""
    return captured("queue_conflict", tmp_path_factory.mktemp("capture"))


@pytest.fixture
def write(tmp_path):
    """Write records into a log and return its path."""

    def call(*records):
        path = tmp_path / "log.jsonl"
        with TelemetryWriter(path) as log:
            for record in records:
                log.write(record)
        return path

    return call


@pytest.fixture(scope="session")
def record():
    """Make a record of a rollout that holds zeros beside what is given."""
    zeros = dict.fromkeys(required_fields(1.1), 0)
    return lambda epoch, **given: {
        **zeros,
        "epoch": epoch,
        "data_mode": "rollout",
        "steps": 64 * epoch,
        **given,
    }
