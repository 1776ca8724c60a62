"""Without the libraries of the extra `data`, or with old ones, one sentence says what to install."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_core.exchange.libraries import INSTALL, LEAST

ROOT = Path(__file__).resolve().parents[2]
MODULES = [
    ("minari", "minari_export", "export for Minari"),
    ("h5py", "minari_export", "export for Minari"),
    ("minari", "minari_import", "import from Minari"),
    ("h5py", "minari_import", "import from Minari"),
    ("datasets", "huggingface", "export for Hugging Face datasets"),
]


@pytest.mark.parametrize(("library", "module", "needed_by"), MODULES)
def test_a_missing_library_is_named_with_the_command_that_installs_it(library, module, needed_by):
    said = what_an_import_says(f"sys.modules[{library!r}] = None", module)
    assert said == (f"{library} is not installed, and {needed_by} needs it", INSTALL, "3")


@pytest.mark.parametrize(
    ("library", "old", "module", "needed_by"),
    [
        ("minari", "0.4.3", "minari_export", "export for Minari"),
        ("minari", "0.4.3", "minari_import", "import from Minari"),
        ("datasets", "2.21.0", "huggingface", "export for Hugging Face datasets"),
    ],
)
def test_an_old_library_is_named_with_the_version_that_is_needed(library, old, module, needed_by):
    said = what_an_import_says(f"import {library}; {library}.__version__ = {old!r}", module)
    sentence = f"{library} {old} is installed, and {needed_by} needs {LEAST[library]} or newer"
    assert said == (sentence, INSTALL, "3")


@pytest.mark.parametrize("module", ["parquet", "npz_import", "torch_data"])
def test_what_needs_no_extra_library_loads_none(module):
    absent = "for name in ('datasets', 'minari', 'h5py', 'gymnasium'): sys.modules[name] = None"
    assert what_an_import_says(absent, module) == ("",)


def test_the_extra_asks_for_the_versions_that_are_checked():
    (extra,) = re.findall(r"^data = (.*)$", (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert dict(re.findall(r'"(\w+)[^">]*>=([\d.]+)"', extra)) == LEAST
    assert "townlet[data]" in INSTALL


def what_an_import_says(before, module):
    """Import a module in a process of its own; return message, hint and exit code of its MissingError."""
    program = (
        "import sys\n"
        f"{before}\n"
        "from townlet_core.errors import MissingError\n"
        "try:\n"
        f"    import townlet_core.exchange.{module}\n"
        "except MissingError as error:\n"
        "    print(error, error.hint, error.exit_code, sep='|')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tuple(done.stdout.strip().split("|"))
