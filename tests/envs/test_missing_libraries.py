"""Without the libraries of other people, one sentence says which to install."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("library", "module", "command"),
    [
        ("pettingzoo", "townlet_core.envs", "pip install gymnasium pettingzoo"),
        ("gymnasium", "townlet_core.envs.vector", "pip install gymnasium pettingzoo"),
        (
            "stable_baselines3",
            "townlet_core.envs.stable_baselines3",
            "pip install stable-baselines3",
        ),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_installs_it(library, module, command):
    program = (
        "import sys\n"
        f"sys.modules[{library!r}] = None\n"  # which makes its import fail
        "from townlet_core.errors import MissingError\n"
        "try:\n"
        f"    import {module}\n"
        "except MissingError as error:\n"
        "    print(error, error.hint, error.exit_code, sep='|')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    message, hint, code = done.stdout.strip().split("|")
    assert message.startswith(f"{library} is not installed, and townlet_core.envs")
    assert (hint, code) == (command, "3")
