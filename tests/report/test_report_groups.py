"""Runs that differ in their seed alone are one group; others are told apart by what differs."""

import shutil

import pytest

from townlet_core.errors import InputError
from townlet_core.report.figures import FIELDS
from townlet_core.report.groups import differences, group_runs
from townlet_core.report.run import find_runs, read_a_run
from townlet_core.runs.grouping import show_setting


@pytest.fixture
def read(runs):
    """Read runs by name."""
    return lambda *names: [read_a_run(runs / name, FIELDS) for name in names]


def test_seeds_form_one_group_and_the_learning_rate_another(read):
    groups = group_runs(read("s0", "fast", "s1"))
    assert [[run.name for run in group.runs] for group in groups] == [["s0", "s1"], ["fast"]]
    assert [group.label for group in groups] == ["learning_rate 0.0003, 2 seeds", "learning_rate 0.01"]
    assert [tuple(row) for row in differences(groups)] == [("learning_rate", ("0.0003", "0.01"))]


def test_a_run_alone_is_named_by_its_folder_and_differs_from_nothing(read):
    (group,) = group_runs(read("s1"))
    assert (group.label, group.scenario, differences([group])) == ("s1", "queue_conflict", [])


def test_the_same_seed_again_is_a_group_of_its_own(read, runs, tmp_path):
    shutil.copytree(runs / "s0", tmp_path / "again")
    groups = group_runs([*read("s0"), read_a_run(tmp_path / "again", FIELDS)])
    assert [group.label for group in groups] == ["s0", "again"]


def test_a_log_alone_has_no_settings_and_stands_alone(read, runs):
    log = read_a_run(runs / "s1" / "telemetry.jsonl", FIELDS)
    assert (log.settings, log.best, log.seed, log.scenario) == ({}, None, 1, "queue_conflict")
    assert log.name.startswith("s1-")  # its run's id
    assert len(group_runs([*read("s0"), log])) == 2


def test_a_run_says_how_far_it_came_and_which_checkpoint_is_best(read):
    (run,) = read("s0")
    assert (run.stored.cycles_done, run.stored.env_steps) == (3, 3 * 3 * 3 * 80)
    assert run.best.cycle in (0, 1, 2)
    assert run.best.env_steps == run.best.cycle * 720
    rewards = run.log.curve("reward_mean", "rollout", "env_steps").mean
    assert run.stored.best_reward == max(rewards) == rewards[run.best.cycle]


def test_a_damaged_best_checkpoint_is_left_out(runs, tmp_path):
    shutil.copytree(runs / "s0", tmp_path / "s0")
    (tmp_path / "s0" / "checkpoints" / "best.json").write_text("{}")
    assert read_a_run(tmp_path / "s0", FIELDS).best is None


def test_a_folder_of_runs_stands_for_them(runs):
    assert find_runs([runs]) == [runs / "fast", runs / "s0", runs / "s1"]
    with pytest.raises(InputError, match="named twice"):
        find_runs([runs, runs / "s0"])
    with pytest.raises(InputError, match="is a folder without a run"):
        find_runs([runs / "s0" / "samples"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ([], "none"),
        (["/a/b.json", "c"], "b.json, c"),
        (0.01, "0.01"),
        ("x", "x"),
    ],
)
def test_a_setting_is_shown_as_in_a_configuration_file(value, text):
    assert show_setting(value) == text
