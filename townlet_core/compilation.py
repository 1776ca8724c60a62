"""Compile every kernel ahead of its first use: once per version, for an image or a cache that is shared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from typing import NamedTuple

import numpy as np

from townlet_core.capture.rollout import Policy
from townlet_core.cpus import available_cpus
from townlet_core.errors import RunFailed
from townlet_core.kernels import tell_compiled
from townlet_core.policy.learned import LearnedPolicy, network_for
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.ppo.advantages import vtrace
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.update import make_optimizer, update_policy
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import MANY_TOWNS, Towns
from townlet_core.training.advantage_targets import rollout_batch
from townlet_core.training.rollout import Rollout
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest

SCENARIO = load_scenario("queue_conflict")  # any that has an object: no kernel depends on the scenario
FEW, TICKS = 1, 2
MAP_TYPES = (np.float32, np.uint8)
POLL_SECONDS = 0.1


class Compiled(NamedTuple):
    """A kernel that was compiled for some types of arguments."""

    kernel: str
    seconds: float


def compile_kernels(tell: Callable[[Compiled], object] = lambda compiled: None) -> list[Compiled]:
    """Compile all kernels that are not in the cache, in processes side by side; return those that were not.

    tell: is called with each when it is compiled.
    Raises RunFailed if a process dies.
    """
    done: list[Compiled] = []
    try:
        for compiled in _run_jobs():
            tell(compiled)
            done.append(compiled)
    except BrokenProcessPool as error:
        raise RunFailed(
            "a process that compiles died: it was killed, or could not start",
            "compile again, with about 1 GB of free memory; finished kernels are kept",
        ) from error
    return done


def _run_jobs() -> Iterator[Compiled]:
    """Run what every job needs, then each job in a process, which prepares the rules of its kernels once."""
    context = get_context("spawn")  # a forked process has no threads, and would compile for few towns only
    queue: SimpleQueue[Compiled] = context.SimpleQueue()
    workers = min(len(JOBS), available_cpus())
    with ProcessPoolExecutor(workers, context, _begin, (queue,)) as pool:
        for jobs in ((_restart,), JOBS):
            waiting: set[Future[None]] = {pool.submit(job) for job in jobs}
            while waiting:
                ended, waiting = wait(waiting, POLL_SECONDS)
                for job in ended:
                    job.result()
                while not queue.empty():
                    yield queue.get()


def _begin(queue: SimpleQueue[Compiled]) -> None:
    tell_compiled(lambda kernel, seconds: queue.put(Compiled(kernel, seconds)))


def _restart() -> None:
    """Begin an episode, as every job does."""
    Towns(SCENARIO, FEW)


def _play() -> None:
    """Play ticks, serially and in parallel."""
    for num_towns in (FEW, MANY_TOWNS):
        towns = Towns(SCENARIO, num_towns)
        towns.step(np.zeros(towns.state.agents.shape, np.int64))


def _observe_and_learn() -> None:
    """Observe into every type of map, decide, and train a network on a tick or two."""
    for num_towns in (FEW, MANY_TOWNS):
        towns = Towns(SCENARIO, num_towns)
        for map_type in MAP_TYPES:
            towns.observe(towns.empty_observations(map_type))
    network = ActorCritic(network_for(SCENARIO), seed=0)
    policies: tuple[Policy, ...] = (ScriptedPolicy(SCENARIO), LearnedPolicy(network))
    settings = TrainingSettings(num_towns=FEW, rollout_ticks=TICKS, num_mini_batches=1, device="cpu")
    for policy in policies:
        rollout = Rollout(SCENARIO, settings)
        rollout.play(policy, StopRequest())
    optimizer = make_optimizer(network, settings.learning_rate)
    batch = rollout_batch(rollout.frames, settings.ppo)
    update_policy(network, optimizer, [batch], settings.ppo, (0,), settings.learning_rate)
    rewards, dones = np.zeros((TICKS, 1), np.float32), np.zeros((TICKS, 1), bool)
    vtrace(rewards, rewards, np.zeros((TICKS + 1, 1), np.float32), dones, settings.gamma)


JOBS: tuple[Callable[[], None], ...] = (_play, _observe_and_learn)
