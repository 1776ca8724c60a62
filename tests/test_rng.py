"""Draws depend on their coordinates and on nothing else."""

import numpy as np

from townlet_core.chance import generator
from townlet_core.rng import draw_bits, draw_unit, town_key


def test_mix_is_the_splitmix64_finaliser():
    # The first output of splitmix64 seeded with 0, as published with the generator.
    from townlet_core.rng import mix

    assert int(mix(np.uint64(0), 0)) == 0xE220A8397B1DCDAF


def test_equal_coordinates_give_equal_draws_and_others_differ():
    key = town_key(np.uint64(7), 3, 0)
    draws = {
        int(draw_bits(key, tick, agent, draw))
        for tick in range(10)
        for agent in range(4)
        for draw in range(3)
    }
    assert len(draws) == 10 * 4 * 3
    assert draw_unit(key, 5, 1, 2) == draw_unit(town_key(np.uint64(7), 3, 0), 5, 1, 2)


def test_draws_fill_the_unit_interval_evenly():
    key = town_key(np.uint64(1), 0, 0)
    draws = np.array([draw_unit(key, tick, 0, 0) for tick in range(20_000)])
    counts = np.histogram(draws, bins=10, range=(0, 1))[0]
    # Chi-square with 9 degrees of freedom: 27.9 is the 0.1 % point.
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9


def test_generators_belong_to_their_coordinates():
    assert generator(1, 2).random() == generator(1, 2).random()
    assert generator(1, 2).random() != generator(2, 1).random()
