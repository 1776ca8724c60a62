"""`--config RUN/config.yaml` repeats a run: the same weights, from its own copy of the scenario."""

import json
import shlex
from pathlib import Path

import pytest

from townlet_core.scenario.catalogue import bundled_scenarios

SMALL = shlex.split("--num-towns 2 --rollout-ticks 10 --hidden-size 8 --epochs 2 -q --json")


def weights_of(told):
    assert told[0] == 0, told[2]
    return json.loads(told[1])["weights_sha256"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("town.yaml").write_text(bundled_scenarios()["queue_conflict"].read_text())
    return tmp_path


def test_a_run_is_repeated_with_the_same_weights_after_its_scenario_has_changed(townlet, here):
    given = shlex.split("--mode rollout --cycles 2 --seed 3 --ppo-log runs/a/own.jsonl --output runs/a")
    first = weights_of(townlet("train", "town.yaml", *given, *SMALL))
    Path("town.yaml").write_text(bundled_scenarios()["kitchen_breakfast"].read_text())
    Path("townlet.toml").write_text("[training]\nseed = 9\n")
    _, stdout, stderr = townlet(
        "train", "--config", "runs/a/config.yaml", "--output", "runs/b", "--json", "-q"
    )
    assert json.loads(stdout)["weights_sha256"] == first
    assert "its own copy is used" in stderr
    assert Path("runs/b/telemetry.jsonl").exists()  # the log's place inside the first run is not taken


def test_given_recordings_inside_a_run_are_found_and_changed_ones_refused(townlet, here):
    weights_of(
        townlet(
            "train",
            "--mode",
            "replay",
            "--cycles",
            1,
            "--capture-towns",
            1,
            "--output",
            "a",
            "--json",
            *SMALL,
        )
    )
    manifest = "a/samples/rollout_sample_manifest.json"
    given = ("--mode", "replay", "--replay-manifest", manifest, "--cycles", 1)
    first = weights_of(townlet("train", *given, "--output", "b", *SMALL))
    again = ("train", "--config", "b/config.yaml", "--json", "-q", "--output")
    assert weights_of(townlet(*again, "c")) == first
    Path(manifest).write_text(Path(manifest).read_text() + "\n")
    code, _, stderr = townlet(*again, "d")
    assert (code, Path("d").exists()) == (2, False)
    assert "the recordings have changed since the run began" in stderr


def test_a_run_that_was_resumed_says_how_many_cycles_repeat_it(townlet, here):
    weights_of(townlet("train", "--mode", "rollout", "--cycles", 1, "--output", "a", *SMALL))
    resumed = weights_of(townlet("train", "--resume", "a", "--cycles", 2, "--json", "-q"))
    again = ("train", "--config", "a/config.yaml", "--json", "-q", "--cycles")
    _, _, stderr = townlet(*again, 1, "--output", "b")
    assert "says 1 cycle, and the run was resumed to 2: --cycles 2 repeats all of them" in stderr
    assert weights_of(townlet(*again, 2, "--output", "c")) == resumed
