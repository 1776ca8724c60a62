"""Curves are thinned without losing their extremes, and averaged over seeds with the right interval."""

import numpy as np
import pytest

from townlet_core.report.chart import Series
from townlet_core.report.curve import MAX_DRAWN, MAX_POINTS, Curve, average, curve_of
from townlet_core.report.stack import stack, total
from townlet_core.telemetry.curves import Point

T_OF_TWO = 12.7062  # the .975 quantile of Student's t for one degree of freedom, from a printed table


def flat(x, mean):
    values = np.array(mean, float)
    return Curve(np.array(x, float), values, values, values)


def test_a_short_curve_is_kept_as_it_is():
    curve = curve_of([Point(10, 1, 0, 2), Point(20, 3, 3, 3)])
    assert [array.tolist() for array in curve] == [[10, 20], [1, 3], [0, 3], [2, 3]]


def test_a_long_curve_keeps_its_end_its_mean_and_its_extremes():
    points = [Point(i, i % 2, -5 if i == 117 else i % 2, i % 2) for i in range(1, 1001)]
    curve = curve_of(points)
    assert len(curve.x) == MAX_POINTS
    assert (curve.x[0], curve.x[-1]) == (10, 1000)
    assert curve.mean.tolist() == [0.5] * MAX_POINTS
    assert np.flatnonzero(curve.low == -5).tolist() == [11]


def test_numbers_whose_squares_overflow_are_drawn_at_a_limit():
    huge = curve_of([Point(1, 1e308, -1e308, 1e308)])
    assert (huge.mean[0], huge.low[0]) == (MAX_DRAWN, -MAX_DRAWN)
    assert np.isfinite(np.concatenate(average([huge, curve_of([Point(1, -1e308, 0, 0)])]))).all()


def test_the_interval_over_two_seeds_is_students():
    mean = average([flat([1, 2], [0, 5]), flat([1, 2], [2, 5])])
    assert mean.mean.tolist() == [1, 5]
    assert mean.low == pytest.approx([1 - T_OF_TWO, 5], rel=1e-4)  # s = √2 and N = 2
    assert mean.high == pytest.approx([1 + T_OF_TWO, 5], rel=1e-4)


def test_seeds_are_compared_over_the_steps_that_all_of_them_have():
    mean = average([flat([10, 20, 30], [1, 2, 3]), flat([15, 25], [0, 0])])
    assert mean.x.tolist() == [15, 25]  # the places of the one with fewest
    assert mean.mean.tolist() == [0.75, 1.25]  # 1.5 and 2.5 of the first, halved


def test_seeds_whose_common_part_has_no_point_are_compared_at_its_end():
    mean = average([flat([0, 100], [0, 10]), flat([40, 50, 60], [1, 1, 1])])
    assert (mean.x.tolist(), mean.mean.tolist()) == ([60], [3.5])


def test_a_curve_alone_keeps_its_own_range():
    curve = curve_of([Point(1, 2, 1, 3)])
    assert average([curve]) is curve


def test_parts_are_stacked_on_their_side_of_zero_and_sum_up():
    series = tuple(
        Series(label, flat([0, 1], values), colour)
        for colour, (label, values) in enumerate([("a", [1, 2]), ("b", [-3, -1]), ("c", [4, -2])])
    )
    areas = [(area.colour, area.near.tolist(), area.far.tolist()) for area in stack(series)]
    assert areas == [
        (0, [0, 0], [1, 2]),
        (1, [0, 0], [-3, -1]),
        (2, [1, 2], [5, 2]),  # c is above zero first,
        (2, [-3, -1], [-3, -3]),  # and below it then
    ]
    assert total(series).mean.tolist() == [2, -1]
