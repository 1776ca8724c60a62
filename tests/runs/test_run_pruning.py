"""Pruning runs: which go, that nothing else goes, and that no run in use does."""

import json
import os

import pytest

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.locks import lock_folder
from townlet_core.pruning import Rules
from townlet_core.runs.finding import find_runs
from townlet_core.runs.prune import plan_prune, prune
from townlet_core.training import run_directory

NOW = 1_700_000_000.0


@pytest.fixture
def shelf(make_run, tmp_path, set_age):
    """Four runs a, b, c and d, the oldest first, a day apart; c failed."""
    for days, name in enumerate("dcba", start=1):
        set_age(make_run(name, status="failed" if name == "c" else "finished"), days, NOW)
    return tmp_path


def plan_of(shelf, rules=Rules(keep=0), statuses=()):  # noqa: B008 - a tuple, which nobody changes
    return plan_prune([shelf], rules, statuses, NOW)


def going(plan):
    return "".join(one.run.folder.name for one in plan.going)


@pytest.mark.parametrize(
    ("rules", "statuses", "gone"),
    [
        (Rules(keep=1), (), "abc"),
        (Rules(older_than=2.5 * 86400), (), "ab"),
        (Rules(), ("failed",), "c"),
        (Rules(keep=1), ("finished",), "ab"),
        (Rules(older_than=5 * 86400), ("failed",), ""),
    ],
)
def test_which_runs_go(shelf, rules, statuses, gone):
    assert going(plan_of(shelf, rules, statuses)) == gone


def test_the_oldest_go_until_the_rest_fits(shelf):
    one = find_runs([shelf / "d"]).found[0].disk.total
    assert going(plan_of(shelf, Rules(max_bytes=int(2.5 * one)))) == "ab"


def test_without_a_rule_nothing_is_planned(shelf):
    with pytest.raises(InputError, match="needs a rule"):
        plan_of(shelf, Rules())


def test_a_plan_removes_nothing_and_pruning_removes_whole_runs(shelf):
    plan = plan_of(shelf, Rules(keep=2))
    assert len(find_runs([shelf]).found) == 4
    assert [reason for _, reason in prune(plan)] == ["", ""]
    assert sorted(path.name for path in shelf.iterdir()) == ["c", "d"]


def test_what_no_run_wrote_stays(shelf, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "model.pt"
    outside.write_bytes(b"x")
    (shelf / "a" / "notes.md").write_bytes(b"mine")
    (shelf / "a" / "link.pt").symlink_to(outside)
    (shelf / "not_a_run").mkdir()
    (shelf / "not_a_run" / "config.yaml").write_bytes(b"mine")
    list(prune(plan_of(shelf)))
    assert sorted(path.name for path in (shelf / "a").iterdir()) == [".lock", "link.pt", "notes.md"]
    assert sorted(path.name for path in shelf.iterdir()) == ["a", "not_a_run"]
    assert outside.exists()


def test_a_run_that_goes_on_is_never_touched(shelf):
    with lock_folder(shelf / "a"):
        plan = plan_of(shelf)
        assert going(plan) == "bcd"
        assert [(path.name, reason[:10]) for path, reason in plan.skipped] == [("a", "is running")]


def test_a_run_that_began_again_after_the_plan_stays(shelf):
    plan = plan_of(shelf, Rules(keep=3))
    with lock_folder(shelf / "a"):
        [(_, reason)] = prune(plan)
    assert "another process" in reason
    (shelf / "a" / "telemetry.jsonl").write_bytes(b"")
    assert [reason for _, reason in prune(plan)] == ["has changed since"]
    assert (shelf / "a" / "run.json").exists()


def test_a_dead_run_goes_with_its_half_written_files(shelf):
    path = shelf / "a" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "running"}))
    (shelf / "a" / ".run.json.0123abcd.tmp").write_bytes(b"{")
    plan = plan_of(shelf, Rules(), ("dead",))
    assert going(plan) == "a"
    assert [reason for _, reason in prune(plan)] == [""]
    assert not (shelf / "a").exists()


def test_recordings_that_a_run_which_stays_was_given_stay(shelf):
    """Run b learns from a's recordings, and d from b's: with d stay b and a."""
    for user, given in (("b", "a"), ("d", "b")):
        path = shelf / user / "run.json"
        content = json.loads(path.read_text())
        manifest = shelf / given / "samples" / "rollout_sample_manifest.json"
        content["settings"]["training"]["replay_manifest"] = [str(manifest)]
        before = path.stat().st_mtime
        path.write_text(json.dumps(content))
        os.utime(path, (before, before))
    plan = plan_of(shelf, Rules(keep=1))
    assert going(plan) == "c"
    assert {path.name: reason[-2:] for path, reason in plan.skipped} == {"a": "/b", "b": "/d"}


def test_a_link_with_the_name_of_a_run_file_stops_the_removal(shelf):
    (shelf / "a" / "samples" / "rollout_sample_x_001.npz").symlink_to(shelf / "b")
    [(_, reason)] = prune(plan_of(shelf, Rules(keep=3)))
    assert "is a link" in reason
    assert (shelf / "a" / "run.json").exists()


def test_a_removal_that_was_killed_is_finished_by_the_next(shelf, monkeypatch):
    removed = []

    def fail_late(path):
        removed.append(path)
        if len(removed) > 3:
            raise KeyboardInterrupt
        remove(path)

    remove = io.remove
    with monkeypatch.context() as patched:
        patched.setattr(run_directory.io, "remove", fail_late)
        with pytest.raises(KeyboardInterrupt):
            list(prune(plan_of(shelf, Rules(keep=3))))
    plan = plan_of(shelf, Rules(keep=3))
    assert (going(plan), [path.name for path in plan.remains]) == ("", ["a"])
    assert [reason for _, reason in prune(plan)] == [""]
    assert not (shelf / "a").exists()
