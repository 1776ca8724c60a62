"""The page in a real browser: two widths, both schemes, with and without scripts."""

import numpy as np
import pytest

from townlet_core.report.look import DARK, LIGHT
from townlet_core.report.page import report_page
from townlet_core.report.report import make_report

WIDE, NARROW = (1280, 900), (400, 1300)


@pytest.fixture(scope="module")
def page(runs, capture, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(report_page(make_report([runs], capture=capture, episodes=4)))
    return path


def has(pixels, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((pixels == wanted).all(axis=2).any())


def assert_is_drawn(pixels, size, theme):
    assert pixels.shape[:2] == size[::-1]
    assert has(pixels, theme.card)
    assert has(pixels, theme.ink)
    assert has(pixels, theme.series[0])  # the curves of both groups
    assert has(pixels, theme.series[1])


def test_a_wide_page_is_drawn_in_both_schemes_and_the_same_without_its_script(page, browser):
    browser.open(page, size=WIDE, scheme="light")
    assert int(browser.ask("document.documentElement.dataset.ready")) > 9
    drawn = browser.picture()
    assert_is_drawn(drawn, WIDE, LIGHT)
    browser.open(page, size=WIDE, scheme="dark")
    assert_is_drawn(browser.picture(), WIDE, DARK)
    browser.open(page, size=WIDE, scheme="light", scripts=False)
    assert browser.ask("document.documentElement.dataset.ready") is None
    assert np.array_equal(browser.picture(), drawn)
    assert browser.complaints == []


@pytest.mark.parametrize(("scheme", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_on_a_phone_nothing_is_wider_than_the_window(page, browser, scheme, theme):
    browser.open(page, size=NARROW, scheme=scheme)
    assert browser.ask("document.documentElement.scrollWidth - innerWidth") == 0
    assert_is_drawn(browser.picture(), NARROW, theme)
    assert browser.complaints == []
