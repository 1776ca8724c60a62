"""The session in the README is the demo's, and shows what the demo prints."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
LEFT_OUT = "…"  # a line of the README that stands for any number of printed ones

NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?"
# What differs between two runs, or between two processors: identities, times, curves, and what was learned.
ALWAYS_DIFFERS = [
    (r"\brun-[0-9a-f]{8}\b", "RUN"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),
    (r"\b\d{4}-\d\d-\d\dT[\d:.]+\+00:00", "TIME"),
    (r"[▁▂▃▄▅▆▇█]+", "CURVE"),
    (r"[-+]?\d+\.\d+(?:e[-+]\d+)?", "NUMBER"),
]
# Rows of the summary whose numbers follow from the settings, and are compared as they are.
COUNTED = ("env_steps ", "records ", "cycles ")

# Variables that colour the output or change settings begin with one of these.
CHANGES_OUTPUT = ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TTY_COMPATIBLE", "TOWNLET_")


def sessions(text):
    """Return the printed lines of each command in a transcript."""
    parts = re.split(r"^\$ (townlet .*)\n", text, flags=re.MULTILINE)[1:]
    return {
        command: printed.strip("\n").split("\n")
        for command, printed in zip(parts[::2], parts[1::2], strict=True)
    }


def comparable(command, line):
    """Return a printed line without what may differ on another machine, and without its column widths."""
    if command.startswith(("townlet capture", "townlet replay")):
        return line  # equal seeds give equal bytes
    if command.startswith("townlet evaluate"):
        # The first column is the trained policy; the scripted and the random one are the same everywhere.
        line = re.sub(rf"^(\w* +){NUMBER}(?: … {NUMBER})?(?= )", r"\1NUMBER", line)
    else:
        for pattern, name in ALWAYS_DIFFERS:
            line = re.sub(pattern, name, line)
        if re.match(r"[a-z]\w*(?:\.\w+)?  ", line) and not line.startswith(COUNTED):
            line = re.sub(rf"(?<= ){NUMBER}(?= |$)", "NUMBER", line)
    return re.sub(r" +", " ", line)


def unprinted(shown, printed):
    """Return the first shown passage that was not printed in its place, or what was printed and not shown."""
    marked = "\n".join(shown).split(f"\n{LEFT_OUT}\n")
    passages = [passage.split("\n") for passage in marked]
    for number, passage in enumerate(passages):
        places = range(len(printed) - len(passage) + 1)
        if number == 0:
            places = places[:1]
        at = next((at for at in places if printed[at : at + len(passage)] == passage), None)
        if at is None:
            return passage
        printed = printed[at + len(passage) :]
    return printed


SHOWN = sessions(re.search(r"^```\n(\$ townlet .*?)^```", README, re.MULTILINE | re.DOTALL)[1])


def test_the_readme_shows_the_commands_of_the_demo():
    script = (ROOT / "docs" / "demo.sh").read_text("utf-8").replace("\\\n", " ")
    asked = re.findall(r"^run (townlet .*)$", script, flags=re.MULTILINE)
    assert [shlex.split(command) for command in SHOWN] == [shlex.split(command) for command in asked]


def test_the_readme_shows_what_the_demo_prints(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(CHANGES_OUTPUT)}
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    demo = subprocess.run(
        ["sh", ROOT / "docs" / "demo.sh"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert demo.returncode == 0, demo.stdout
    printed = sessions(demo.stdout)
    for command, shown in SHOWN.items():
        expected = [comparable(command, line) for line in shown]
        lines = [comparable(command, line) for line in printed[command]]
        assert unprinted(expected, lines) == [], command


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (["a", "b", "c", "d"], []),
        (["a", "…", "d"], []),
        (["a", "…", "c"], ["d"]),  # printed after what is shown
        (["b", "…", "d"], ["b"]),  # not the first line
        (["a", "…", "x", "…", "d"], ["x"]),  # not printed
        (["a", "…", "c", "…", "b", "…", "d"], ["b"]),  # printed before c
        (["a", "c", "…", "d"], ["a", "c"]),  # no line is left out between them
    ],
)
def test_a_line_may_be_missing_only_where_it_is_marked(shown, expected):
    assert unprinted(shown, ["a", "b", "c", "d"]) == expected


@pytest.mark.parametrize(
    ("command", "line", "same", "different"),
    [
        ("townlet capture x", "anna   80  -1.429", "anna   80  -1.429", "anna   80  -1.430"),
        ("townlet train x", "80 passes; mean -0.04", "80 passes; mean 1.2", "81 passes; mean -0.04"),
        (
            "townlet telemetry summary x",
            "grad_norm  ▁▂  0.1  12",
            "grad_norm  ▂▁  3  1.5e-05",
            "grad_norm  ▁▂  0.1",
        ),
        ("townlet telemetry summary x", "env_steps  768  5", "env_steps   768  5", "env_steps  769  5"),
        ("townlet evaluate x", "return  -0.1  2.0  3.0", "return  0.5  2.0  3.0", "return  -0.1  2.1  3.0"),
        (
            "townlet evaluate x",
            "   1.0 … 2.0  3.0 … 4.0",
            "   1.5 … 2.5  3.0 … 4.0",
            "   1.0 … 2.0  3.0 … 4.1",
        ),
    ],
)
def test_only_what_depends_on_the_machine_is_not_compared(command, line, same, different):
    assert comparable(command, line) == comparable(command, same) != comparable(command, different)
