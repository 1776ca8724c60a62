"""Hold the compiled town to the slow one over very many random towns, on all processes given.

What `make soak` runs. Every seed is a random scenario, played as two towns through two episodes, with random
possible and impossible actions. After every tick, state, rewards, events and observations are compared, and
the invariants are checked.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from reference.compare import TOWN_EPISODES, compare_over_episodes

from townlet_core.cpus import available_cpus

CHUNK = 25  # seeds that a process plays before it reports


def main() -> int:
    """Play, tell how it goes, and return 1 after a difference."""
    options = arguments()
    if options.seed is not None:
        failure = first_failure([options.seed])
        return told(failure) if failure else say(f"seed {options.seed}: no difference")
    seeds = -(-options.episodes // TOWN_EPISODES)
    chunks = [range(first, min(first + CHUNK, seeds)) for first in range(0, seeds, CHUNK)]
    started, played = time.monotonic(), 0
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        waiting = {pool.submit(first_failure, chunk): chunk for chunk in chunks}
        for number, done in enumerate(as_completed(waiting), 1):
            if failure := done.result():
                pool.shutdown(wait=False, cancel_futures=True)
                return told(failure)
            played += len(waiting[done]) * TOWN_EPISODES
            if number % max(1, len(chunks) // 100) == 0:
                rate = played / (time.monotonic() - started)
                left = (seeds * TOWN_EPISODES - played) / rate / 60
                say(f"{played:,} town-episodes, {rate:.0f} per second, {left:.0f} minutes left")
    return say(f"{played:,} town-episodes of {seeds:,} random scenarios: no difference, no broken invariant")


def arguments() -> Namespace:
    parser = ArgumentParser(description="compare the compiled town with the slow one over random towns")
    parser.add_argument("--episodes", type=int, default=100_000, help="town-episodes to play at least")
    parser.add_argument("--processes", type=int, default=available_cpus(), help="how many play at once")
    parser.add_argument("--seed", type=int, help="play this seed only, to see a difference again")
    return parser.parse_args()


def first_failure(seeds: range | list[int]) -> tuple[int, str] | None:
    """Play these seeds; return the first one that fails, and how."""
    for seed in seeds:
        try:
            compare_over_episodes(seed)
        except Exception as failure:
            return seed, f"{type(failure).__name__}: {failure}"
    return None


def told(failure: tuple[int, str]) -> int:
    seed, story = failure
    print(f"{story}\nagain: python tests/soak.py --seed {seed}", file=sys.stderr)
    return 1


def say(line: str) -> int:
    print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
