"""The page in a real browser: two widths, both schemes, with and without scripts."""

import re

import numpy as np
import pytest
from chromium import BROWSER, MISSING, browse

from townlet_core.report.look import DARK, LIGHT
from townlet_core.report.page import report_page
from townlet_core.report.report import make_report

SCHEMES = {name: f"--blink-settings=preferredColorScheme={n}" for n, name in enumerate(("dark", "light"))}
# Measures what no picture shows: by how much the page is wider than the window.
MEASURE = "document.documentElement.dataset.over = document.documentElement.scrollWidth - innerWidth"
WIDE, NARROW = (1280, 900), (400, 1300)


@pytest.fixture(scope="module")
def page(runs, capture, tmp_path_factory):
    if BROWSER is None:
        pytest.skip(MISSING)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(report_page(make_report([runs], capture=capture, episodes=4)))
    return path


@pytest.fixture(scope="module")
def look(page, tmp_path_factory):
    """Open the page in a window of a size and a scheme; returns its DOM and its picture."""
    folder = tmp_path_factory.mktemp("look")

    def call(path, size, scheme):
        return browse(path, folder, SCHEMES[scheme], size=size, milliseconds=2000)

    return call


def has(pixels, colour):
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((pixels == wanted).all(axis=2).any())


def assert_is_drawn(pixels, size, theme):
    assert pixels.shape[:2] == size[::-1]
    assert has(pixels, theme.card)
    assert has(pixels, theme.ink)
    assert has(pixels, theme.series[0])  # the curves of both groups
    assert has(pixels, theme.series[1])


def test_a_wide_page_is_drawn_in_both_schemes_and_the_same_without_its_script(page, look, tmp_path):
    dom, pixels = look(page, WIDE, "light")
    assert re.search(r'data-ready="\d\d"', dom)
    assert_is_drawn(pixels, WIDE, LIGHT)
    assert_is_drawn(look(page, WIDE, "dark")[1], WIDE, DARK)
    still = tmp_path / "still.html"
    before, found, after = re.split(r"(<script>.*?</script>)", page.read_text(), flags=re.DOTALL)
    assert "onpointermove" in found
    still.write_text(before + after)
    dom, without = look(still, WIDE, "light")
    assert "data-ready" not in dom
    assert np.array_equal(without, pixels)


@pytest.mark.parametrize(("scheme", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_on_a_phone_nothing_is_wider_than_the_window(page, look, tmp_path, scheme, theme):
    measured = tmp_path / "measured.html"  # without the policy, which would not let the measure run
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    measured.write_text(text.replace("</body>", f"<script>{MEASURE}</script></body>"))
    dom, pixels = look(measured, NARROW, scheme)
    assert 'data-over="0"' in dom
    assert_is_drawn(pixels, NARROW, theme)
