"""Intervals cover what they claim."""

import numpy as np
import pytest

from townlet_core.errors import ShapeError
from townlet_core.estimates import estimate_mean, t_quantile


@pytest.mark.parametrize(
    ("degrees", "quantile"),  # of the printed tables
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042), (120, 1.980)],
)
def test_quantiles_are_those_of_the_printed_tables(degrees, quantile):
    assert t_quantile(degrees) == pytest.approx(quantile, abs=5e-4)


def test_with_many_values_the_quantile_is_that_of_the_normal_distribution():
    assert t_quantile(99_999) == pytest.approx(1.95996, abs=5e-5)


def test_the_interval_of_two_values_is_worked_out_by_hand():
    # mean 1, standard deviation √2, standard error 1
    assert estimate_mean(np.array([0.0, 2.0])) == pytest.approx((1.0, 1 - 12.7062, 1 + 12.7062), abs=1e-3)


def test_between_whole_degrees_of_freedom_the_quantile_is_between_theirs():
    assert t_quantile(2.5) == pytest.approx(3.558, rel=0.01)
    assert t_quantile(3) < t_quantile(2.9) < t_quantile(2.1) < t_quantile(2)


@pytest.mark.parametrize("values", [[], [3.0]])
def test_fewer_than_two_values_have_no_interval(values):
    with pytest.raises(ShapeError, match="expected at least 2"):
        estimate_mean(np.array(values))
