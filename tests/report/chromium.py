"""A real browser, for tests of pages: its picture of a page, and its DOM after the scripts have run."""

import io
import shutil
import subprocess

import numpy as np
from PIL import Image

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "no Chromium or Chrome is installed here"
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
    "--enable-logging=stderr",
)


def browse(page, folder, *flags, fragment="", size=(1280, 860), milliseconds=8000):
    """Open a page in a new browser; returns its DOM, and its picture as pixels (height, width, 3).

    Fails if the page complains on its console. milliseconds: of the page's own time, for its scripts.
    """
    shot = folder / "shot.png"
    command = [
        BROWSER,
        *FLAGS,
        *flags,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={size[0]},{size[1]}",
        f"--virtual-time-budget={milliseconds}",
        "--dump-dom",
        f"--screenshot={shot}",
        f"file://{page}#{fragment}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    return done.stdout, np.asarray(Image.open(io.BytesIO(shot.read_bytes())).convert("RGB"))
