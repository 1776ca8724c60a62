"""Charts as pictures: of the size of a slide, with every curve, the same bytes each time."""

import io

import numpy as np
import pytest
from PIL import Image

from townlet_core.report.chart import Chart, Level, Mark, Series
from townlet_core.report.curve import curve_of
from townlet_core.report.look import LIGHT
from townlet_core.report.png import chart_image, overview, png
from townlet_core.telemetry.curves import Point


def chart(name="loss_total", **changes):
    curve = curve_of([Point(0, 0, -1, 1), Point(100, 4, 4, 4)])
    series = (Series("a", curve), Series("b", curve._replace(mean=curve.mean[::-1]), 1, is_dashed=True))
    return Chart(name, "Title – with a dash", "about", "environment steps", "reward", series, **changes)


def has(image, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((np.asarray(image) == wanted).all(axis=2).any())


@pytest.fixture(scope="module")
def image():
    return chart_image(chart(levels=(Level("scripted", 2, 1, 3),), marks=(Mark("best", 50),), alerts=(20.0,)))


def test_a_chart_is_as_large_as_a_slide_and_has_everything_on_it(image):
    assert image.size == (1600, 900)
    for colour in (*LIGHT.series[:2], LIGHT.ink, LIGHT.alert, LIGHT.card):
        assert has(image, colour), colour
    assert not has(image, LIGHT.series[2])


def test_a_dashed_curve_has_gaps_and_a_plain_one_has_none():
    for dashed in (False, True):
        flat = curve_of([Point(0, 1, 1, 1), Point(100, 1, 1, 1)])
        picture = np.asarray(chart_image(chart()._replace(series=(Series("a", flat, 0, dashed),))))
        row = picture[:, 200:1500].reshape(900, -1, 3)
        blue = (row == [0x1F, 0x5F, 0xD6]).all(axis=2)
        widest = blue.sum(axis=1).max()
        assert (widest < 1000) == dashed


def test_a_picture_is_the_same_bytes_each_time_and_reads_as_png(image):
    data = png(image)
    assert data == png(image)
    assert Image.open(io.BytesIO(data)).size == (1600, 900)


def test_the_overview_has_the_charts_that_matter_most_or_else_all():
    names = ("lr", "kl_divergence_max", "reward_terms_1", "episode_return_mean", "reward_terms_2")
    assert overview([chart(name) for name in names]).size == (1600, 900)  # three of them, in two columns
    assert overview([chart("lr")]).size == (800, 450)
