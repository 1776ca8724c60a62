"""Data goes to stdout and everything else to stderr, and a stream that fails has an exit code too."""

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_cli import console
from townlet_core.telemetry.writer import TelemetryWriter

ROOT = Path(__file__).resolve().parents[2]
COLOUR = "\x1b[3"  # how a foreground colour begins


def test_quiet_leaves_the_data_and_drops_what_is_said_about_it(townlet):
    _, spoken, said = townlet("scenario", "list")
    for line in (("-q", "scenario", "list"), ("scenario", "-q", "list"), ("scenario", "list", "--quiet")):
        assert townlet(*line) == (0, spoken, "")
    assert "next: " in said


def test_quiet_keeps_the_error(townlet):
    code, _, stderr = townlet("capture", "nope", "-q")
    assert code == 2
    assert stderr.startswith("error: no scenario is called 'nope'")


@pytest.mark.parametrize(("flags", "level"), [([], 1), (["-v"], 2), (["-q"], 0), (["-v", "-q"], 0)])
def test_verbosity_is_set_wherever_its_flag_stands(townlet, flags, level):
    from townlet_cli.console import Verbosity

    for line in ([*flags, "scenario", "list"], ["scenario", "list", *flags], ["scenario", *flags, "list"]):
        townlet(*line)
        assert Verbosity.level == level


def test_a_flag_after_two_dashes_is_an_argument(townlet):
    code, _, stderr = townlet("scenario", "show", "--", "-q")
    assert code == 2
    assert "no scenario is called '-q'" in stderr


def test_json_is_one_object_and_nothing_else_on_stdout(townlet):
    code, stdout, _ = townlet("scenario", "list", "--json")
    assert code == 0
    assert list(json.loads(stdout)) == ["schema", "scenarios"]


def test_a_pipe_sees_no_colour(spawn):
    ended = spawn("capture", "nope")
    assert "\x1b" not in ended.stdout + ended.stderr


def test_colour_can_be_forced_and_no_color_wins(spawn):
    assert COLOUR in spawn("capture", "nope", variables={"FORCE_COLOR": "1"}).stderr
    plain = spawn("capture", "nope", variables={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stderr
    assert COLOUR not in plain


def test_forced_colour_brings_no_progress_bar_into_a_pipe(spawn, tmp_path):
    ended = spawn(
        "capture", "queue_conflict", "--ticks", 3, "--output", tmp_path, variables={"FORCE_COLOR": "1"}
    )
    assert ended.returncode == 0
    assert "capturing" not in ended.stderr


@pytest.mark.parametrize("command", [["scenario", "list"], ["scenario", "list", "--json"], ["--help"]])
def test_a_reader_that_left_is_no_error_and_exits_141(spawn, command):
    read_end, write_end = os.pipe()
    os.close(read_end)
    ended = spawn(*command, "-q", stdout=write_end)
    os.close(write_end)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_stdout_exits_5(spawn):
    with open("/dev/full", "w") as full:
        ended = spawn("scenario", "list", "-q", stdout=full)
    assert ended.returncode == 5
    assert ended.stderr.startswith("error: stdout: No space left on device\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_the_exit_code_is_right_where_nobody_can_read_why(spawn):
    with open("/dev/full", "w") as full:
        assert spawn("capture", "nope", stderr=full).returncode == 2


def test_closed_streams_are_no_bug(environment):
    line = f"exec {sys.executable} -m townlet_cli scenario list <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], env=environment).returncode == 0


def test_ctrl_c_ends_a_command_that_waits_with_130(environment, tmp_path):
    log = tmp_path / "telemetry.jsonl"
    with TelemetryWriter(log):
        pass
    # A test run in the background may have SIGINT ignored, and children inherit that.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    program = listen + "from townlet_cli.main import run; run()"
    command = [sys.executable, "-c", program, "telemetry", "watch", str(log), "--follow"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **streams) as watching:
        with open(log, "a") as file:
            file.write("not a record\n")
        assert "warning" in watching.stderr.readline()  # now it follows
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert said == "error: interrupted\n"


@pytest.mark.parametrize(
    ("encoding", "row", "size"),
    [("ascii", "#.......#", "9 x 6 tiles"), ("latin-1", "#·······#", "9 × 6 tiles")],
)
def test_drawings_and_tables_use_ascii_where_a_stream_has_no_more(spawn, encoding, row, size):
    shown = spawn(
        "scenario", "show", "queue_conflict", variables={"PYTHONIOENCODING": encoding}, encoding=encoding
    ).stdout
    assert row in shown
    assert size in shown
    assert "\\x" not in shown


def test_every_letter_beyond_ascii_that_we_print_has_a_stand_in():
    letters = {}
    for path in (path for room in ("townlet_core", "townlet_cli") for path in (ROOT / room).rglob("*.py")):
        tree = ast.parse(path.read_text())
        comments = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in comments:
                letters |= dict.fromkeys(filter(lambda c: not c.isascii(), node.value), path.name)
    letters = {letter: file for letter, file in letters.items() if letter.isprintable()}
    assert {letter: file for letter, file in letters.items() if letter not in console._STAND_INS} == {}
    assert all(stand_in.isascii() for stand_in in console._STAND_INS.values())


def test_json_is_json_on_a_stream_that_cannot_write_every_letter(spawn, tmp_path):
    town = tmp_path / "café.yaml"
    town.write_text("name: x\nticks: 1\ngrid: {size: [2, 2]}\nagents: [{id: a, position: [9, 9]}]\n")
    for encoding in ("ascii", "latin-1", "utf-8"):
        found = spawn("scenario", "validate", "--json", town, variables={"PYTHONIOENCODING": encoding})
        (file,) = json.loads(found.stdout)["files"]
        assert file["file"] == str(town)
        shown = spawn(
            "scenario",
            "show",
            "queue_conflict",
            variables={"PYTHONIOENCODING": encoding},
            encoding=encoding,
        )
        assert shown.returncode == 0
