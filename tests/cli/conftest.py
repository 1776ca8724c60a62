"""Run the command line, in this process or in its own."""

import os
import subprocess
import sys

import pytest

from townlet_cli.main import run

COLOUR_VARIABLES = ("FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "PY_COLORS")


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


@pytest.fixture
def environment():
    """The environment without what decides about colour or settings, so that tests decide."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in COLOUR_VARIABLES and not name.startswith("TOWNLET_")
    }


@pytest.fixture
def spawn(environment):
    """Run a command in a process of its own; returns subprocess.CompletedProcess with text."""

    def call(*arguments, variables=None, **options):
        command = [sys.executable, "-m", "townlet_cli", *map(str, arguments)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.run(
            command, env=environment | (variables or {}), text=True, stdin=subprocess.DEVNULL, **streams
        )

    return call
