"""`townlet study`: what it prints, its exit codes, and jobs that fail or that others run."""

import json

import pytest
from study.small_study import plan_in

from townlet_core.errors import RunFailed
from townlet_core.evaluate import evaluate
from townlet_core.locks import lock_folder
from townlet_core.study import run


@pytest.fixture
def plan(tmp_path):
    return plan_in(tmp_path)


@pytest.fixture
def study(townlet, tmp_path, plan):
    """Run `townlet study` on the plan."""
    return lambda *words: townlet("study", tmp_path / "plan.yaml", *words)


def state_of(document):
    return [job["state"] for job in json.loads(document)["jobs"]]


def test_a_job_that_fails_and_one_that_another_process_runs_stop_no_other(study, plan, monkeypatch):
    def fail(*arguments, **options):
        raise RunFailed("the loss is nan")

    monkeypatch.setattr(run, "train", fail)
    with lock_folder(plan.jobs[0].folder):
        code, out, talk = study("--run", "all", "--json")
        assert (code, state_of(out)) == (4, ["running", "failed", "done"])
        assert "warning: job 2: the loss is nan" in talk
        assert f"\njob 1: {plan.jobs[0].folder}: another process is writing here (pid " in talk
        code, out, talk = study("--run", "1,3")
        assert (code, out.splitlines()[1]) == (73, "job 3  queue_conflict scripted: skipped")
        code, out, _ = study("--status", "--json")
        assert (code, state_of(out)) == (1, ["running", "missing", "done"])
    code, out, talk = study("--status")
    assert (code, out.splitlines()[-1]) == (1, "1 of 3 jobs done")
    assert "next: townlet study " in talk


def test_a_job_that_another_process_has_finished_meanwhile_is_done(study, plan, monkeypatch):
    lock = lock_folder(plan.jobs[2].folder)
    lock.__enter__()

    def evaluate_and_leave(*arguments):
        lock.__exit__(None, None, None)
        return evaluate(*arguments)

    monkeypatch.setattr(run, "evaluate", evaluate_and_leave)
    code, out, _ = study("--run", "3,1", "--json")
    assert (code, state_of(out)) == (0, ["done", "done"])


def test_jobs_are_numbered_for_machines(study, plan):
    code, out, _ = study("--list", "--json")
    found = json.loads(out)
    assert (code, found["schema"], found["study"]) == (0, "townlet.study/1", "small")
    assert found["jobs"][1] == {
        "number": 2,
        "scenario": "queue_conflict",
        "method": "base",
        "seed": 1,
        "folder": str(plan.jobs[1].folder),
    }


def test_a_changed_plan_is_refused_before_anything_is_run(study, tmp_path):
    assert study("--run", "3")[0] == 0
    plan_in(tmp_path, evaluate={"episodes": 3, "against": ["scripted"]})
    code, out, talk = study("--run", "all")
    assert (code, out) == (2, "")
    assert "job 3, queue_conflict scripted: evaluate_episodes was 2, and is 3 now" in talk
    assert "--force" in talk
    assert study("--run", "3", "--force")[1] == "job 3  queue_conflict scripted: done\n"


def test_a_table_of_a_part_says_so(study):
    code, out, talk = study("--merge", "--partial")
    assert (code, out) == (2, "")
    assert "3 of 3 jobs are not done: job 1 is missing" in talk
    assert study("--run", "3")[0] == 0
    code, out, talk = study("--merge", "--partial")
    assert (code, out.splitlines()[1]) == (0, "not done, and left out: 2 jobs")
    assert "warning: 2 jobs of 3 are not done, and left out" in talk


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "found none of --list, --run, --status, --merge; expected one of them"),
        ("--list --status", "found --list and --status of --list, "),
        ("--run 1 --partial", "--partial is for --merge, and --run was given"),
        ("--merge --force", "--force is for --run, and --merge was given"),
        ("--run 0", "--run 0: the plan has 3 jobs"),
        ("--run 2-4", "--run 4: the plan has 3 jobs"),
        ("--run al", "--run 'al': expected jobs such as 1-4 or 1,3,7-9, or all"),
        ("--run 3-1", "--run '3-1': expected at most 10,000 jobs, the lowest first"),
    ],
)
def test_what_does_not_go_together_is_refused_and_leaves_nothing(study, words, said, tmp_path):
    code, out, talk = study(*words.split())
    assert (code, out, said in talk) == (2, "", True), talk
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]
