"""`--seeds`: a run per seed, means with intervals over seeds, and the same command again goes on."""

import json
import shlex

import numpy as np
import pytest

from townlet_core.errors import InputError
from townlet_core.estimates import estimate_mean
from townlet_core.training import loop
from townlet_core.training.building import build_network
from townlet_core.training.reports import Reports
from townlet_core.training.seed_list import MAX_SEEDS, parse_seeds
from townlet_core.training.seeds import train_seeds
from townlet_core.training.settings import TrainingSettings

TRAIN = shlex.split(
    "train --mode rollout --cycles 2 --num-towns 2 --hidden-size 8 --rollout-ticks 10 --epochs 1 "
    "--eval-every 2 --eval-episodes 2 --seeds 3-5"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("several") / "set"


def test_means_and_intervals_are_those_of_the_runs_and_the_command_goes_on(townlet, folder):
    stopped = json.loads(townlet(*TRAIN, "--output", folder, "--max-seconds", 0, "--json")[1])
    assert (stopped["status"], [run["cycles"] for run in stopped["runs"]]) == ("interrupted", [1])
    assert stopped["estimates"] == {}
    code, stdout, stderr = townlet(*TRAIN, "--output", folder, "--json")
    found = json.loads(stdout)
    assert (code, found["status"], found["seeds"]) == (0, "finished", [3, 4, 5])
    assert [run["run"] for run in found["runs"]] == [str(folder / f"s{seed}") for seed in (3, 4, 5)]
    assert f"resuming {folder / 's3'} after cycle 1 of 2" in stderr
    assert "seed 4, 2 of 3" in stderr
    for name, estimate in found["estimates"].items():
        assert estimate == estimate_mean(np.array([run[name] for run in found["runs"]]))._asdict()
    last = [json.loads(line) for line in (folder / "s4" / "telemetry.jsonl").read_text().splitlines()][-1]
    assert found["runs"][1]["reward_mean"] == last["reward_mean"]
    assert found["runs"][1]["eval_return_mean"] == last["eval_return_mean"]
    assert len({run["weights_sha256"] for run in found["runs"]}) == 3


def test_the_table_has_a_row_per_seed_and_the_mean(townlet, folder):
    code, stdout, stderr = townlet(*TRAIN, "--output", folder)  # all are finished: nothing is trained
    assert code == 0
    assert "3 seeds of 3 finished" in stdout
    shown = stdout.partition("run of seed")[0].splitlines()
    labels = [label for line in shown[1:] if (label := line.partition("  ")[0])]
    assert labels == ["seed 3", "seed 4", "seed 5", "mean", "95 % interval"]
    assert max(map(len, shown)) <= 80
    assert f"run of seed 4: {folder / 's4'}" in stdout
    assert "cycle 2/2" not in stderr
    assert f"next: townlet evaluate {folder / 's3'} {folder / 's4'} {folder / 's5'} scripted" in stderr


def test_runs_with_other_settings_are_not_taken_for_those_of_the_set(townlet, folder):
    code, _, stderr = townlet(*TRAIN, "--gamma", 0.5, "--output", folder)
    assert code == 2
    assert "holds a run with other settings: gamma is 0.99, expected 0.5" in stderr


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-2", (0, 1, 2)), ("7,1", (7, 1)), (" 0, 3-4", (0, 3, 4)), ("5-5,6", (5, 6))]
)
def test_seeds_are_ranges_and_lists(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "3", "1,1", "0-", "4-2", "a-b", "-1", "0..4", f"0-{MAX_SEEDS}", "9" * 19 + ",1", "١-٣"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="--seeds"):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--seed", 1), "--seed and --seeds: expected one of them"),
        (("--ppo-log", "x.jsonl"), "ppo_log: one place cannot be that of several runs"),
    ],
)
def test_what_belongs_to_one_run_is_refused(townlet, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = townlet(*TRAIN, *flags)
    assert (code, list(tmp_path.iterdir())) == (2, [])
    assert message in stderr


def test_learners_of_recordings_have_no_reward_to_compare(tmp_path):
    settings = TrainingSettings(source="replay", cycles=1, hidden_size=8, capture_towns=1, num_epochs=1)
    found = train_seeds(settings, (0, 1), tmp_path, reports=Reports())
    assert (found.finals, found.estimates, found.is_finished) == ({0: {}, 1: {}}, {}, True)


@pytest.fixture
def failing(monkeypatch):
    """Let the networks of some seeds begin with a weight that is not a number."""

    def call(*seeds):
        def spoilt(settings, *data):
            network = build_network(settings, *data)
            if settings.seed in seeds:
                network.trunk.weight.data[0, 0] = np.nan
            return network

        monkeypatch.setattr(loop, "build_network", spoilt)

    return call


def test_a_seed_that_fails_does_not_stop_the_others(townlet, tmp_path, failing):
    failing(3)
    code, stdout, stderr = townlet(*TRAIN, "--output", tmp_path)
    assert (code, "2 seeds of 3 finished" in stdout, "run of seed 4" in stdout) == (4, True, True)
    assert "seed 4, 2 of 3" in stderr
    assert f"error: 1 seed of 3 failed: seed 3: {tmp_path / 's3'}: in cycle 1" in stderr
    assert "--max-seconds" not in stderr
    code, stdout, _ = townlet(*TRAIN, "--output", tmp_path, "--json")
    found = json.loads(stdout)
    assert (code, found["status"], [run["seed"] for run in found["runs"]]) == (4, "failed", [4, 5])
    assert [one["seed"] for one in found["failed"]] == [3]
    assert "in cycle 1" in found["failed"][0]["reason"]
    finals = np.array([run["reward_mean"] for run in found["runs"]])
    assert found["estimates"]["reward_mean"] == estimate_mean(finals)._asdict()


def test_a_set_in_which_every_seed_fails_says_so(townlet, tmp_path, failing):
    failing(3, 4, 5)
    code, stdout, stderr = townlet(*TRAIN, "--output", tmp_path)
    assert (code, stdout) == (4, "")
    assert "3 seeds of 3 failed: seed 3: " in stderr
