"""Every error leaves through one door: a line, a hint, and the documented exit code."""

import errno
import json
import os

import pytest

from townlet_core import errors, io
from townlet_core.scenario import catalogue

KNOWN = [
    (errors.CheckFailed("two of three failed", "look closer"), 1),
    (errors.InputError("a.npz: too short", "look closer"), 2),
    (errors.ScenarioError("a.yaml:1:2: odd", "look closer"), 2),
    (errors.SettingsError("--cycles: odd", "look closer"), 2),
    (errors.SampleError("a.npz: odd", "look closer"), 2),
    (errors.ShapeError("odd lengths", "look closer"), 2),
    (errors.NotFiniteError("odd numbers", "look closer"), 2),
    (errors.MissingError("torch finds no GPU", "look closer"), 3),
    (errors.MissingFileError("a.npz: no such file", "look closer"), 3),
    (errors.MissingLibraryError("torch is not installed", "look closer"), 3),
    (errors.RunFailed("not finite", "look closer"), 4),
    (errors.DiskError("a.npz: No space left on device", "look closer"), 5),
    (errors.BusyError("runs/a: somebody writes here", "look closer"), 73),
    (errors.Interrupted(1, "stopped", "look closer"), 129),
    (errors.Interrupted(2, "stopped", "look closer"), 130),
    (errors.Interrupted(15, "stopped", "look closer"), 143),
]


@pytest.fixture
def break_list(monkeypatch):
    """Make `townlet scenario list` meet an error."""

    def break_with(error):
        def meet():
            raise error

        monkeypatch.setattr(catalogue, "bundled_scenarios", meet)

    return break_with


@pytest.mark.parametrize(("error", "code"), KNOWN, ids=lambda value: type(value).__name__)
def test_an_error_is_one_line_one_hint_and_its_exit_code(townlet, break_list, error, code):
    break_list(error)
    assert townlet("scenario", "list") == (code, "", f"error: {error}\nhint: look closer\n")


def test_every_error_class_is_among_these_cases():
    families = errors.TownletError.__subclasses__()
    classes = {*families, *(child for family in families for child in family.__subclasses__())}
    # Those of the environments are Gymnasium's errors as well, and no command raises them.
    classes = {kind for kind in classes if not kind.__module__.startswith("townlet_core.envs")}
    assert classes == {type(error) for error, _ in KNOWN}


def test_an_error_without_a_hint_is_one_line(townlet, break_list):
    break_list(errors.InputError("odd"))
    assert townlet("scenario", "list") == (2, "", "error: odd\n")


def test_debug_shows_the_traceback_wherever_it_stands(townlet, break_list):
    break_list(errors.InputError("odd"))
    for line in (("--debug", "scenario", "list"), ("scenario", "list", "--debug")):
        code, _, stderr = townlet(*line)
        assert code == 2
        assert "Traceback (most recent call last)" in stderr
        assert stderr.endswith("error: odd\n")


def test_a_bug_exits_70_names_itself_and_asks_for_the_traceback(townlet, break_list):
    break_list(ZeroDivisionError("division by zero"))
    code, stdout, stderr = townlet("scenario", "list")
    assert (code, stdout) == (70, "")
    assert stderr == (
        "error: this is a bug in townlet: ZeroDivisionError: division by zero\n"
        "hint: run it again with --debug and send us the traceback\n"
    )


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EDQUOT, errno.ENOLCK, errno.EMFILE])
def test_an_error_of_the_disk_that_slipped_past_its_door_names_its_file_all_the_same(
    townlet, break_list, number
):
    break_list(OSError(number, os.strerror(number), "a.npz"))
    assert townlet("scenario", "list")[0] == 5
    assert townlet("scenario", "list")[2].startswith(f"error: a.npz: {os.strerror(number)}\nhint: check free")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG])
def test_only_what_the_command_line_wrote_itself_is_told_of_stdout(townlet, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(catalogue, "bundled_scenarios", refuse)
    code, _, stderr = townlet("scenario", "list")
    assert (code, stderr.splitlines()[0]) == (5, f"error: stdout: {os.strerror(number)}")
    monkeypatch.setattr(catalogue, "bundled_scenarios", lambda: io.sync_folder("."))
    monkeypatch.setattr(os, "fsync", refuse)
    code, _, stderr = townlet("scenario", "list")
    assert (code, stderr.splitlines()[0]) == (5, f"error: the disk: {os.strerror(number)}")


def test_an_end_of_file_somewhere_is_no_interruption(townlet, break_list):
    break_list(EOFError("Ran out of input"))
    code, _, stderr = townlet("scenario", "list")
    assert code == 70
    assert "EOFError: Ran out of input" in stderr


def test_want_of_memory_is_not_called_a_bug(townlet, break_list):
    break_list(MemoryError("Unable to allocate 9 PiB"))
    code, _, stderr = townlet("scenario", "list")
    assert code == 4
    assert stderr.startswith("error: not enough memory: Unable to allocate 9 PiB\nhint: ask for fewer")


def test_an_interruption_exits_130(townlet, break_list):
    break_list(KeyboardInterrupt())
    assert townlet("scenario", "list") == (130, "", "error: interrupted\n")


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        (["captre"], "No such command 'captre'. Did you mean 'capture'?", "townlet --help"),
        (["capture"], "Missing argument 'scenario'.", "townlet capture --help"),
        (["capture", "x", "--tick", "3"], "No such option: --tick", "townlet capture --help"),
        (["capture", "x", "--ticks", "many"], "--ticks: found 'many', expected", "townlet capture --help"),
        (["capture", "x", "--ticks", "0"], "--ticks: found '0', expected", "townlet capture --help"),
        (["replay", "inspekt", "x"], "Did you mean 'inspect'?", "townlet replay --help"),
    ],
)
def test_wrong_usage_exits_2_and_names_the_help_to_read(townlet, line, message, hint):
    code, stdout, stderr = townlet(*line)
    assert (code, stdout) == (2, "")
    first, second = stderr.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert second == f"hint: {hint}"


@pytest.mark.parametrize("group", [[], ["scenario"], ["replay"], ["telemetry"]])
def test_a_group_without_a_command_prints_its_help_and_exits_2(townlet, group):
    code, stdout, stderr = townlet(*group)
    assert code == 2
    assert "Usage: townlet" in stdout + stderr
    assert "error" not in stderr


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["capture"], ["scenario", "list"], ["telemetry"]])
def test_help_is_data_and_exits_0(townlet, command, flag):
    code, stdout, stderr = townlet(*command, flag)
    assert (code, stderr) == (0, "")
    assert " ".join(["Usage: townlet", *command]) in stdout


def test_the_version_is_data(townlet):
    assert townlet("--version") == (0, "townlet 0.1.0\n", "")


def test_control_characters_of_a_name_reach_no_terminal(townlet):
    code, _, stderr = townlet("capture", "\x1b]0;owned\x07\x9b31m[red]name\u202e")
    assert code == 2
    assert "'\\x1b]0;owned\\x07\\x9b31m[red]name\\u202e'" in stderr
    assert not set(stderr) & {"\x1b", "\x07", "\x9b", "\u202e"}


@pytest.mark.parametrize(
    "line",
    [
        ["scenario", "show", "{}.yaml"],
        ["scenario", "validate", "{}.yaml"],
        ["capture", "{}"],
        ["capture", "{}.yaml"],
        ["train", "{}.yaml"],
        ["replay", "validate", "{}"],
        ["telemetry", "summary", "{}"],
        ["capture", "queue_conflict", "--{}"],
    ],
    ids=" ".join,
)
def test_a_file_name_cannot_break_its_error_into_two_lines(townlet, line):
    code, _, stderr = townlet(*(word.format("a\nerror: b\u2028\udcff") for word in line))
    assert code in (2, 3)
    assert [text.partition(": ")[0] for text in stderr.split("\n") if text] in (["error"], ["error", "hint"])
    assert "a\nerror" not in stderr


def test_each_mistake_of_a_file_with_an_odd_name_stays_on_its_line(townlet, tmp_path):
    (tmp_path / "a\nb.yaml").write_text("name: x\ngrid: {size: [3, 3]}\ntiks: 0\n")
    _, _, stderr = townlet("capture", tmp_path / "a\nb.yaml")
    assert [line.partition("a\\nb.yaml")[2] for line in stderr.splitlines()[:2]] == [
        ":3:1: tiks: unknown key 'tiks' (did you mean 'ticks'?)",
        ":3:7: ticks: found 0, expected a whole number from 1 to 1,000,000",
    ]


def test_a_file_name_that_is_no_text_is_written_as_json(townlet, tmp_path):
    file = tmp_path / "\udcff.yaml"
    file.write_text("name: x\n")
    code, stdout, _ = townlet("scenario", "validate", "--json", file)
    assert (code, json.loads(stdout)["files"][0]["file"]) == (2, str(file))


def test_a_traceback_carries_no_control_characters_either(townlet):
    _, _, stderr = townlet("--debug", "capture", "\x1b[31mred")
    assert "Traceback" in stderr
    assert "\x1b" not in stderr


@pytest.mark.parametrize("place", [":100:", ":1234:7", ":x:/"])
def test_what_looks_like_an_emoji_stays_what_it_is(townlet, break_list, place):
    break_list(errors.InputError(f"town.yaml{place}: odd"))
    assert townlet("scenario", "list") == (2, "", f"error: town.yaml{place}: odd\n")


@pytest.mark.parametrize(
    "command",
    [
        ("telemetry", "watch"),
        ("telemetry", "validate"),
        ("replay", "validate"),
        ("replay", "inspect"),
        ("scenario", "show"),
        ("evaluate",),
        ("train", "--resume"),
    ],
)
def test_a_folder_we_may_not_look_into_is_the_disk_refusing(townlet, tmp_path, monkeypatch, command):
    real = os.stat

    def stat(path, *arguments, **options):
        if str(path).startswith(f"{tmp_path}/private"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", stat)
    code, _, stderr = townlet(
        *command, f"{tmp_path}/private/x.yaml" if "show" in command else f"{tmp_path}/private/x"
    )
    assert code == 5
    assert "Permission denied" in stderr


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (3, ("telemetry", "watch")),
        (3, ("telemetry", "summary")),
        (3, ("replay", "validate")),
        (2, ("scenario", "show")),
        (3, ("evaluate", "--scenario", "queue_conflict")),
    ],
)
def test_a_name_too_long_for_any_file_names_nothing(townlet, code, command):
    found, _, stderr = townlet(*command, "x" * 300)
    assert found == code
    assert "bug" not in stderr
