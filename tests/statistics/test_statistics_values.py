"""Statistics of experiments, against values worked by hand and a slow second implementation."""

import itertools
import math

import numpy as np
import pytest

from townlet_core.errors import ShapeError
from townlet_core.estimates import Estimate, t_quantile
from townlet_core.statistics.aggregates import estimate_iqm, interquartile_mean, performance_profile
from townlet_core.statistics.comparison import (
    difference_of_estimates,
    estimate_difference,
    probability_of_improvement,
)


def test_the_interquartile_mean_leaves_a_quarter_out_at_either_end():
    assert interquartile_mean(np.array([100.0, 1, 2, 3, 4, 5, 6, -50])) == 3.5  # -50, 1 and 6, 100 are out
    assert interquartile_mean(np.array([9.0, 0, 3])) == 4.0  # ⌊3/4⌋ = 0: the mean


def test_the_interquartile_mean_of_two_tasks_is_that_of_their_scores_together():
    low, high = np.array([0.0, 1, 2, 3]), np.array([10.0, 11, 12, 13])
    assert estimate_iqm([low, high]).mean == 6.5  # of 2, 3, 10, 11


def test_the_bootstrap_has_the_standard_error_of_every_possible_draw():
    scores = np.array([0.0, 1.0, 5.0])  # of three scores the interquartile mean is the mean
    means = [sum(draw) / 3 for draw in itertools.product(scores, repeat=3)]
    error = math.sqrt(sum((mean - 2) ** 2 for mean in means) / 27 * 3 / 2)
    found = estimate_iqm([scores])
    assert (found.high - found.low) / 2 == pytest.approx(4.3027 * error, rel=0.05)
    assert found == estimate_iqm([scores])


def test_a_difference_of_means_is_worked_out_by_hand():
    # Means 2 and 0, variances 1 and 4 of three values each: error² = 1/3 + 4/3, and
    # ν = (5/3)² / ((1/3)²/2 + (4/3)²/2) = 50/17
    found = estimate_difference(np.array([1.0, 2, 3]), np.array([-2.0, 0, 2]))
    assert found.mean == 2
    assert (found.high - found.mean) / math.sqrt(5 / 3) == pytest.approx(t_quantile(50 / 17))
    assert 3.182 < t_quantile(50 / 17) < 4.303  # the printed tables' for 3 and 2


def test_equal_scores_differ_by_nothing_with_no_width():
    assert estimate_difference(np.ones(3), np.ones(4)) == (0, 0, 0)


def test_a_difference_of_estimates_is_worked_out_by_hand():
    found = difference_of_estimates(Estimate(5, 2, 8), Estimate(-1, -5, 3))
    assert found == (6, 1, 11)  # √(3² + 4²) = 5, though the intervals overlap


def test_the_probability_of_improvement_counts_pairs_and_half_of_the_ties():
    # 3 beats 1 and 2; 2 beats 1 and ties with 2: (1 + 1 + 1 + 1/2) / 4
    found = probability_of_improvement([(np.array([3.0, 2]), np.array([1.0, 2]))])
    assert found.mean == 3.5 / 4
    tasks = [(np.array([1.0, 1]), np.array([0.0, 0])), (np.array([0.0, 0]), np.array([1.0, 1]))]
    assert probability_of_improvement(tasks).mean == 0.5


def test_the_probability_of_improvement_has_a_width_also_where_all_runs_are_better():
    found = probability_of_improvement([(np.array([4.0, 5, 6]), np.array([1.0, 2, 3]))])
    assert (found.mean, found.high) == (1, 1)
    # The low end solves (1 − P)² = z² P(1 − P)(1 + 2(1/(2 − P)(1 − P) + P/(1 + P)))/9: close to one half
    assert found.low == pytest.approx(0.501, abs=0.001)
    swapped = probability_of_improvement([(np.array([1.0, 2, 3]), np.array([4.0, 5, 6]))])
    assert swapped == pytest.approx((0, 0, 1 - found.low))


def test_a_profile_is_the_fraction_of_runs_above_each_threshold():
    found = performance_profile(np.array([1.0, 2, 2, 4]), np.array([0.0, 1, 2, 4]))
    assert found.fraction.tolist() == [1, 0.75, 0.25, 0]
    assert (found.high[0], found.low[3]) == (1, 0)
    assert found.low[0] == pytest.approx(4 / (4 + 1.959964**2))  # Wilson's: N / (N + z²)


@pytest.mark.parametrize(
    "estimate",
    [
        lambda: estimate_difference(np.array([1.0]), np.array([1.0, 2])),
        lambda: probability_of_improvement([(np.array([1.0, 2]), np.array([1.0]))]),
        lambda: probability_of_improvement([]),
        lambda: estimate_iqm([np.array([1.0])]),
        lambda: estimate_iqm([]),
    ],
)
def test_too_few_values_have_no_interval(estimate):
    with pytest.raises(ShapeError, match="expected"):
        estimate()
