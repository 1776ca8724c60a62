"""Run the jobs of a study: train, evaluate, write the result. What is done is not done again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from townlet_core import io
from townlet_core.capture.rollout import scripted_policy
from townlet_core.errors import InputError, Interrupted
from townlet_core.estimates import Estimate
from townlet_core.evaluate import evaluate
from townlet_core.locks import lock_folder
from townlet_core.policy.loading import load_policy
from townlet_core.ppo.device import versions
from townlet_core.runs.reading import read_run_folder
from townlet_core.study.plan import Job
from townlet_core.study.results import read_result, result_path, write_result
from townlet_core.study.state import result_difference, run_difference, run_folder
from townlet_core.training.reports import Reports
from townlet_core.training.run_directory import is_run
from townlet_core.training.session import Listener, Session, resume, train

HINT = "change it back, choose another output: in the plan, or replace what is there with --force"
MOST = 3  # jobs in a message


def refuse_changed(jobs: Iterable[Job]) -> None:
    """Raise InputError if what is there of any of these jobs is of another plan or other versions."""
    changed = [f"job {job.number}, {job.text}: {why}" for job in jobs if (why := _difference(job))]
    if changed:
        more = f"; and {len(changed) - MOST} more" if len(changed) > MOST else ""
        raise InputError(f"results of another plan are in the way: {'; '.join(changed[:MOST])}{more}", HINT)


def run_job(
    job: Job,
    force: bool = False,
    *,
    reports: Reports | None = None,
    listener: Listener | None = None,
    after_episode: Callable[[], Any] = lambda: None,
) -> bool:
    """Train and evaluate, and write the result; whether that was needed.

    A run that was interrupted goes on, bit for bit; one that has been trained is only evaluated.
    force: replace what is there of another plan.
    Raises InputError if something is, BusyError if another process runs the job, and what `train` raises.
    """
    with lock_folder(job.folder):
        why = _difference(job)
        if why and not force:
            raise InputError(f"{job.folder}: holds results of another plan: {why}", HINT)
        if not why and read_result(job):
            return False
        io.remove(result_path(job))  # of another plan: after a kill it would be in the way again
        policy, trained = _policy_of(job, reports, listener)
        measures = evaluate(job.scenario, policy, job.episodes, job.evaluation_seed, after_episode)
        write_result(
            job,
            versions=_versions_of(job),
            behaviour=policy.behaviour,
            cycles=trained and trained.result.progress.cycle,
            env_steps=trained and trained.result.progress.env_steps,
            measures={name: _written(estimate) for name, estimate in measures.items()},
        )
        return True


def _difference(job: Job) -> str:
    """Say how what is there of a job differs from what it would do; empty if it does not."""
    try:
        result = read_result(job)
    except InputError as error:
        return str(error)
    if result:
        return result_difference(job, result, _versions_of(job))
    return _difference_of_run(job)


def _difference_of_run(job: Job) -> str:
    folder = run_folder(job)
    return run_difference(job, read_run_folder(folder), _versions_of(job)) if is_run(folder) else ""


def _policy_of(job: Job, reports: Reports | None, listener: Listener | None) -> tuple[Any, Session | None]:
    """Return the policy to evaluate: a script, or the network after training."""
    if job.settings is None:
        return scripted_policy(job.method, job.scenario), None
    folder = run_folder(job)
    is_other = bool(_difference_of_run(job))
    try:
        if is_run(folder) and not is_other:
            session = resume(folder, reports=reports, listener=listener)
        else:
            session = train(job.settings, folder, force=is_other, reports=reports, listener=listener)
    except Interrupted as error:
        error.hint = "every finished cycle is saved; the same command again goes on"
        raise
    return load_policy(folder, job.scenario, deterministic=job.deterministic), session


def _versions_of(job: Job) -> dict[str, str]:
    """Return the versions that decide the result of a job."""
    names = ["townlet", "numpy", *(["torch"] if job.settings else [])]
    return {name: versions()[name] for name in names}


def _written(estimate: Estimate) -> dict[str, float | None]:
    """Return an estimate as JSON has it: null where no episode defines the measure, or only one."""
    return {name: None if math.isnan(value) else value for name, value in estimate._asdict().items()}
