"""A capture holds the scenario that was played, as it was given, and where it came from plays no part."""

import shutil

import pytest

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario, parse_scenario, scenario_sha256

CORNER = b"""\
# Where anna lives.
name: corner
ticks: 5
grid: {size: [4, 2]}
agents:
  - {id: anna, position: [2, 0]}
"""
EMPTY = CORNER[: CORNER.index(b"agents")]
HELD = "rollout_sample_scenario.yaml"


@pytest.fixture
def captured(townlet, tmp_path):
    """Capture a YAML file under some name and delete the file; returns the folder of the capture."""

    def call(name, text, *options):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
        folder = tmp_path / f"capture of {path.stem}"
        assert townlet("capture", path, "--output", folder, *options)[0] == 0
        path.unlink()
        return folder

    return call


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_the_scenario_is_kept_as_it_was_given_wherever_it_stood(captured):
    first, second = captured("a.yaml", CORNER), captured("elsewhere/b.yml", CORNER)
    assert (first / HELD).read_bytes() == CORNER
    assert contents(first) == contents(second)


def test_of_a_town_with_placeholder_agents_the_town_that_was_played_is_kept(captured, townlet):
    folder = captured("empty.yaml", EMPTY, "--auto-seed-agents")
    scenario, _ = parse_scenario((folder / HELD).read_bytes())
    assert [agent.id for agent in scenario.agents] == ["alice", "bob"]
    assert townlet("replay", "render", folder, "--format", "ansi")[0] == 0


def test_a_capture_plays_where_its_scenario_is_lost(captured, townlet, tmp_path):
    folder = captured("corner.yaml", CORNER)
    moved = shutil.move(folder, tmp_path / "moved")
    for path in (moved, moved / "rollout_sample_anna_001.npz"):
        assert townlet("replay", "render", path, "--format", "ansi")[0] == 0


def test_a_capture_of_a_bundled_scenario_plays_when_another_version_comes_with_townlet(
    townlet, tmp_path, monkeypatch
):
    assert townlet("capture", "observation_baseline", "--output", tmp_path / "c")[0] == 0
    monkeypatch.setattr("townlet_core.render.resimulate.bundled_scenarios", dict)
    assert townlet("replay", "render", tmp_path / "c", "--format", "ansi")[0] == 0


def test_a_file_that_is_named_is_played_instead_of_the_one_held(captured, townlet, tmp_path):
    folder = captured("corner.yaml", CORNER)
    (folder / HELD).write_bytes(CORNER.replace(b"ticks: 5", b"ticks: 6"))
    code, _, err = townlet("replay", "render", folder, "--format", "ansi")
    assert (code, "another version of the scenario 'corner'" in err, "--scenario FILE" in err) == (
        2,
        True,
        True,
    )
    (tmp_path / "mine.yaml").write_bytes(CORNER)
    rendered = townlet("replay", "render", folder, "--scenario", tmp_path / "mine.yaml", "--format", "ansi")
    assert rendered[0] == 0


def test_a_scenario_made_in_python_is_written_out(tmp_path):
    scenario = load_scenario("queue_conflict").model_copy(update={"ticks": 7})
    text = b"name: another\nticks: 7\ngrid: {size: [3, 3]}\n"
    for given in (None, text):
        write_capture(
            scenario,
            ScriptedPolicy(scenario),
            CaptureSettings(ticks=7),
            tmp_path / str(given is None),
            scenario_text=given,
        )
    assert contents(tmp_path / "True") == contents(tmp_path / "False")
    held, _ = parse_scenario((tmp_path / "True" / HELD).read_bytes())
    assert scenario_sha256(held) == scenario_sha256(scenario)
