"""Jobs of a study: resumed after a kill, done once, by one process, and again only where the plan changed."""

import json
import os
import random
import shutil
import signal

import pytest
from dying import die_at_disk_call
from study.small_study import JOBS, SMALL, plan_in

from townlet_core import io
from townlet_core.errors import BusyError, InputError
from townlet_core.study import run, table
from townlet_core.study.results import result_path
from townlet_core.study.run import refuse_changed, run_job
from townlet_core.study.state import look_at, run_folder
from townlet_core.study.table import FILES, merge, write_table
from townlet_core.training.reports import Reports
from townlet_core.training.run_json import read_run, write_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a study that nobody disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    for job in plan_in(folder).jobs:
        assert run_job(job)
    return folder


@pytest.fixture
def done(finished, tmp_path):
    """A copy of it."""
    shutil.copytree(finished, tmp_path / "done")
    return tmp_path / "done"


def states(plan):
    return [look_at(job).state for job in plan.jobs]


def results_of(folder):
    return [result_path(job).read_bytes() for job in plan_in(folder).jobs]


def tables_of(plan):
    write_table(plan.folder, merge(plan))
    return [(plan.folder / name).read_bytes() for name in FILES]


def test_a_job_that_is_done_is_not_run_again(done):
    plan, before = plan_in(done), results_of(done)
    assert states(plan) == ["done"] * JOBS
    assert [run_job(job) for job in plan.jobs] == [False] * JOBS
    assert [run_job(job, force=True) for job in plan.jobs] == [False] * JOBS
    assert results_of(done) == before


def test_the_order_of_the_jobs_changes_no_byte(finished, tmp_path):
    plan = plan_in(tmp_path)
    jobs = list(plan.jobs)
    random.Random(2).shuffle(jobs)
    assert jobs != plan.jobs
    for job in jobs:
        run_job(job)
    assert results_of(tmp_path) == results_of(finished)
    assert tables_of(plan) == tables_of(plan_in(finished))


def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def killed(work):
    """Do something in a child, which is killed by it."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("after", ["cycle", "training"])
def test_a_job_that_is_killed_goes_on_and_ends_with_the_same_bytes(finished, after, tmp_path):
    job = plan_in(tmp_path).jobs[0]

    def work():
        if after == "training":
            run.evaluate = die
        run_job(job, reports=Reports(cycle=die) if after == "cycle" else None)

    killed(work)
    standing = look_at(job)
    assert (standing.state, standing.cycles_done) == ("interrupted", 1 if after == "cycle" else 2)
    began = read_run(run_folder(job)).run_id
    assert run_job(job)
    assert read_run(run_folder(job)).run_id == began
    assert result_path(job).read_bytes() == results_of(finished)[0]


def test_a_job_that_is_killed_at_any_call_to_the_disk_is_done_or_not(finished, tmp_path):
    def dying(fatal, job):
        die_at_disk_call(fatal)
        run_job(job)
        os._exit(0)

    for fatal in range(1, 40):
        job = plan_in(tmp_path / f"{fatal}").jobs[2]
        child = os.fork() or dying(fatal, job)
        is_killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        is_done = look_at(job).state == "done"
        assert is_done or is_killed
        assert run_job(job) != is_done
        assert result_path(job).read_bytes() == results_of(finished)[2]
        assert sorted(path.name for path in job.folder.iterdir()) == [".lock", "result.json"]
        if not is_killed:
            break
    assert 5 < fatal < 39


def test_the_second_of_two_workers_on_a_job_is_refused_and_leaves_the_first_alone(finished, tmp_path):
    job, seen = plan_in(tmp_path).jobs[0], []

    def work_as_well(end):
        with pytest.raises(BusyError, match=f"another process is writing here \\(pid {os.getpid()}"):
            run_job(job, force=True)
        standing = look_at(job)
        seen.append((standing.state, standing.cycles_done, f"pid {os.getpid()}" in standing.reason))

    assert run_job(job, reports=Reports(cycle=work_as_well))
    assert seen == [("running", 1, True), ("running", 2, True)]
    assert result_path(job).read_bytes() == results_of(finished)[0]


def test_a_changed_plan_does_again_only_what_it_changes_and_only_with_force(done):
    before = results_of(done)
    plan = plan_in(done, methods={"base": {"ppo": {"gamma": 0.5}}}, seeds="0-2")
    assert states(plan) == ["changed", "changed", "missing", "done"]
    with pytest.raises(
        InputError, match=r"job 1, queue_conflict base seed 0: gamma was 0\.99, and is 0\.5 now"
    ):
        refuse_changed(plan.jobs)
    with pytest.raises(InputError, match=r"gamma was 0\.99, and is 0\.5 now") as caught:
        run_job(plan.jobs[0])
    assert caught.value.hint.endswith("with --force")
    assert results_of(done) == before
    assert run_job(plan.jobs[0], force=True)
    assert states(plan) == ["done", "changed", "missing", "done"]
    assert result_path(plan.jobs[0]).read_bytes() != before[0]
    assert run_job(plan_in(done).jobs[0], force=True)
    assert results_of(done) == before


def test_a_job_that_was_killed_while_it_replaced_another_needs_force_only_once(done):
    job = plan_in(done, methods={"base": {"training": {"cycles": 3}}}).jobs[0]
    assert look_at(job).state == "changed"
    killed(lambda: run_job(job, force=True, reports=Reports(cycle=die)))
    assert (look_at(job).state, look_at(job).cycles_done) == ("interrupted", 1)
    assert run_job(job)
    assert look_at(job).result.cycles == 3


def test_other_episodes_are_played_by_the_weights_that_are_there(done):
    evaluate = {**SMALL["evaluate"], "episodes": 3}
    job = plan_in(done, evaluate=evaluate).jobs[0]
    trained = read_run(run_folder(job))
    with pytest.raises(InputError, match="evaluate_episodes was 2, and is 3 now"):
        run_job(job)
    assert run_job(job, force=True)
    assert read_run(run_folder(job)).run_id == trained.run_id
    assert look_at(job).state == "done"


def test_a_run_of_another_plan_without_a_result_is_in_the_way_as_well(done):
    job = plan_in(done, methods={"base": {"training": {"cycles": 1}}}).jobs[0]
    io.remove(result_path(job))
    assert (look_at(job).state, look_at(job).reason) == ("changed", "cycles was 2, and is 1 now")
    with pytest.raises(InputError, match="cycles was 2, and is 1 now"):
        run_job(job)
    assert run_job(job, force=True)
    assert look_at(job).cycles_done == 1


def test_results_of_other_versions_are_neither_taken_for_ours_nor_mixed(done, monkeypatch):
    plan = plan_in(done)
    ours = run.versions()
    monkeypatch.setattr(run, "versions", lambda: ours | {"numpy": "9.9"})
    with pytest.raises(InputError, match=r"versions.numpy was '[\d.]+', and is '9.9' now"):
        run_job(plan.jobs[0])
    assert run_job(plan.jobs[2], force=True)
    assert states(plan) == ["done"] * JOBS
    with pytest.raises(
        InputError, match=r"jobs 1 and 3 were run with different versions: numpy [\d.]+ and 9"
    ):
        merge(plan)


def test_a_damaged_result_is_refused_until_forced(done):
    job, path = plan_in(done).jobs[0], result_path(plan_in(done).jobs[0])
    whole = path.read_bytes()
    found = json.loads(whole)
    found["measures"]["return"]["mean"] += 1
    for data in (b"", whole[:-9], b"{}", b"[" * 900 + b"]" * 900, json.dumps(found).encode()):
        path.write_bytes(data)
        assert look_at(job).state == "changed"
        with pytest.raises(InputError, match=r"result\.json"):
            run_job(job)
    assert run_job(job, force=True)
    assert path.read_bytes() == whole


def test_a_run_that_failed_is_told_as_such(done):
    job = plan_in(done).jobs[1]
    io.remove(result_path(job))
    folder = run_folder(job)
    write_run(folder, read_run(folder).model_copy(update={"status": "failed", "reason": "RunFailed: nan"}))
    assert (look_at(job).state, look_at(job).reason) == ("failed", "RunFailed: nan")


def test_a_table_is_of_all_jobs_or_says_what_is_left_out(done):
    plan = plan_in(done)
    whole = merge(plan)
    io.remove(result_path(plan.jobs[1]))
    with pytest.raises(InputError, match="1 of 3 jobs are not done: job 2 is interrupted") as caught:
        merge(plan)
    assert "--run 2 runs them" in caught.value.hint
    part = merge(plan, partial=True)
    assert (whole.missing, part.missing) == ([], [2])
    assert (part.rows[0].number, part.rows[0].measures["return"].low) == (1, None)
    assert part.rows[1] == whole.rows[1]
    with pytest.raises(InputError, match="3 of 3 jobs are not done"):
        merge(plan_in(done, output="other"), partial=True)


def test_a_measure_that_nothing_defines_is_left_empty(done):
    found = merge(plan_in(done))
    *rows, script = found.rows
    nothing = table.Mean(None, None, None)
    undefined = script._replace(measures={**script.measures, "return": nothing, "conflicts": nothing})
    changed = found._replace(rows=[*rows, undefined])
    assert f"{script.method},return,episodes,2,,,,," in table.as_csv(changed)
    assert table.as_text(changed).count("–") == 2
    assert table.as_json(changed)["rows"][-1]["measures"]["return"] == nothing._asdict()


def test_means_are_over_seeds_and_a_scripts_over_episodes(done):
    base, script = merge(plan_in(done)).rows
    values = [values["return"] for values in base.by_seed.values()]
    assert (base.over, base.number, list(base.by_seed)) == ("seeds", 2, [0, 1])
    assert base.measures["return"].mean == sum(values) / 2
    half = 12.7062047 * abs(values[0] - values[1]) / 2  # t of one degree of freedom
    assert base.measures["return"].high == pytest.approx(base.measures["return"].mean + half)
    assert (script.over, script.number, script.by_seed) == ("episodes", 2, {})
    text = table.as_csv(merge(plan_in(done))).splitlines()
    assert text[0] == "scenario,method,measure,over,number,mean,low,high,seed_0,seed_1"
    assert text[1].endswith(f",{values[0]},{values[1]}")
