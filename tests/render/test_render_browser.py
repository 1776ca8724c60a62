"""The page in a real browser: it starts without a complaint, draws, plays, and shows the chosen moment."""

import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from render_recordings import animation_of

from townlet_core.render.html import animation_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,860",
    "--virtual-time-budget=8000",
    "--enable-logging=stderr",
)


@pytest.fixture(scope="module")
def page(queue, tmp_path_factory):
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome is installed here")
    path = tmp_path_factory.mktemp("page") / "town.html"
    path.write_bytes(animation_page(animation_of(queue)))
    return path


@pytest.fixture
def browse(page, tmp_path):
    """Open the page at a hash in a new browser; returns its DOM, and its screenshot as pixels."""

    def call(fragment=""):
        shot = tmp_path / "shot.png"
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        command = [
            BROWSER,
            *FLAGS,
            profile,
            "--dump-dom",
            f"--screenshot={shot}",
            f"file://{page}#{fragment}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert complaints == []
        return done.stdout, np.asarray(Image.open(io.BytesIO(shot.read_bytes())).convert("RGB"))

    return call


def text_of(dom, name):
    return re.search(rf'id="{name}"[^>]*>([^<]*)<', dom)[1]


def test_the_page_starts_and_is_not_blank(browse):
    dom, pixels = browse()
    assert 'data-ready="81"' in dom
    assert "data-error" not in dom
    assert text_of(dom, "title") == "queue_conflict"
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 200


def test_a_moment_can_be_linked_to_and_shows_its_conflict(browse):
    dom, pixels = browse("tick=5&theme=light")
    assert text_of(dom, "tick") == "tick 5 of 80"
    assert "cara and anna quarrel over shower: impatience" in dom
    assert "2nd in line: shower" in dom
    red = (np.abs(pixels.astype(int) - (0xE0, 0x2F, 0x2F)).max(axis=2) < 4).sum()
    calm = (np.abs(browse("tick=30&theme=light")[1].astype(int) - (0xE0, 0x2F, 0x2F)).max(axis=2) < 4).sum()
    assert red > calm + 1000


def test_it_plays_to_the_end_and_stops(browse):
    dom, _ = browse("tick=60&play")
    assert text_of(dom, "tick") == "tick 80 of 80"
    assert text_of(dom, "play") == "Play"


def test_the_dark_page_is_darker(browse):
    assert browse("theme=dark")[1].mean() < 90 < browse("theme=light")[1].mean()
