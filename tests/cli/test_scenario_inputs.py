"""What a scenario file should not hold is one sentence and exit code 2, whichever command is given it."""

import os

import pytest

from townlet_core.scenario.template import TEMPLATE

GOOD = TEMPLATE.read_text()
SMALL = "name: x\nticks: 5\ngrid: {size: [9, 9]}\n"
ALIASES = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new, 1)


CASES = {
    "an agent inside a wall": (changed("[6, 2]", "[5, 1]"), "tile [5, 1] is a wall, expected floor"),
    "two agents on one tile": (changed("[6, 2]", "[1, 2]"), "tile [1, 2] is already taken by agent 'ada'"),
    "an unknown kind": (changed("kind: sofa", "kind: sofaa"), "unknown kind 'sofaa' (did you mean 'sofa'?)"),
    "an unknown job": (changed("job: cashier", "job: x"), "unknown job 'x'"),
    "a missing object": (changed("start: fridge", "start: frige"), "unknown object 'frige' (did you mean"),
    "1,000 agents": (
        SMALL + "agents:\n" + "- {id: a, position: [0, 0]}\n" * 1_000,
        "agents: found a list of 1,000, expected a list of at most 64",
    ),
    "10,000 agents": (
        SMALL + "agents:\n" + "- {id: a, position: [0, 0]}\n" * 10_000,
        "agents: more than 1,000 entries, too many for one list or block",
    ),
    "a grid of 100,000 tiles": (
        "name: x\nticks: 5\ngrid: {size: [1000, 100]}\n",
        "grid.size[0]: found 1000, expected a whole number from 1 to 128",
    ),
    "a drawing of 100,000 tiles": (
        "name: x\nticks: 5\ngrid:\n  layout: |\n" + f"    {'.' * 1_000}\n" * 100,
        "found a drawing of 1,000 × 100 tiles, expected 1 to 128 along each edge",
    ),
    "a drawing on one line": (
        f"name: x\nticks: 5\ngrid:\n  layout: |\n    {'.' * 100_000}\n",
        "a line of more than 50,000 characters",
    ),
    "a bomb of aliases": (
        SMALL + "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + ALIASES,
        "more than 10,000 values, aliases counted each time",
    ),
    "duplicate keys": (SMALL + "ticks: 6\n", "4:1: ticks: key 'ticks' is here twice, first on line 2"),
    "infinity": (SMALL + "rules: {epsilon: .inf}\n", "found .inf, expected a finite number"),
    "not a number": (SMALL + "rules: {epsilon: .nan}\n", "found .nan, expected a finite number"),
    "deep nesting": (SMALL + "rules: " + "[" * 40_000, "nested more than 16 deep"),
    "deep lists": (SMALL + "rules:\n  " + "- " * 20_000, "nested more than 16 deep"),
    "bytes that are no text": (SMALL.encode() + b"description: \xe9\n", "4:14: byte 0xe9 is not UTF-8 text"),
    "text in UTF-16": (SMALL.encode("utf-16"), "1:1: byte 0xff is not UTF-8 text"),
    "a NUL": (SMALL + "description: a\x00b\n", "4:15: character \\x00 is not allowed in YAML"),
    "a merge key": (SMALL + "rewards: {<<: {wages: 1}}\n", "rewards: merge keys (<<) are not used here"),
    "a tag": (
        SMALL + "seed: !!python/object/apply:os.system [ls]\n",
        "is not used here, expected a plain value",
    ),
    "a long tag": (SMALL + "seed: " + "!" * 40_000, "is not used here, expected a plain value"),
    "two documents": (SMALL + "---\n" + SMALL, "4:1: a second document begins"),
    "a number as text": (SMALL.replace("5", "'5'"), "ticks: found '5', expected a whole number"),
    "a truth as a number": (SMALL.replace("5", "true"), "ticks: found true, expected a whole number"),
    "a huge number": (
        SMALL.replace("5", "1" + "0" * 400),
        "ticks: found a number of 401 characters, too many",
    ),
    "an empty file": ("", "1:1: the file is empty"),
    "a binary file": (bytes(range(256)) * 10, "byte 0x80 is not UTF-8 text"),
    "a file of 50 MB": (b"#" * 50_000_000, "more than 524,288 bytes, which is the limit here"),
}
COMMANDS = {
    "validate": ("scenario", "validate"),
    "show": ("scenario", "show"),
    "capture": ("capture",),
    "train": ("train",),
}


@pytest.fixture
def refused(townlet, tmp_path, monkeypatch):
    """Give a file to a command; returns what was said of the file, which must be one sentence."""
    monkeypatch.chdir(tmp_path)

    def call(command):
        code, out, err = townlet(*COMMANDS[command], tmp_path / "town.yaml")
        assert code == 2
        assert os.listdir() == ["town.yaml"]  # no capture, no run
        said = out if command == "validate" else err.partition("\nhint: ")[0]
        assert len(said.splitlines()) == 1
        return said.strip().removeprefix("error: ").removeprefix(f"{tmp_path}/")

    return call


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", CASES)
def test_a_bad_scenario_is_one_sentence_and_exit_code_2(refused, tmp_path, case, command):
    content, said = CASES[case]
    (tmp_path / "town.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    line = refused(command)
    assert line.startswith("town.yaml:")
    assert said in line


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_refused_without_reading_it(refused, tmp_path, make, command):
    make(tmp_path / "town.yaml")
    assert refused(command) == "town.yaml: is a folder or a device, expected a file"


@pytest.mark.parametrize(
    "text", [GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, "---\n" + GOOD, GOOD + "...\n"]
)
def test_other_ways_to_write_the_same_file_are_fine(townlet, tmp_path, text):
    (tmp_path / "town.yaml").write_bytes(text.encode())
    assert townlet("scenario", "validate", tmp_path / "town.yaml")[0] == 0
