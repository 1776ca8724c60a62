"""`townlet evaluate --shard` and `--merge`: what is printed is what one command prints."""

import json

import pytest

from townlet_core.locks import FileLock

EVALUATE = ("evaluate", "scripted", "random", "--scenario", "observation_baseline", "--episodes")


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_merging_prints_what_one_command_prints(townlet, as_json, tmp_path):
    whole = townlet(*EVALUATE, 70, *as_json)
    for number in (3, 1, 2):
        code, said, talk = townlet(*EVALUATE, 70, "--shard", f"{number}/3", "--output", tmp_path)
        assert (code, f"shard {number}/3: " in said) == (0, True)
        assert f"next: townlet evaluate --merge {tmp_path}\n" in talk
    code, out, talk = townlet("evaluate", "--merge", *tmp_path.glob("*.parquet"), *as_json)
    assert (code, out) == whole[:2]
    assert talk == whole[2]


def test_a_shard_that_is_there_is_skipped_with_a_note(townlet, tmp_path):
    shard = ("--shard", "2/2", "--output", tmp_path)
    code, out, _ = townlet(*EVALUATE, 40, *shard, "--json")
    first = json.loads(out)
    place = tmp_path / "evaluation-00002-of-00002.parquet"
    assert (code, first.pop("played")) == (0, True)
    assert first == {
        "schema": "townlet.evaluate/1",
        "file": str(place),
        "shard": "2/2",
        "first_episode": 33,
        "last_episode": 40,
    }
    code, out, talk = townlet(*EVALUATE, 40, *shard)
    assert (code, out) == (0, f"shard 2/2: 8 episodes per policy in {place}\n")
    assert f"{place}: is there already, and was not played again" in talk
    code, out, talk = townlet(*EVALUATE, 40, *shard, "--seed", 3)
    assert (code, out) == (2, "")
    assert "its seed is 1000, expected 3" in talk
    assert "replace it with --force" in talk
    code, out, _ = townlet(*EVALUATE, 40, *shard, "--seed", 3, "--force", "--json")
    assert (code, json.loads(out)["played"]) == (0, True)


def test_a_shard_that_another_process_plays_is_left_to_it(townlet, tmp_path):
    with FileLock(tmp_path / "evaluation-00001-of-00001.parquet"):
        code, out, talk = townlet(*EVALUATE, 2, "--shard", "1/1", "--output", tmp_path)
    assert (code, out) == (73, "")
    assert "another process is writing to it (pid " in talk


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("scripted --shard 1/2", "--output: is missing, expected a folder for the shard"),
        ("scripted --output x", "--output is for shards, and --shard is missing"),
        ("scripted --force", "--force is for shards, and --shard is missing"),
        ("scripted --shard 3/2 -o x", "shard '3/2': expected I/N, such as 2/8"),
        ("scripted --shard 1/5 -o x", "100 episodes are 4 blocks of 32, expected at most 4 shards"),
        ("scripted --shard 1/2 -o s3://b/x", "is an address, expected a path on this machine"),
        ("--merge x --seed 3", "--seed does not apply to --merge"),
        ("--merge x --episodes 100", "--episodes does not apply to --merge"),
        ("--merge x --shard 1/2", "--shard does not apply to --merge"),
        ("--merge .", ".: holds no shard of an evaluation"),
        ("--merge scripted", "scripted: no such file"),
    ],
)
def test_what_does_not_go_together_is_refused_and_leaves_nothing(townlet, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, talk = townlet("evaluate", *words.split())
    assert (code in (2, 3), out, said in talk) == (True, "", True), talk
    assert list(tmp_path.iterdir()) == []
