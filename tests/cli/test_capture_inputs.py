"""What people get wrong with `townlet capture`: one sentence, its exit code, and nothing touched."""

import json
import subprocess
import sys

import pytest

SCENARIO = """\
name: corner
ticks: 5
grid: {size: [4, 2]}
objects:
  - {id: shower_1, kind: shower, position: [0, 0]}
agents:
  - {id: anna, position: [2, 0]}
"""


@pytest.fixture
def scenario(tmp_path):
    """Write a scenario with one word replaced by another; returns its path."""

    def write(old="", new=""):
        path = tmp_path / "corner.yaml"
        assert old in SCENARIO
        path.write_text(SCENARIO.replace(old, new) if old else SCENARIO)
        return path

    return write


@pytest.fixture
def refused(townlet, tmp_path):
    """Expect a refusal that touches nothing; returns the lines on stderr."""

    def call(code, *arguments):
        before = contents(tmp_path)
        found, stdout, stderr = townlet("capture", *arguments)
        assert (found, stdout) == (code, "")
        assert contents(tmp_path) == before
        return stderr.splitlines()

    return call


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_the_scenario_of_these_tests_is_captured(townlet, scenario, tmp_path):
    code, stdout, _ = townlet("capture", scenario(), "--output", tmp_path / "out")
    assert code == 0
    assert "corner: 5 ticks, seed 0" in stdout
    assert (tmp_path / "out" / "rollout_sample_manifest.json").is_file()


def test_an_unknown_scenario_is_answered_with_the_nearest_name(refused, tmp_path):
    lines = refused(2, "queue_conflct", "--output", tmp_path / "out")
    assert lines == [
        "error: no scenario is called 'queue_conflct' (did you mean 'queue_conflict'?)",
        "hint: see them all with: townlet scenario list",
    ]


def test_a_missing_file_exits_3(refused, tmp_path):
    assert refused(3, tmp_path / "nowhere.yaml") == [f"error: {tmp_path}/nowhere.yaml: no such file"]


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("ticks: 5", "tikcs: 5", "2:1: tikcs: unknown key 'tikcs' (did you mean 'ticks'?)"),
        (
            "kind: shower",
            "kind: showr",
            "5:26: objects[0].kind: unknown kind 'showr' (did you mean 'shower'?)",
        ),
        ("ticks: 5", "ticks: many", "2:8: ticks: found 'many', expected a whole number"),
        ("[2, 0]", "[9, 0]", "7:26: agents[0].position: "),
        ("grid: {size", "grid: {{size", "3:8: "),
    ],
)
def test_a_mistake_in_a_scenario_is_named_with_its_place(refused, scenario, tmp_path, old, new, mistake):
    path = scenario(old, new)
    lines = refused(2, path, "--output", tmp_path / "out")
    assert any(f"{path}:{mistake}" in line for line in lines), lines
    assert lines[-1] == f"hint: correct the file, then: townlet scenario validate {path}"


def test_an_existing_folder_is_kept_unless_forced(townlet, refused, scenario, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "diary.txt").write_text("mine")
    lines = refused(2, scenario(), "--output", out)
    assert lines == [
        f"error: {out}: already exists",
        "hint: choose another --output, or replace it with --force",
    ]
    assert townlet("capture", scenario(), "--output", out, "--force")[0] == 0
    assert (out / "diary.txt").read_text() == "mine"


def test_an_output_below_a_file_exits_5(refused, scenario, tmp_path):
    (tmp_path / "file").write_text("")
    lines = refused(5, scenario(), "--output", tmp_path / "file" / "out")
    assert lines == [
        f"error: {tmp_path}/file/out: Not a directory",
        "hint: check free space and permissions, then run the command again",
    ]


def test_a_folder_that_may_not_be_written_exits_5(scenario, tmp_path, environment):
    scenario()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    # Root may write anywhere, so it becomes nobody, here, once everything is imported.
    program = (
        "import os, sys, townlet_core.capture.capture, townlet_core.policy.scripted\n"
        "from townlet_cli.main import run\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "run()"
    )
    command = [sys.executable, "-c", program, "capture", "corner.yaml", "--output", "closed/out"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (5, ""), ended.stderr
    assert "error: closed/out: Permission denied\n" in ended.stderr
    assert list(closed.iterdir()) == []


def test_an_unknown_agent_is_answered_with_those_there_are(refused, scenario, tmp_path):
    lines = refused(2, scenario(), "--agent", "ana", "--output", tmp_path / "out")
    assert lines == ["error: corner: no agent 'ana' (did you mean 'anna'?)", "hint: agents: anna"]


def test_an_unknown_policy_exits_3(refused, scenario, tmp_path):
    lines = refused(3, scenario(), "--policy", tmp_path / "nobody", "--output", tmp_path / "out")
    assert lines[0] == f"error: {tmp_path}/nobody: no such checkpoint"


def test_a_town_without_agents_is_refused_with_the_way_out(refused, tmp_path):
    empty = tmp_path / "empty.yaml"
    empty.write_text("name: empty\nticks: 5\ngrid: {size: [4, 2]}\n")
    lines = refused(2, empty, "--output", tmp_path / "out")
    assert lines == [
        "error: empty: has no agents to record",
        "hint: add some, or use --auto-seed-agents",
    ]


@pytest.mark.parametrize(
    "options",
    [
        ["--ticks", "0"],
        ["--ticks", "99999999999999"],
        ["--towns", "0"],
        ["--seed", "-1"],
        ["--seed", str(2**63)],
        ["--epsilon", "1.5"],
        ["--epsilon", "nan"],
        ["--prefix", "a/b"],
    ],
)
def test_a_number_out_of_range_is_wrong_usage(refused, scenario, tmp_path, options):
    lines = refused(2, scenario(), *options, "--output", tmp_path / "out")
    assert options[0].removeprefix("--") in lines[0]


def test_a_random_capture_says_that_everything_was_chance(townlet, scenario, tmp_path):
    assert townlet("capture", scenario(), "--policy", "random", "--output", tmp_path / "c")[0] == 0
    [sample] = (tmp_path / "c").glob("*_anna_*.json")
    meta = json.loads(sample.read_text())
    assert meta["capture"]["epsilon"] == 1.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--policy", "random", "--epsilon", "0.5"), "--epsilon is for the script, and --policy is random"),
        (("--policy", "run", "--epsilon", "0.5"), "--epsilon is for the script, and --policy is run"),
        (("--policy", "run", "--score", "fresh"), "--score is for scripts"),
    ],
)
def test_options_that_would_change_nothing_are_refused(refused, scenario, options, sentence):
    assert sentence in refused(2, scenario(), *options)[0]


def test_a_capture_with_a_damaged_manifest_is_replaced(townlet, scenario, tmp_path):
    out = tmp_path / "out"
    assert townlet("capture", scenario(), "--output", out)[0] == 0
    whole = contents(out)
    manifest = out / "rollout_sample_manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:40])
    assert townlet("capture", scenario(), "--output", out, "--force")[0] == 0
    assert contents(out) == whole
