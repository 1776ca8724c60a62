"""A process of a run that `benchmarks.scaling` measures: `python -m benchmarks.ranks TOWNS TICKS CYCLES`."""

from __future__ import annotations

import json
import resource
import sys
from statistics import median
from time import perf_counter
from typing import NamedTuple

from benchmarks.town import AGENTS, make_town
from townlet_core.policy.learned import network_for
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.processes import joined
from townlet_core.ppo.shards import ONE, Shards
from townlet_core.ppo.statistics import statistics_columns
from townlet_core.ppo.update import make_optimizer, update_policy
from townlet_core.training.advantage_targets import rollout_batch
from townlet_core.training.epoch_record import played
from townlet_core.training.rollout import Rollout
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest

SHARDS = 2


class Workload(NamedTuple):
    """How much a run plays."""

    towns: int
    ticks: int
    cycles: int


def main() -> None:
    """Train, and let the first process print its medians as JSON."""
    work = Workload(*map(int, sys.argv[1:]))
    scenario = make_town()
    settings = TrainingSettings(
        source="rollout", num_towns=work.towns, rollout_ticks=work.ticks, shards=SHARDS, device="cpu"
    )
    with joined() as processes:
        shards = Shards(settings.shards, processes)
        network = ActorCritic(network_for(scenario), seed=0)
        optimizer = make_optimizer(network, settings.learning_rate)
        rollout = Rollout(scenario, settings, shards)
        policy, config = rollout.policy(network, settings.precision), settings.ppo
        rollouts, cycles = [], []
        with shards.at_work():
            for cycle in range(work.cycles):
                began = perf_counter()
                rollout.play(policy, StopRequest())
                rollouts.append(perf_counter() - began)
                parts = [rollout_batch(frames, config) for frames in rollout.parts()]
                update_policy(
                    network, optimizer, parts, config, (cycle,), settings.learning_rate, shards=shards
                )
                cycles.append(perf_counter() - began)
        if shards.is_first:
            steps, size = work.towns * work.ticks * AGENTS, processes.size if processes else 1
            # Slices of the gradients of all shards, and the sums of the others' slices.
            received = network.config.parameter_count * 4 * (SHARDS / size + 1) * (size - 1) / size
            columns = (*played(rollout.frames, rollout.towns.feature_names, ONE), statistics_columns(parts))
            transitions = sum(len(part.actions) for part in parts)
            told = {
                "rollout": steps / median(rollouts[1:]),
                "cycle": steps / median(cycles[1:]),
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "received": received / 1e6,
                "gradient": network.config.parameter_count * 4,
                "minibatches": config.num_epochs * config.num_mini_batches,
                "transitions": transitions,
                "columns": sum(column.nbytes for column in columns) / transitions,
            }
            print(json.dumps(told))


if __name__ == "__main__":
    main()
