"""Golden files: what they hold, what counts as moved, and how the commands print it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from replay_samples import make_sample

from townlet_core import io
from townlet_core.errors import InputError, MissingError
from townlet_core.replay import golden
from townlet_core.replay.find import find_entries
from townlet_core.replay.golden import Moved, compare_golden, measure
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.metrics import save_metrics
from townlet_core.replay.packed.writer import ShardWriter
from townlet_core.replay.sample import save_sample

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
SAMPLES = {f"s_{name}_{i:03d}.npz": make_sample(6, name, i) for i, name in ((1, "anna"), (2, "ben"))}


@pytest.fixture
def capture(tmp_path):
    folder = tmp_path / "capture"
    entries = [save_sample(sample, folder, name.removesuffix(".npz")) for name, sample in SAMPLES.items()]
    metrics = {name: sample.metadata["metrics"] for name, sample in SAMPLES.items()}
    save_metrics(folder, "s", {**metrics, "total": {"reward_sum": 3.0}})
    save_manifest(folder, "s", entries, {})
    return folder


def measured(path):
    return measure(path, find_entries(path))[0]


def townlet(*arguments):
    command = [sys.executable, "-m", "townlet_cli", "replay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_metrics_are_of_samples_of_all_together_and_the_totals(capture):
    found = measured(capture)
    assert list(found) == ["dataset", *SAMPLES, "total"]
    assert found["s_ben_002.npz"] == SAMPLES["s_ben_002.npz"].metadata["metrics"]
    assert found["dataset"]["counts.transitions"] == 12
    assert found["dataset"]["arrays.rewards.min"] == min(s.rewards.min() for s in SAMPLES.values())
    assert found["total"] == {"reward_sum": 3.0}


def test_packed_data_has_the_metrics_of_its_npz_files(capture, tmp_path):
    writer = ShardWriter(tmp_path / "packed", "s_00001")
    for sample in SAMPLES.values():
        writer.add(sample)
    save_manifest(tmp_path / "packed", "s", (), {}, shards=[writer.close()])
    expected = measured(capture)
    expected.pop("total")
    assert measured(tmp_path / "packed") == expected


def test_samples_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for folder in ("a", "b"):
        entry = save_sample(make_sample(6, folder), tmp_path / folder, "s")
        save_manifest(tmp_path / folder, "s", [entry], {})
    io.write_json(tmp_path / "all_manifest.json", ["a/s.npz", "b/s.npz"])
    for path in (tmp_path, tmp_path / "all_manifest.json"):
        assert list(measured(path)) == ["dataset", "a/s.npz", "b/s.npz"]


def test_a_large_dataset_has_no_entries_of_single_samples(capture, monkeypatch):
    monkeypatch.setattr(golden, "MOST_SAMPLES", 1)
    assert list(measured(capture)) == ["dataset", "total"]


@pytest.mark.parametrize(
    ("was", "now", "has_moved"),
    [
        (100, 102, False),
        (100, 102.1, True),
        (-100, -97.9, True),
        (0, 1e-6, False),
        (0, 2e-6, True),
        (1e-7, 9e-7, False),  # 2 % of it is less than 1e-6
        (5, None, True),
    ],
)
def test_a_metric_moves_by_more_than_two_percent_or_a_millionth(tmp_path, was, now, has_moved):
    io.write_json(tmp_path / "golden.json", {"dataset": {"x": was}})
    found = {"dataset": {"new": 1.0} | ({} if now is None else {"x": now})}
    moved = [Moved("dataset.x", was, now)] if has_moved else []
    assert compare_golden(tmp_path / "golden.json", found) == (1, moved)


def test_a_golden_file_that_compares_nothing_is_refused(tmp_path):
    for content in ({}, {"dataset": {}}, [], {"dataset": {"x": "1"}}):
        io.write_json(tmp_path / "golden.json", content)
        with pytest.raises(InputError, match=r"golden\.json"):
            compare_golden(tmp_path / "golden.json", {})
    with pytest.raises(MissingError):
        compare_golden(tmp_path / "none.json", {})


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_the_reference_captures_have_not_moved(name, captures):
    compared, moved = compare_golden(GOLDEN / f"{name}.json", measured(captures / name))
    assert compared > 150
    assert moved == []


def test_the_commands_write_compare_and_show_what_moved(capture, tmp_path):
    file = tmp_path / "golden.json"
    written = townlet("stats", capture, "--write-golden", file)
    assert (written.returncode, f"townlet replay validate {capture} --golden {file}" in written.stderr) == (
        0,
        True,
    )
    assert townlet("stats", capture, "--write-golden", file).returncode == 2
    assert "none moved" in townlet("validate", capture, "--golden", file).stdout
    metrics = json.loads(file.read_text())
    metrics["dataset"]["counts.samples"] = 4
    metrics["[bold]x"] = {"y": 1}
    file.write_text(json.dumps(metrics))
    shown = townlet("validate", capture, "--golden", file)
    assert shown.returncode == 1
    assert "dataset.counts.samples" in shown.stdout
    assert "-50.0%" in shown.stdout
    assert "[bold]x.y" in shown.stdout
    assert "2 moved" in shown.stdout
    found = json.loads(townlet("validate", capture, "--golden", file, "--json").stdout)
    assert found["ok"] is False
    assert found["golden"]["moved"][0] == {"metric": "dataset.counts.samples", "was": 4, "is": 2}


def test_one_golden_file_is_of_one_dataset_and_not_compared_with_a_damaged_one(capture, tmp_path):
    io.write_json(tmp_path / "golden.json", {"dataset": {"counts.samples": 2}})
    arguments = ("--golden", tmp_path / "golden.json")
    assert townlet("validate", capture, capture, *arguments).returncode == 2
    missing = townlet("validate", capture, "--golden", tmp_path / "none.json")
    assert (missing.returncode, missing.stdout) == (3, "")
    (capture / "s_ben_002.npz").write_bytes(b"PK")
    shown = townlet("validate", capture, *arguments)
    assert shown.returncode == 1
    assert "moved" not in shown.stdout
