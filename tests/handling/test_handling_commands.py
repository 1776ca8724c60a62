"""The commands: what they print, as JSON and as text, and how they exit."""

import json
import os
import shutil

import pytest


@pytest.fixture
def run(townlet, tmp_path, monkeypatch):
    """Run a command in the folder that holds `recorded`; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    return townlet


def as_json(result):
    code, out, err = result
    assert code == 0, err
    found = json.loads(out)
    assert found.pop("schema").startswith("townlet.replay.")
    return found


def test_filter_writes_beside_the_manifest_by_default(recorded, run):
    found = as_json(run("replay", "filter", "recorded", "--where", "town == 0 and episode < 2", "--json"))
    manifest = "recorded/rollout_sample_filtered_manifest.json"
    assert found == {"manifest": manifest, "samples": 6, "transitions": 480, "samples_given": 27}
    assert run("replay", "validate", manifest)[0] == 0
    code, _, err = run("replay", "filter", "recorded", "--agent", "ben")
    assert (code, err.splitlines()[0]) == (2, f"error: {manifest}: already exists")
    assert run("replay", "filter", "recorded", "--agent", "ben", "--force")[0] == 0


def test_filter_of_several_sources_needs_an_output(recorded, captures, run):
    code, _, err = run("replay", "filter", "recorded", captures / "npz")
    assert code == 2
    assert "error: --output: is missing, and the samples are not all of one manifest" in err


@pytest.mark.parametrize("command", [["filter", "--copy"], ["slice"], ["merge"], ["split", "--copy"]])
def test_what_copies_needs_an_output(recorded, run, command):
    code, _, err = run("replay", command[0], "recorded", *command[1:])
    assert (code, err.splitlines()[0]) == (2, "error: --output: is missing, expected a folder to write to")


def test_options_of_copies_are_refused_without_copy(recorded, run):
    for option in (("--prefix", "x"), ("--format", "npz"), ("--compression", "zstd")):
        for command in ("filter", "split"):
            code, _, err = run("replay", command, "recorded", *option)
            assert (code, err.splitlines()[0]) == (2, f"error: {option[0]}: is for copies")
    assert sorted(os.listdir("recorded")) == sorted(os.listdir(recorded))


@pytest.mark.parametrize(
    "arguments", [("--format", "arrow"), ("--format", "npz", "--compression", "deflated")]
)
def test_slice_writes_a_dataset(recorded, run, arguments):
    call = ("replay", "slice", "recorded", "--ticks", "70:90", "--agent", "a*", "--output", "cut", *arguments)
    found = as_json(run(*call, "--json"))
    assert found == {
        "manifest": "cut/rollout_sample_manifest.json",
        "samples": 6,
        "transitions": 60,
        "left_out": [],
        "samples_given": 27,
    }
    assert run("replay", "validate", "cut")[0] == 0
    code, out, err = run(*call[:7], "--output", "again")
    assert (code, out.splitlines()[0]) == (0, "6 samples, 60 transitions, of 27 samples given")
    assert "next: townlet replay validate again/rollout_sample_manifest.json" in err


def test_split_writes_two_manifests_or_two_datasets(recorded, run):
    found = as_json(run("replay", "split", "recorded", "--validation", "0.3", "--json"))
    assert list(found) == ["train", "validation"]
    assert sum(part["samples"] for part in found.values()) == 27
    copied = as_json(
        run("replay", "split", "recorded", "--validation", "0.3", "--copy", "--output", "out", "--json")
    )
    for name in found:
        assert copied[name]["samples"] == found[name]["samples"]
        assert run("replay", "diff", found[name]["manifest"], f"out/{name}")[0] == 0
        assert run("replay", "validate", f"out/{name}")[0] == 0


def test_split_writes_neither_manifest_if_one_is_in_the_way(recorded, run):
    taken = recorded / "rollout_sample_validation_manifest.json"
    taken.write_text("{}")
    assert run("replay", "split", "recorded")[0] == 2
    assert not (recorded / "rollout_sample_train_manifest.json").exists()


def test_split_copies_nothing_if_one_folder_is_in_the_way(recorded, run, tmp_path):
    (tmp_path / "out" / "validation").mkdir(parents=True)
    (tmp_path / "out" / "validation" / "notes.txt").write_text("mine")
    assert run("replay", "split", "recorded", "--copy", "--output", "out")[0] == 2
    assert os.listdir("out") == ["validation"]


def test_merge_names_what_is_there_twice(recorded, captures, run):
    found = as_json(
        run("replay", "merge", "recorded", captures / "npz", "--format", "npz", "--output", "m", "--json")
    )
    assert (found["samples"], len(found["duplicates"])) == (27, 27)
    _, _, err = run("replay", "merge", "recorded", captures / "npz", "--format", "npz", "--output", "n")
    assert "is the same recording as recorded/" in err
    assert "left out 24 more samples that are there twice" in err


def test_diff_exits_1_if_anything_differs(recorded, captures, run):
    assert as_json(run("replay", "diff", "recorded", captures / "npz", "--json"))["is_equal"] is True
    code, out, _ = run("replay", "diff", "recorded", captures / "npz", "--bytes")
    is_same = bool(list(recorded.glob("*.npz")))
    assert (code, out.splitlines()[-1].startswith("equal: 58 equal files")) == (not is_same, is_same)
    code, out, _ = run(
        "replay", "diff", "recorded", captures / "npz" / "rollout_sample_anna_001.npz", "--json"
    )
    assert (code, len(json.loads(out)["only_first"])) == (1, 26)


def test_recompress_and_list_agree(recorded, run):
    compression = "deflated" if list(recorded.glob("*.npz")) else "none"
    done = as_json(run("replay", "recompress", "recorded", "--compression", compression, "--json"))
    (listed,) = as_json(run("replay", "list", "recorded", "--json"))["datasets"]
    assert listed["form"].endswith(compression)
    assert done["bytes_after"] < listed["bytes"]
    assert run("replay", "validate", "recorded")[0] == 0


def test_list_needs_no_path_and_warns_of_damage(recorded, run):
    (recorded / "broken_manifest.json").write_text('{"samples": [{"sample": "\\u001b[31mgone.npz"}]}')
    code, out, err = run("replay", "list")
    assert code == 0
    assert out.splitlines()[-1].startswith("2 datasets, ")
    assert err.startswith("warning: recorded/broken_manifest.json: samples[0].sample: is")
    assert "\x1b" not in out + err


def test_prune_lists_first_and_removes_with_yes(captures, run, tmp_path):
    shutil.copytree(captures / "npz", tmp_path / "old")
    found = as_json(run("replay", "prune", ".", "--keep", "0", "--json"))
    assert (found["removed"], [one["manifest"] for one in found["going"]]) == (
        False,
        ["old/rollout_sample_manifest.json"],
    )
    code, out, err = run("replay", "prune", ".", "--max-bytes", "1kB")
    assert (code, "Would be removed" in out, "repeat the command with --yes" in err) == (0, True, True)
    assert (tmp_path / "old").exists()
    code, out, _ = run("replay", "prune", ".", "--older-than", "0m", "--yes")
    assert (code, "1 capture removed" in out) == (0, True)
    assert not (tmp_path / "old").exists()
    assert run("replay", "prune", ".")[0] == 2
    assert run("replay", "prune", "old", "--keep", "1")[0] == 3


def test_mistakes_are_usage_errors_with_a_place(recorded, run):
    for arguments, message in (
        (("filter", "recorded", "--where", "reward_sum >"), "--where:1:13: the expression is not finished"),
        (("slice", "recorded", "--ticks", "9:3", "--output", "x"), "--ticks: '9:3' has no ticks"),
        (("split", "recorded", "--validation", "2"), "--validation: 2.0, expected a fraction"),
        (("merge", "recorded", "--output", "x", "--format", "zip"), "--format: 'zip', expected npz or arrow"),
        (
            ("recompress", "recorded", "--compression", "gzip"),
            "--compression: 'gzip', expected stored, deflated",
        ),
        (("prune", ".", "--older-than", "soon"), "--older-than: 'soon', expected a number and m, h, d or w"),
        (("list", "nowhere"), "nowhere: no such file or folder"),
    ):
        code, out, err = run("replay", *arguments)
        assert (code in (2, 3), out) == (True, "")
        assert err.startswith(f"error: {message}")
