"""What every room's tests may use. Being here also lets tests import `reference.…`, the slow town."""

from __future__ import annotations

import os
import sys

import pytest
from browser import BROWSER, Browser
from hypothesis import settings

from townlet_cli.main import run

# Whether a change may land is decided by the same examples every time; `make explore` looks for new ones.
# No deadline: the first call of a compiled function takes seconds.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# Small networks lose more by waiting for a second thread than they gain, and every core has tests to run.
# Tests that compare bits over thread counts say how many they want; commands in other processes inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def townlet(monkeypatch, capsys):
    """Run a command in this process; returns exit code, stdout and stderr."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["townlet", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            run()
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return call


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """The one headless browser of all tests of pages; they are skipped where none is installed."""
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome is installed here")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()
