"""Intervals of few seeds cover 95 %, in simulation: normal scores, and moderately skewed ones.

The skewed distribution is gamma of shape 8 (skewness 0.7). Of an exponential distribution (skewness 2),
Student's interval covers 88 to 90 % with 3 to 10 values: few values say nothing about a long tail.
"""

import math

import numpy as np
import pytest

from townlet_core.estimates import estimate_mean
from townlet_core.statistics.aggregates import estimate_iqm, interquartile_mean
from townlet_core.statistics.comparison import estimate_difference, probability_of_improvement

DISTRIBUTIONS = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "gamma": lambda random, shape: random.gamma(8, size=shape),
}
SIZES = (3, 5, 10)


def coverage(intervals, truth):
    return np.mean([low <= truth <= high for _, low, high in intervals])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "mean"), [("normal", 0.0), ("gamma", 8.0)])
def test_the_interval_of_a_mean_covers(name, mean, size):
    draws = DISTRIBUTIONS[name](np.random.default_rng(size), (4000, size))
    assert 0.93 <= coverage(map(estimate_mean, draws), mean) <= 0.97


@pytest.mark.parametrize("size", SIZES)
def test_the_interval_of_a_difference_covers_also_where_the_variances_differ(size):
    random = np.random.default_rng(size)
    first, second = random.standard_normal((2000, size)), 2 * random.standard_normal((2000, size))
    assert 0.93 <= coverage(map(estimate_difference, first, second), 0) <= 0.97


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_interval_of_an_interquartile_mean_covers(name, size):
    draw = DISTRIBUTIONS[name]
    truth = float(interquartile_mean(draw(np.random.default_rng(0), 100_000)))
    found = [estimate_iqm([scores]) for scores in draw(np.random.default_rng(size + 1), (500, size))]
    # Of 5 scores one is left out at either end, and the interval is a little too wide: 97.3 %.
    assert 0.93 <= coverage(found, truth) <= 0.98


def test_the_interval_over_several_tasks_covers():
    random, levels, scales = np.random.default_rng(1), np.arange(3.0)[:, None], np.array([[0.5], [1], [2]])
    truth = float(interquartile_mean((levels + scales * random.standard_normal((3, 100_000))).ravel()))
    found = [estimate_iqm(list(levels + scales * random.standard_normal((3, 5)))) for _ in range(300)]
    assert 0.93 <= coverage(found, truth) <= 0.97


@pytest.mark.parametrize("size", [5, 10])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_interval_of_the_probability_of_improvement_covers(shift, size):
    truth = (1 + math.erf(shift / 2)) / 2
    random = np.random.default_rng(size)
    pairs = zip(random.standard_normal((400, size)) + shift, random.standard_normal((400, size)), strict=True)
    assert 0.93 <= coverage((probability_of_improvement([pair]) for pair in pairs), truth) <= 0.97
