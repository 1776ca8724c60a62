"""Pruning: which captures go, that they go whole, and what is never touched."""

import json
import os
import shutil
import time

import pytest

from townlet_core import io
from townlet_core.errors import InputError, MissingError
from townlet_core.handling.filter import filter_samples
from townlet_core.handling.prune import plan_prune, prune
from townlet_core.handling.refer import save_selection
from townlet_core.handling.sources import open_sources
from townlet_core.locks import lock_folder
from townlet_core.pruning import Rules

NOW = 1_000_000.0


@pytest.fixture(params=["npz", "arrow"])
def shelf(request, captures, tmp_path):
    """Three captures a, b and c, the oldest first, a day apart."""
    folder = tmp_path / "shelf"
    for days, name in enumerate("cba", start=1):
        shutil.copytree(captures / request.param, folder / name)
        when = NOW - days * 86400
        os.utime(folder / name / "rollout_sample_manifest.json", (when, when))
    return folder


def names(captures):
    return [capture.manifest.parent.name for capture in captures]


@pytest.mark.parametrize(
    ("rules", "going"),
    [
        (Rules(keep=3), []),
        (Rules(keep=1), ["a", "b"]),
        (Rules(keep=0), ["a", "b", "c"]),
        (Rules(older_than=1.5 * 86400), ["a", "b"]),
        (Rules(older_than=2.5 * 86400), ["a"]),
        (Rules(keep=2, older_than=86400 / 2), ["a", "b", "c"]),
    ],
)
def test_the_oldest_captures_go(shelf, rules, going):
    plan = plan_prune(shelf, rules, NOW)
    assert names(plan.going) == going
    assert sorted(names(plan.going) + names(plan.staying)) == ["a", "b", "c"]


def test_the_newest_stay_that_fit_into_the_bytes(shelf):
    (size,) = {capture.bytes for capture in plan_prune(shelf, Rules(keep=9), NOW).staying}
    assert size == sum(file.stat().st_size for file in (shelf / "a").iterdir())
    assert names(plan_prune(shelf, Rules(max_bytes=2 * size), NOW).going) == ["a"]
    assert names(plan_prune(shelf, Rules(max_bytes=2 * size - 1), NOW).going) == ["a", "b"]


def test_a_plan_removes_nothing_and_prune_removes_what_it_says(shelf):
    plan = plan_prune(shelf, Rules(keep=1), NOW)
    assert sorted(os.listdir(shelf)) == ["a", "b", "c"]
    assert [reason for _, reason in prune(plan, shelf)] == ["", ""]
    assert os.listdir(shelf) == ["c"]


def test_files_that_no_capture_owns_stay(shelf):
    (shelf / "a" / "notes.txt").write_text("mine")
    (shelf / "a" / "rollout_sample_of_mine.npz").write_bytes(b"no sample")
    (shelf / "a" / "rollout_sample_anna_001.txt").write_text("about anna")
    (shelf / "a" / "rollout_sample_00001.json").write_text("{}")
    mine = [
        "notes.txt",
        "rollout_sample_00001.json",
        "rollout_sample_anna_001.txt",
        "rollout_sample_of_mine.npz",
    ]
    plan = plan_prune(shelf, Rules(keep=2), NOW)
    assert not {path.name for path in plan.going[0].files} & set(mine)
    assert [reason for _, reason in prune(plan, shelf)] == [""]
    assert sorted(os.listdir(shelf / "a")) == [".lock", *mine]


def test_selections_go_with_their_capture_and_before_it(shelf, monkeypatch):
    chosen = filter_samples(open_sources([shelf / "a"]), agents=["ben"])
    save_selection(shelf / "a" / "ben_manifest.json", chosen, {})
    save_selection(shelf / "above_manifest.json", chosen, {})
    (capture,) = plan_prune(shelf, Rules(keep=2), NOW).going
    assert sorted(path.name for path in capture.selections) == ["above_manifest.json", "ben_manifest.json"]
    removed = []
    real = io.remove
    monkeypatch.setattr(io, "remove", lambda path: (removed.append(path.name), real(path)))
    list(prune(plan_prune(shelf, Rules(keep=2), NOW), shelf))
    assert sorted(removed[:2]) == ["above_manifest.json", "ben_manifest.json"]
    assert removed[2] == "rollout_sample_manifest.json"
    assert sorted(os.listdir(shelf)) == ["b", "c"]


def test_nothing_of_a_run_goes(shelf):
    (shelf / "run").mkdir()
    (shelf / "run" / "run.json").write_text("{}")
    shutil.move(shelf / "a", shelf / "run" / "samples")
    for root in (shelf, shelf / "run", shelf / "run" / "samples"):
        plan = plan_prune(root, Rules(keep=0), NOW)
        assert "samples" not in names(plan.going)
        assert [reason for _, reason in plan.skipped] == [f"is of the run {(shelf / 'run').resolve()}"]


def test_a_manifest_that_lists_what_is_not_of_its_capture_is_not_believed(shelf):
    manifest = shelf / "a" / "rollout_sample_manifest.json"
    content = json.loads(manifest.read_text())
    key = "samples" if "samples" in content else "shards"
    stranger = (
        {"sample": "thesis.npz", "meta": "thesis.json"}
        if key == "samples"
        else {"shard": "thesis.arrow", "samples": "x.arrow"}
    )
    content[key].append(stranger)
    manifest.write_text(json.dumps(content))
    for file in ("thesis.npz", "thesis.json", "thesis.arrow", "x.arrow"):
        (shelf / "a" / file).write_text("years of work")
    plan = plan_prune(shelf, Rules(keep=0), NOW)
    assert names(plan.going) == ["b", "c"]
    ((path, reason),) = plan.skipped
    assert path == manifest
    assert reason.startswith("lists thesis.")


def test_a_capture_that_is_being_written_or_has_changed_stays(shelf):
    plan = plan_prune(shelf, Rules(keep=1), NOW)
    (shelf / "b" / "rollout_sample_events.jsonl").unlink()
    pid = os.fork()
    if pid == 0:  # hold the lock in another process
        with lock_folder(shelf / "a"):
            time.sleep(1.5)
        os._exit(0)
    time.sleep(0.5)
    reasons = [reason for _, reason in prune(plan, shelf)]
    os.waitpid(pid, 0)
    assert "another process is writing here" in reasons[0]
    assert reasons[1] == "has changed since"
    assert sorted(os.listdir(shelf)) == ["a", "b", "c"]


def test_a_rule_and_a_folder_are_needed(shelf):
    with pytest.raises(InputError, match="needs a rule"):
        plan_prune(shelf, Rules(), NOW)
    with pytest.raises(MissingError, match="no such folder"):
        plan_prune(shelf / "nothing", Rules(keep=1), NOW)
