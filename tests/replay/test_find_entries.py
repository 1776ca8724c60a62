"""The samples behind a path, each once and in order."""

import pytest
from replay_samples import equal, make_sample

from townlet_core.errors import MissingError, SampleError
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import entry_metadata, read_entry, save_manifest
from townlet_core.replay.packed.pack import open_manifest, pack
from townlet_core.replay.packed.writer import ShardWriter
from townlet_core.replay.sample import save_sample


@pytest.fixture
def folder(tmp_path):
    listed = [save_sample(make_sample(seed=seed), tmp_path, f"x_anna_{seed:03d}") for seed in (2, 1)]
    save_manifest(tmp_path, "x", listed, {})
    save_sample(make_sample(agent="ben"), tmp_path, "loose")
    return tmp_path


def names(entries):
    return [entry.name for entry in entries]


def test_a_folder_gives_its_manifest_then_what_none_lists(folder):
    assert names(find_entries(folder)) == ["x_anna_002.npz", "x_anna_001.npz", "loose.npz"]


def test_a_manifest_a_sample_and_its_json_give_themselves(folder):
    assert names(find_entries(folder / "x_manifest.json")) == ["x_anna_002.npz", "x_anna_001.npz"]
    assert (
        names(find_entries(folder / "loose.npz"))
        == names(find_entries(folder / "loose.json"))
        == ["loose.npz"]
    )


def test_entries_are_read_by_their_metadata_or_whole(folder):
    for entry in find_entries(folder):
        assert read_entry(entry).metadata == entry_metadata(entry)


def test_changed_metadata_is_refused(folder):
    (folder / "x_anna_001.json").write_text("{}")
    changed = find_entries(folder)[1]
    for read in (read_entry, entry_metadata):
        with pytest.raises(SampleError, match=r"x_anna_001\.json: .*sha256"):
            read(changed)


def test_nothing_there_and_nothing_in_it_are_errors(tmp_path):
    with pytest.raises(MissingError, match="no such file"):
        find_entries(tmp_path / "absent")
    with pytest.raises(SampleError, match="holds no samples"):
        find_entries(tmp_path)


def test_packed_samples_are_found_by_manifest_shard_folder_and_name(folder):
    manifest = pack(open_manifest(folder / "x_manifest.json"), folder / "packed").manifest
    shard = folder / "packed" / "x_00001.arrow"
    for path in (manifest, manifest.parent, shard, shard.with_name("x_00001_samples.arrow")):
        assert names(find_entries(path)) == ["x_anna_002.npz", "x_anna_001.npz"]
    (one,) = find_entries(shard / "x_anna_001.npz")
    assert equal(read_entry(one), read_entry(find_entries(folder / "x_anna_001.npz")[0]))
    with pytest.raises(MissingError, match="no such sample in the shard"):
        find_entries(shard / "x_anna_003.npz")


def test_a_shard_alone_is_numbered_as_in_the_manifest_beside_it(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    shards = []
    for number in (1, 2):
        writer = ShardWriter(out, f"y_{number:05d}")
        writer.add(make_sample(seed=number))
        shards.append(writer.close())
    save_manifest(out, "y", [], {}, shards=shards)
    assert names(find_entries(out / "y_00002.arrow")) == ["y_anna_002.npz"]
    (out / "y_manifest.json").unlink()
    assert names(find_entries(out / "y_00002.arrow")) == ["y_anna_001.npz"]
