"""Recompressing in place: the content stays, the digests follow, and an interruption is finished later."""

import json
import os

import numpy as np
import pytest
from ruamel.yaml import YAML

from townlet_core import io
from townlet_core.errors import InputError, SampleError
from townlet_core.handling import recompress as module
from townlet_core.handling.diff import compare_datasets
from townlet_core.handling.filter import filter_samples
from townlet_core.handling.forms import npz_compression, shard_compression
from townlet_core.handling.recompress import recompress
from townlet_core.handling.refer import save_selection
from townlet_core.handling.sources import open_sources
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import load_manifest
from townlet_core.replay.statistics import read_statistics
from townlet_core.replay.stored import store_statistics


class Killed(BaseException):
    pass


def compressions(folder):
    entries = find_entries(folder)
    return {
        shard_compression(entry.shard)
        if entry.shard
        else npz_compression(entry.sample.read_bytes(), str(entry.sample))
        for entry in entries
    }


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder) if name != ".lock"}


def test_npz_files_are_deflated_and_stored_again_to_the_byte(npz_files, sound):
    recorded = npz_files
    before = files_of(recorded)
    chosen = filter_samples(open_sources([recorded]), agents=["ben"])
    selection = save_selection(recorded / "ben_manifest.json", chosen, {})
    done = recompress(recorded, "deflated")
    assert (done.written, done.unchanged) == (27, 0)
    assert done.bytes_after < done.bytes_before / 10
    assert compressions(recorded) == {"deflated"}
    sound(recorded)
    sound(selection)
    assert recompress(selection, "deflated") == (
        0,
        9,
        *[sum(e.sample.stat().st_size for e in find_entries(selection))] * 2,
    )
    recompress(recorded, "stored")
    selection.unlink()
    assert files_of(recorded) == before


@pytest.mark.parametrize("compression", ["lz4", "none"])
def test_shards_get_another_number_and_hold_the_same(captures, shards, sound, compression):
    recorded = shards
    chosen = filter_samples(open_sources([recorded]), agents=["ben"])
    selection = save_selection(recorded / "ben_manifest.json", chosen, {})
    done = recompress(recorded, compression)
    assert (done.written, done.unchanged) == (1, 0)
    assert compressions(recorded) == {compression}
    sound(recorded)
    assert sound(selection).samples == 9
    assert compare_datasets(recorded / "rollout_sample_manifest.json", captures / "arrow").is_equal
    assert sorted(name for name in files_of(recorded) if name.endswith(".arrow")) == [
        "rollout_sample_00002.arrow",
        "rollout_sample_00002_samples.arrow",
    ]
    recompress(recorded, "zstd")
    selection.unlink()
    assert files_of(recorded) == files_of(captures / "arrow")


@pytest.mark.parametrize("writes", range(0, 30, 4))
def test_an_interrupted_call_leaves_a_dataset_that_loads_and_is_finished_by_the_next(
    recorded, sound, monkeypatch, writes
):
    compression = "deflated" if list(recorded.glob("*.npz")) else "lz4"
    left = [writes]

    def dying(real):
        def call(*arguments):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*arguments)

        return call

    with monkeypatch.context() as patch:
        for name in ("write_file", "write_json", "rename_file", "remove"):
            patch.setattr(module.io, name, dying(getattr(io, name)))
        try:
            recompress(recorded, compression)
        except Killed:
            assert sound(recorded / "rollout_sample_manifest.json").samples == 27
    recompress(recorded, compression)
    assert compressions(recorded / "rollout_sample_manifest.json") == {compression}
    sound(recorded)
    content = json.loads((recorded / "rollout_sample_manifest.json").read_text())
    assert all("sha256" in entry for entry in content.get("samples") or content["shards"])


def test_stored_statistics_stay_those_of_the_samples_and_a_selection_has_none(recorded, sound):
    manifest = recorded / "rollout_sample_manifest.json"
    store_statistics(manifest, read_statistics(find_entries(recorded)))
    stored = load_manifest(manifest).metadata["statistics"]
    chosen = filter_samples(open_sources([recorded]), agents=["ben"])
    selection = save_selection(recorded / "ben_manifest.json", chosen, {})
    assert "statistics" not in load_manifest(selection).metadata
    recompress(recorded, "deflated" if list(recorded.glob("*.npz")) else "none")
    assert load_manifest(manifest).metadata["statistics"] == stored
    sound(recorded)


def test_a_compression_of_another_form_is_refused(recorded, captures):
    with pytest.raises(InputError, match="--compression: 'gzip', expected stored, deflated, zstd, lz4, none"):
        recompress(recorded, "gzip")
    with pytest.raises(InputError, match="and lz4 is a compression of arrow"):
        recompress(captures / "npz", "lz4")
    with pytest.raises(InputError, match="is packed, and stored is a compression of npz"):
        recompress(captures / "arrow", "stored")


def test_an_array_of_others_and_a_link_are_refused_before_anything_is_written(npz_files):
    recorded = npz_files
    path = recorded / "rollout_sample_ben_004.npz"
    arrays = dict(np.load(path))
    (recorded / "rollout_sample_manifest.json").unlink()
    np.savez(path, **arrays, mood=np.zeros(80, np.float32))
    before = files_of(recorded)
    with pytest.raises(InputError, match="mood is not an array of ours"):
        recompress(recorded, "deflated")
    np.savez(path, **arrays)
    path.rename(recorded.parent / "elsewhere.npz")
    path.symlink_to(recorded.parent / "elsewhere.npz")
    with pytest.raises((InputError, SampleError), match="link"):
        recompress(recorded, "deflated")
    after = files_of(recorded)
    assert all(after[name] == before[name] for name in before if name != path.name)


def test_digests_in_yaml_are_not_renewed_and_it_is_said(npz_files):
    recorded = npz_files
    content = json.loads((recorded / "rollout_sample_manifest.json").read_text())
    (recorded / "rollout_sample_manifest.json").unlink()
    with open(recorded / "x_manifest.yaml", "w") as file:
        YAML().dump({"samples": content["samples"]}, file)
    before = files_of(recorded)
    with pytest.raises(InputError, match="is YAML, and its digests would change"):
        recompress(recorded, "deflated")
    assert files_of(recorded) == before
