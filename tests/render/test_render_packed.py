"""A packed recording shows what its NPZ files show."""

import pytest

from townlet_core.capture.session import capture
from townlet_core.render.recording import load_recording
from townlet_core.replay.packed.pack import open_manifest, pack


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    capture("queue_conflict", folder / "npz", towns=2)
    pack(open_manifest(folder / "npz"), folder / "arrow")
    return folder / "npz", folder / "arrow"


@pytest.mark.parametrize("town", [None, 1])
def test_a_packed_recording_is_the_one_of_its_npz_files(folders, town):
    first, second = (load_recording(folder, town) for folder in folders)
    assert [path.name for path in first.files] == [path.name for path in second.files]
    assert first.capture == second.capture
    for one, other in zip(first.samples, second.samples, strict=True):
        assert all((one.arrays()[name] == array).all() for name, array in other.arrays().items())


def test_a_shard_or_a_sample_of_it_is_found_with_its_siblings(folders):
    _, arrow = folders
    shard = arrow / "rollout_sample_00001.arrow"
    assert len(load_recording(shard).samples) == 3
    one = load_recording(shard / "rollout_sample_ben_005.npz")
    assert (one.focus, one.capture["town"], len(one.samples)) == ("ben", 1, 3)
