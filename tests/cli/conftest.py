"""Run the command line in a process of its own."""

import os
import subprocess
import sys

import pytest

COLOUR_VARIABLES = ("FORCE_COLOR", "NO_COLOR", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "PY_COLORS")


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
