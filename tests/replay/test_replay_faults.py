"""A folder with many faults: one run of validate names every one of them, each once."""

import json

import numpy as np
import pytest
from replay_samples import make_sample

from townlet_core import io
from townlet_core.replay import manifest as manifests
from townlet_core.replay.events import save_events
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.metrics import save_metrics
from townlet_core.replay.npz import pack_npz
from townlet_core.replay.packed.writer import ShardWriter
from townlet_core.replay.sample import save_sample
from townlet_core.replay.validate import validate_path


def shard_of(folder, name, seeds=range(3)):
    writer = ShardWriter(folder, name)
    for seed in seeds:
        writer.add(make_sample(6, seed=seed))
    return writer.close()


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)


@pytest.fixture
def faulty(tmp_path):
    """Captures with a dozen faults, in manifests, samples, shards, metrics and events."""
    one, two = tmp_path / "one", tmp_path / "two"
    entries = [
        save_sample(make_sample(6, name), one, f"s_{name}") for name in ("anna", "ben", "cara", "dan", "eva")
    ]
    (one / "s_ben.npz").write_bytes((one / "s_ben.npz").read_bytes()[:1000])  # 1
    (one / "s_cara.npz").unlink()  # 2
    metadata = json.loads((one / "s_dan.json").read_text())
    io.write_json(one / "s_dan.json", metadata | {"agent_id": "Ann"})  # 3
    flip(one / "s_eva.npz", 2000)  # 4
    wrong = [{"sample": "../s_anna.npz"}, {"meta": "x.json"}]  # 5, 6
    metrics = {"s_anna.npz": {"reward_sum": 99.0}}  # 7
    files = [
        save_metrics(one, "s", metrics),
        save_events(one, "s", [{"tick": 0, "town": 0, "type": "faint"}]),
    ]
    save_manifest(
        one, "s", [*entries, entries[0] | {"sample": "./s_anna.npz"}, *wrong], {}, files
    )  # 8: anna is listed twice
    with open(one / "s_events.jsonl", "a") as log:
        log.write("{}\n")  # 9
    shards = [shard_of(two, f"p_{i:05d}") for i in range(1, 5)]
    save_manifest(two, "p", (), {}, shards=shards)
    (two / "p_00001.arrow").write_bytes((two / "p_00001.arrow").read_bytes()[:-100])  # 10
    flip(two / "p_00002.arrow", shards[1]["bytes"] // 2)  # 11
    flip(two / "p_00003_samples.arrow", shards[2]["samples_bytes"] // 2)  # 12
    arrays = make_sample(6).arrays()
    arrays["rewards"] = np.full(6, np.nan, np.float32)
    (two / "loose.npz").write_bytes(pack_npz(arrays, compress=False))  # 13
    io.write_json(two / "loose.json", make_sample(6).metadata)
    (tmp_path / "other_manifest.json").write_text("{")  # 14
    return tmp_path


def test_every_fault_is_named_once_in_one_run(faulty):
    found = [
        (finding.severity, finding.file.removeprefix(f"{faulty}/"), f"{finding.place} {finding.message}")
        for finding in validate_path(faulty).findings
    ]
    expected = [
        ("problem", "one/s_ben.npz", "has 1,000 bytes, the manifest says"),
        ("problem", "one/s_cara.npz", "no such file, and the manifest lists it"),
        ("problem", "one/s_dan.json", "its sha256 is not the one in the manifest"),
        ("problem", "one/s_dan.npz", "agent_id is Ann, the manifest says dan"),
        ("problem", "one/s_eva.npz", "its sha256 is not the one in the manifest"),
        ("problem", "one/s_manifest.json", "samples[6].sample: '../s_anna.npz' leaves the manifest's folder"),
        ("problem", "one/s_manifest.json", "samples[7]: is not a sample"),
        ("problem", "one/s_metrics.json", "s_anna.npz.reward_sum is 99, the data says"),
        ("warning", "one/s_manifest.json", "s_anna.npz 2 times"),
        ("problem", "one/s_events.jsonl", "has 38 bytes, the manifest says 35"),
        ("problem", "two/p_00001.arrow", "bytes, the manifest says"),
        ("problem", "two/p_00002.arrow", "record batch 0: its sha256 is not the one in the samples table"),
        ("problem", "two/p_00003_samples.arrow", "its sha256 is not the one in the manifest"),
        ("problem", "two/loose.npz", "rewards"),
        ("problem", "other_manifest.json", "not JSON"),
    ]
    for severity, file, message in expected:
        matching = [
            text for grade, name, text in found if (grade, name) == (severity, file) and message in text
        ]
        assert len(matching) == 1, (file, message, found)


def test_files_that_cannot_be_whole_are_not_read(faulty, monkeypatch):
    read = []
    examine = manifests.examine_sample
    monkeypatch.setattr(
        manifests, "examine_sample", lambda *given: read.append(given[0].name) or examine(*given)
    )
    validate_path(faulty / "one" / "s_manifest.json")
    assert set(read) == {"s_anna.npz", "s_dan.npz", "s_eva.npz"}
