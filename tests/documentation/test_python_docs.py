"""docs/python.md: its examples run, print what is shown and pass mypy; its table is the public API."""

import re
import subprocess
import sys

import pytest
from python_reference import DOCS, with_names

import townlet_core as townlet
from townlet_core import errors

ROOT = DOCS.parents[1]
PAGE = DOCS.read_text("utf-8")
BLOCKS = re.findall(r"^```(python|text)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = [body for language, body in BLOCKS if language == "python"]


def test_the_table_of_public_names_is_that_of_the_package():
    assert with_names(PAGE) == PAGE, (
        "the public API changed; if that is meant, renew the table with: make docs"
    )


def test_the_examples_run_in_order_and_print_what_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for language, body in BLOCKS:
        if language == "python":
            exec(body, names)
            printed = capsys.readouterr().out
        else:
            assert printed == body


@pytest.mark.parametrize("name", townlet.PUBLIC)
def test_every_public_name_has_an_example(name):
    assert f"townlet.{name}" in "".join(EXAMPLES)


def test_the_examples_pass_mypy_in_strict_mode(tmp_path):
    script = tmp_path / "examples.py"
    script.write_text("".join(EXAMPLES))
    settings = ["--config-file", "tests/strict_mypy.ini", "--cache-dir", str(tmp_path / "cache")]
    command = [sys.executable, "-m", "mypy", *settings, str(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_table_of_errors_is_the_tree_of_errors():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (`\w+` |)\|", PAGE, re.MULTILINE)
    documented = {name: base.strip("` ") for names, base in rows for name in re.findall(r"\w+", names)}
    tree = {kind.__name__: kind.__bases__[-1].__name__ for kind in vars(errors).values() if is_error(kind)}
    assert documented == {name: base.replace("TownletError", "") for name, base in tree.items()}


def is_error(kind):
    return (
        isinstance(kind, type) and issubclass(kind, errors.TownletError) and kind is not errors.TownletError
    )
