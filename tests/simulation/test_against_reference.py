"""Compare the compiled town with the slow one in tests/reference, tick by tick and exactly.

Invariants are checked after every tick on both. `make soak` does the same with fifty times as many towns.
"""

from __future__ import annotations

import pytest
from reference.compare import TOWN_EPISODES, compare_over_episodes, play_both
from reference.scenarios import random_scenario

from townlet_core.simulation.towns import MANY_TOWNS

LEAST_TOWN_EPISODES = 2_000
SEEDS = LEAST_TOWN_EPISODES // TOWN_EPISODES
PART = 25  # seeds of one test, so that all cores have some


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_the_compiled_town_tells_the_same_story_as_the_reference(first: int) -> None:
    for seed in range(first, first + PART):
        compare_over_episodes(seed)


@pytest.mark.parametrize("seed", range(8))
def test_towns_of_a_batch_that_is_played_in_parallel_tell_the_same_story(seed: int) -> None:
    some = (0, MANY_TOWNS // 2, MANY_TOWNS - 1)
    play_both(random_scenario(seed), seed, MANY_TOWNS, some, first_town=3)


def test_a_town_that_nobody_lives_in_is_over_after_a_tick() -> None:
    for seed in range(8):
        play_both(random_scenario(seed).model_copy(update={"agents": [], "meetings": []}), seed, 2, range(2))
