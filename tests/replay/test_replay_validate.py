"""Validation reports everything at once; the commands print it and exit as documented."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from replay_samples import make_sample

from townlet_core import io
from townlet_core.errors import InputError, MissingError, SampleError
from townlet_core.replay.events import save_events
from townlet_core.replay.inspect import describe_path
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.metrics import save_metrics
from townlet_core.replay.sample import save_sample
from townlet_core.replay.validate import validate_path


@pytest.fixture
def capture(tmp_path):
    """A complete, sound capture of two agents; returns its folder."""
    folder = tmp_path / "capture"
    samples = {f"s_{name}_001": make_sample(6, name, seed) for seed, name in enumerate(("anna", "ben"))}
    entries = [save_sample(sample, folder, stem) for stem, sample in samples.items()]
    save_metrics(folder, "s", {f"{stem}.npz": sample.metadata["metrics"] for stem, sample in samples.items()})
    save_events(folder, "s", [{"tick": 0, "town": 0, "type": "faint"}])
    save_manifest(folder, "s", entries, {})
    return folder


def townlet(*arguments):
    command = [sys.executable, "-m", "townlet_cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_sound_capture_has_nothing_to_report(capture):
    report = validate_path(capture, for_training=True)
    assert report.as_dict() == {
        "ok": True,
        "samples": 2,
        "manifests": 1,
        "events": 1,
        "problems": [],
        "warnings": [],
    }


@pytest.mark.parametrize(
    "name", ["s_anna_001.npz", "s_anna_001.json", "s_manifest.json", "s_metrics.json", "s_events.jsonl"]
)
def test_each_kind_of_file_can_be_validated_alone(capture, name):
    report = validate_path(capture / name)
    assert not report.findings
    assert report.samples + report.events > 0


def test_every_problem_of_a_folder_is_reported_with_its_file(capture):
    metadata = make_sample(6, "anna").metadata
    io.write_json(
        capture / "s_anna_001.json", metadata | {"metrics": metadata["metrics"] | {"reward_sum": 99.0}}
    )
    with open(capture / "s_ben_001.npz", "r+b") as file:
        file.truncate(1000)
    with open(capture / "s_events.jsonl", "a") as file:
        file.write("{}\n")
    save_sample(make_sample(3), capture, "lost")
    found = {(f.severity, f.file.rsplit("/", 1)[1], f.place) for f in validate_path(capture).findings}
    assert found == {
        ("problem", "s_anna_001.json", ""),  # the digest
        ("problem", "s_anna_001.json", "metrics.reward_sum"),
        ("problem", "s_ben_001.npz", ""),
        ("problem", "s_events.jsonl", ""),
        ("warning", "lost.npz", ""),
    }


def test_metrics_that_tell_of_other_samples_are_problems(capture):
    save_metrics(capture, "s", {"s_anna_001.npz": {"reward_sum": 99.0}, "gone.npz": {}})
    places = [finding.place for finding in validate_path(capture / "s_metrics.json").problems]
    assert places == ["s_anna_001.npz.reward_sum", "s_anna_001.npz", "gone.npz"]


def test_samples_that_disagree_or_are_listed_twice_are_found(capture):
    sample = make_sample(6)
    sample.metadata["feature_names"][-1] = "colour"
    entry = save_sample(sample, capture, "s_other_003")
    save_manifest(capture, "t", ["s_anna_001.npz", entry, "s_anna_001.npz"], {})
    report = validate_path(capture / "t_manifest.json")
    assert ["do not fit together" in finding.message for finding in report.problems] == [True]
    assert [finding.message for finding in report.warnings] == ["lists s_anna_001.npz 2 times"]


def test_missing_conflict_features_are_a_warning_and_for_training_a_problem(capture):
    sample = make_sample(6)
    names = sample.metadata["feature_names"]
    names[names.index("rivalry_max")] = "anger"
    sample.metadata["metrics"] = {}
    save_sample(sample, capture, "calm")
    assert [f.place for f in validate_path(capture / "calm.npz").warnings] == ["features"]
    assert not validate_path(capture / "calm.npz").problems
    (problem,) = validate_path(capture / "calm.npz", for_training=True).problems
    assert "no feature rivalry_max" in problem.message


def test_a_run_is_validated_and_described_by_its_recordings(capture, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    capture.rename(run / "samples")
    for name in ("run.json", "not_finite.npz", "checkpoints/g000001/towns.npz"):
        io.write_file(run / name, b"{}")
    report = validate_path(run)
    assert (report.samples, report.findings) == (2, [])
    assert validate_path(tmp_path).findings == []
    assert describe_path(run) == describe_path(run / "samples")
    (run / "run.json").unlink()
    assert [finding.file for finding in validate_path(run).problems] == [
        f"{run / 'not_finite.npz'}",
        str(run),
    ]


def test_an_empty_folder_and_a_missing_path_are_told_apart(tmp_path):
    assert "holds no samples" in validate_path(tmp_path).problems[0].message
    with pytest.raises(MissingError):
        validate_path(tmp_path / "none")


def test_reference_manifests_validate_with_warnings_only(captures):
    for path in captures.glob("*/*manifest.json"):
        report = validate_path(path, for_training=True)
        assert report.problems == []
        assert len(report.warnings) >= report.samples > 0
    report = validate_path(captures / "two_step")
    assert [f.file.rsplit("/", 1)[1] for f in report.problems] == ["observation_hybrid_sample.npz"]


def test_a_sample_is_described_with_its_arrays_actions_and_rewards(capture):
    sample = make_sample(6, "anna")
    found = describe_path(capture / "s_anna_001.npz", features=True)
    assert found["agent_id"] == "anna"
    assert [row["name"] for row in found["arrays"]] == list(sample.arrays())
    assert sum(found["actions"].values()) == 6
    np.testing.assert_allclose(found["reward_curve"], sample.rewards, rtol=1e-6)
    assert found["features"]["count"] == 6
    assert describe_path(capture / "s_anna_001.json")["file"] == str(capture / "s_anna_001.npz")


def test_a_folder_is_described_by_its_only_manifest(capture):
    found = describe_path(capture)
    assert [row["agent_id"] for row in found["samples"]] == ["anna", "ben"]
    assert found["transitions"] == 12
    save_manifest(capture, "t", ["s_anna_001.npz"], {})
    with pytest.raises(
        InputError, match=r"holds 2 manifests \(s_manifest.json, t_manifest.json\), expected one"
    ):
        describe_path(capture)
    with pytest.raises(SampleError, match="is not a manifest"):
        describe_path(capture / "s_metrics.json")


def test_inspect_tells_the_range_of_the_ticks_and_not_of_the_averages_it_draws(tmp_path):
    sample = make_sample(600)
    sample.rewards[:] = 0
    sample.rewards[299] = 7  # of ten ticks that are one bar
    save_sample(sample, tmp_path, "long")
    (line,) = [
        line
        for line in townlet("replay", "inspect", tmp_path / "long.npz").stdout.splitlines()
        if line.startswith("rewards  ▁")
    ]
    assert line.endswith("█▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  0 to 7")


def test_reports_of_one_sample_speak_of_one_sample(tmp_path):
    entry = save_sample(make_sample(1), tmp_path, "s_anna_001")
    save_manifest(tmp_path, "s", [entry], {})
    commands = [("validate", tmp_path), ("inspect", tmp_path), ("inspect", tmp_path / "s_anna_001.npz")]
    said = "\n".join(townlet("replay", *command).stdout for command in commands)
    assert "1 manifest, 1 sample read, no problems" in said
    assert "1 sample, 1 transition, map" in said
    assert "anna: 1 tick, recorded" in said


def test_the_commands_print_and_exit_as_documented(capture):
    good = townlet("replay", "validate", capture)
    assert (good.returncode, good.stderr) == (0, "")
    assert "ok: 1 manifest, 2 samples, 1 event read, no problems, no warnings" in good.stdout
    shown = townlet("replay", "inspect", capture / "s_anna_001.npz", "--features")
    assert shown.returncode == 0
    assert "rivalry_max_mean" in shown.stdout
    assert "need_hunger" in shown.stdout
    assert json.loads(townlet("replay", "inspect", capture, "--json").stdout)["kind"] == "manifest"
    (capture / "s_anna_001.npz").write_bytes(b"PK")
    bad = townlet("replay", "validate", capture / "s_anna_001.npz", capture / "s_ben_001.npz", "--json")
    assert bad.returncode == 1
    result = json.loads(bad.stdout)
    assert [report["ok"] for report in result["reports"]] == [False, True]
    assert townlet("replay", "inspect", capture / "s_anna_001.npz").returncode == 2
    assert townlet("replay", "validate", capture / "nothing").returncode == 3


def test_names_from_files_cannot_steer_the_terminal(capture):
    (capture / "t_manifest.json").write_text('["\\u001b[31mred.npz", "[bold]x.npz"]')
    shown = townlet("replay", "validate", capture / "t_manifest.json")
    assert "\x1b" not in shown.stdout
    (capture / "t_manifest.json").write_text('["[bold]x.npz"]')
    assert "[bold]x.npz: no such file" in townlet("replay", "validate", capture / "t_manifest.json").stdout


def test_metrics_of_names_that_no_file_can_have_are_problems(capture):
    os.symlink("loop.npz", capture / "loop.npz")
    names = ("a\0b.npz", "x" * 300 + ".npz", "loop.npz")
    save_metrics(capture, "t", {name: {"ticks": 1.0} for name in names})
    found = {finding.place: finding.message for finding in validate_path(capture / "t_metrics.json").problems}
    assert found == dict.fromkeys((name[:200] for name in names), "is not beside the metrics")


def test_no_finding_shows_more_of_a_value_than_fits_on_a_line(tmp_path):
    save_sample(make_sample(), tmp_path, "a")
    sound = json.loads((tmp_path / "a.json").read_text())
    long = "\x1b" * 100_000
    huge = [[[long] * 9] * 9] * 9
    for key in sound:
        for value in (long, huge[:1], {long: 1}):
            (tmp_path / "a.json").write_text(json.dumps({**sound, key: value}))
            for finding in validate_path(tmp_path / "a.npz").findings:
                assert len(str(finding).removeprefix(str(tmp_path))) < 600
                assert str(finding).isprintable()
