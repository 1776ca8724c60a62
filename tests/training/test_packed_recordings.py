"""Training on shards: the weights of NPZ files, in memory or streamed, resumed in the middle of an epoch."""

import signal

import pytest
from small_runs import run_small, settings_of, trainer_of

from townlet_core.capture.session import capture
from townlet_core.errors import Interrupted
from townlet_core.replay.packed import writer as packed_writer
from townlet_core.replay.packed.pack import open_manifest, pack
from townlet_core.training.signals import StopRequest

CYCLES = 5


class StopAfter(StopRequest):
    """Ask to stop at the n-th time that anybody asks, which is once per minibatch or more."""

    def __init__(self, polls):
        super().__init__()
        self.left = polls

    def is_set(self):
        self.left -= 1
        self.signal_number = signal.SIGTERM if self.left <= 0 else 0
        return super().is_set()

    def check(self):
        self.is_set()
        super().check()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Return the manifests of one capture as NPZ files and as shards, of several MiB in memory."""
    folder = tmp_path_factory.mktemp("recordings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_writer, "BATCH_BYTES", 1 << 17)
        npz = capture("queue_conflict", folder / "npz", towns=24).manifest
        return npz, pack(open_manifest(npz), folder / "arrow").manifest


def weights(folder, manifest, **changes):
    settings = {"source": "replay", "cycles": CYCLES, "replay_transitions": 1500, **changes}
    return run_small(folder, replay_manifest=(manifest,), **settings).weights_sha256


def test_shards_give_the_weights_of_their_npz_files(tmp_path, recordings):
    npz, arrow = recordings
    assert weights(tmp_path / "npz", npz) == weights(tmp_path / "arrow", arrow)


@pytest.mark.parametrize("warm_start", ["none", "bc"])
def test_a_streamed_run_gives_the_weights_of_one_in_memory(tmp_path, recordings, warm_start):
    _, arrow = recordings
    changes = {"streaming_memory": 1, "warm_start": warm_start, "warm_start_epochs": 1}
    kept = weights(tmp_path / "kept", arrow, **changes)
    assert weights(tmp_path / "streamed", arrow, streaming=True, **changes) == kept
    assert weights(tmp_path / "wide", arrow, **changes | {"streaming_memory": 64}) != kept  # another order


def test_a_streamed_run_resumes_in_the_middle_of_an_epoch(tmp_path, recordings):
    _, arrow = recordings
    changes = {"streaming_memory": 1, "streaming": True}
    whole = weights(tmp_path / "whole", arrow, **changes)
    settings = settings_of(
        source="replay", cycles=CYCLES, replay_transitions=1500, replay_manifest=(arrow,), **changes
    )
    first = trainer_of(tmp_path / "halves", settings, stop=StopAfter(14))
    with pytest.raises(Interrupted):
        first.run()
    resumed = trainer_of(tmp_path / "halves", settings, resume=True)
    epoch, served, _ = resumed.recordings.position
    assert epoch == 0
    assert served > 0
    assert resumed.run().weights_sha256 == whole
