"""Without the libraries of other people, or with old ones, one sentence says what to install."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_core.envs.libraries import LEAST

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
    message, hint, code = what_an_import_says(f"sys.modules[{library!r}] = None", module)
    assert message.startswith(f"{library} is not installed, and townlet_core.envs")
    assert (hint, code) == (command, "3")


@pytest.mark.parametrize(
    ("library", "old", "module", "command"),
    [
        ("gymnasium", "0.29.1", "townlet_core.envs", "pip install --upgrade 'gymnasium>=1.1'"),
        ("gymnasium", "1.0.0a2", "townlet_core.envs.vector", "pip install --upgrade 'gymnasium>=1.1'"),
        ("pettingzoo", "1.24.2", "townlet_core.envs", "pip install --upgrade 'pettingzoo>=1.24.3'"),
        (
            "stable_baselines3",
            "2.5.1a0",
            "townlet_core.envs.stable_baselines3",
            "pip install --upgrade 'stable-baselines3>=2.6'",
        ),
    ],
)
def test_an_old_library_is_named_with_the_version_that_is_needed(library, old, module, command):
    # Old ones lack what is imported from them, so they are refused before anything else.
    say_old = f"import {library}; {library}.__version__ = {old!r}; {library}.vector = None"
    message, hint, code = what_an_import_says(say_old, module)
    needed_by = module.removesuffix(".vector")
    assert message == f"{library} {old} is installed, and {needed_by} needs {LEAST[library]} or newer"
    assert (hint, code) == (command, "3")


def test_the_extras_ask_for_the_versions_that_are_checked():
    extras = (ROOT / "pyproject.toml").read_text()
    asked = dict(re.findall(r'"([a-z0-9-]+)>=([\d.]+)"', extras))
    assert {name: asked[name.replace("_", "-")] for name in LEAST} == LEAST


def what_an_import_says(before, module):
    """Import a module in a process of its own; return message, hint and exit code of its MissingError."""
    program = (
        "import sys\n"
        f"{before}\n"
        "from townlet_core.errors import MissingError\n"
        "try:\n"
        f"    import {module}\n"
        "except MissingError as error:\n"
        "    print(error, error.hint, error.exit_code, sep='|')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip().split("|")
