"""What every room's tests may use. Being here also lets tests import `reference.…`, the slow town."""

from __future__ import annotations

import os
import sys

import pytest

from townlet_cli.main import run

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
