"""Packing and unpacking a dataset: every file comes back to the byte."""

import json
import os

import numpy as np
import pytest
from replay_samples import make_sample
from typer.testing import CliRunner

from townlet_cli.main import app
from townlet_core.capture.session import capture
from townlet_core.errors import InputError, SampleError
from townlet_core.replay.manifest import load_manifest, save_manifest
from townlet_core.replay.packed import pack as packing
from townlet_core.replay.packed.pack import open_manifest, pack, unpack
from townlet_core.replay.sample import save_sample
from townlet_core.replay.validate import validate_path


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder)) if name[0] != "."}


@pytest.mark.parametrize("compress", [False, True])
def test_a_capture_comes_back_to_the_byte(tmp_path, compress, monkeypatch):
    monkeypatch.setattr(packing, "SHARD_TRANSITIONS", 200)
    capture("queue_conflict", tmp_path / "first", towns=3, compress=compress)
    packed = pack(open_manifest(tmp_path / "first"), tmp_path / "packed")
    assert not validate_path(tmp_path / "packed").findings
    assert len(load_manifest(packed.manifest).shards) > 1
    assert packed.bytes_after < packed.bytes_before / (1 if compress else 10)
    unpack(open_manifest(packed.manifest), tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(tmp_path / "first")


def test_packing_again_gives_the_same_shards(tmp_path):
    capture("queue_conflict", tmp_path / "first", towns=2)
    pack(open_manifest(tmp_path / "first"), tmp_path / "one")
    pack(open_manifest(tmp_path / "first"), tmp_path / "two")
    pack(open_manifest(tmp_path / "one"), tmp_path / "three", "lz4")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    unpack(open_manifest(tmp_path / "three"), tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(tmp_path / "first")


def test_reference_captures_are_packed_and_come_back(tmp_path, captures):
    for manifest in sorted(captures.rglob("*manifest.json")):
        opened = open_manifest(manifest)
        name = manifest.parent.name
        pack(opened, tmp_path / name)
        unpack(open_manifest(tmp_path / name), tmp_path / f"{name}_again")
        for entry in opened.entries:
            for path in (entry.sample, entry.meta):
                assert (tmp_path / f"{name}_again" / path.name).read_bytes() == path.read_bytes()


def test_maps_of_other_values_begin_another_shard(tmp_path):
    bits, wide = make_sample(5, seed=1), make_sample(5, seed=2)
    object.__setattr__(wide, "map", (wide.map * np.float32(0.5)))
    samples = [bits, wide, bits]
    listed = [save_sample(sample, tmp_path / "a", f"x_anna_{i:03d}") for i, sample in enumerate(samples)]
    save_manifest(tmp_path / "a", "x", listed, {})
    packed = pack(open_manifest(tmp_path / "a"), tmp_path / "b")
    assert [ref.sample_count for ref in load_manifest(packed.manifest).shards] == [1, 2]
    unpack(open_manifest(packed.manifest), tmp_path / "c")
    assert files_of(tmp_path / "c") == files_of(tmp_path / "a")


def test_a_damaged_sample_is_named_and_leaves_no_manifest(tmp_path):
    capture("queue_conflict", tmp_path / "first", towns=1)
    path = tmp_path / "first" / "rollout_sample_ben_002.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SampleError, match=r"rollout_sample_ben_002\.npz: its sha256"):
        pack(open_manifest(tmp_path / "first"), tmp_path / "packed")
    assert os.listdir(tmp_path) == ["first"]


def test_what_cannot_be_packed_is_refused(tmp_path):
    capture("queue_conflict", tmp_path / "first", towns=1)
    opened = open_manifest(tmp_path / "first")
    with pytest.raises(InputError, match="already exists"):
        pack(opened, tmp_path / "first")
    with pytest.raises(InputError, match="lists no shards"):
        unpack(opened, tmp_path / "other")
    with pytest.raises(InputError, match="expected a manifest"):
        open_manifest(tmp_path / "first" / "rollout_sample_ben_002.npz")
    with pytest.raises(InputError, match="compression 'gzip'"):
        pack(opened, tmp_path / "other", "gzip")


def test_the_commands_pack_and_unpack_beside_the_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    capture("queue_conflict", "first", towns=1)
    runner = CliRunner()
    done = runner.invoke(app, ["replay", "pack", "first", "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["manifest"] == "first_packed/rollout_sample_manifest.json"
    done = runner.invoke(
        app, ["replay", "unpack", "first_packed", "--output", "again"], catch_exceptions=False
    )
    assert "3 samples, 240 transitions: 6 files of" in done.stdout
    assert files_of(tmp_path / "again") == files_of(tmp_path / "first")
    done = runner.invoke(app, ["replay", "inspect", "first_packed"], catch_exceptions=False)
    assert "3 samples, 240 transitions" in done.stdout
