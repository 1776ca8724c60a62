"""Charts are laid out so that everything fits, is named, and can be read on hover."""

import numpy as np
import pytest

from townlet_core.report.chart import Chart, Level, Mark, Series
from townlet_core.report.curve import Curve, curve_of
from townlet_core.report.layout import lay_out
from townlet_core.telemetry.curves import Point


def chart(*series, **changes):
    return Chart("name", "Title", "about", "environment steps", "reward", series, **changes)


def rising(label="rollout", **changes):
    return Series(label, curve_of([Point(0, 0, -1, 1), Point(100, 4, 4, 4)]), **changes)


def paths(layout, look):
    return [path for path in layout.paths if path.look.split()[0] == look]


def test_a_curve_goes_from_the_lower_left_to_the_upper_right():
    layout = lay_out(chart(rising()), 420, 250)
    (line,) = paths(layout, "line")
    (left, low), (right, high) = line.points
    assert (left, right) == (54, 406)
    assert low > high
    (band,) = paths(layout, "band")
    assert band.is_area
    assert len(band.points) == 4
    assert [words.text for words in layout.words if words.look == "label"] == ["environment steps", "reward"]
    numbers = [words.text for words in layout.words if words.look == "number"]
    assert numbers == ["-1", "0", "1", "2", "3", "4", "0", "25", "50", "75", "100"]
    assert not [words for words in layout.words if words.look == "name"]  # one curve needs no legend


def test_everything_drawn_has_its_name_in_the_legend():
    layout = lay_out(
        chart(
            rising("learning_rate 0.01, 3 seeds"),
            rising("learning_rate 0.1", colour=1, is_dashed=True),
            rising("", is_faint=True),
            levels=(Level("scripted", 2.0, 1.5, 2.5),),
            marks=(Mark("best checkpoints", 40.0), Mark("", 60.0)),
            alerts=(10.0, 10.01, 90.0),
        )
    )
    names = [words.text for words in layout.words if words.look == "name"]
    expected = ["learning_rate 0.01, 3 seeds", "learning_rate 0.1", "scripted", "best checkpoints", "alert"]
    assert names == expected
    assert len(paths(layout, "mark")) == 2 + 1  # and one sample of it
    assert len(paths(layout, "alert")) == 2 + 1  # two of the three are in one place
    for words in layout.words:
        assert 0 <= words.place[0] <= layout.width
        assert 0 < words.place[1] < layout.height


def test_values_on_hover_are_those_of_the_curves_that_have_a_point_there():
    short = Series("replay", curve_of([Point(100, 7, 7, 7)]))
    first, last = lay_out(chart(rising(), short)).readings
    assert (first.x, first.values) == (0, (("rollout", 0, -1, 1),))
    assert (last.x, last.values) == (100, (("rollout", 4, 4, 4), ("replay", 7, 7, 7)))
    assert (first.left, first.right, last.right) == (54, last.left, 406)


def test_an_interval_far_wider_than_the_curves_is_cut_and_does_not_go_below_what_is_counted():
    wide = Curve(*(np.array(values, float) for values in ([0, 1], [2, 3], [-100, 2], [100, 3])))
    numbers = lay_out(chart(Series("a", wide))).words
    assert {words.text for words in numbers if words.look == "number"} >= {"1", "4"}
    assert "5" not in {words.text for words in numbers}
    counted = lay_out(chart(Series("a", wide._replace(mean=np.array([0.0, 3.0]))))._replace(y_label="events"))
    assert "-1" not in {words.text for words in counted.words}


@pytest.mark.parametrize("value", [0.0, 1e-300, -3.0, 1e308])
def test_one_point_of_any_size_is_drawn(value):
    layout = lay_out(chart(Series("a", curve_of([Point(5, value, value, value)]))))
    assert len(paths(layout, "line")) == 1
    assert all(np.isfinite(point).all() for path in layout.paths for point in path.points)
