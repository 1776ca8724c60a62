"""Errors carry the documented exit codes, point at the nearest word, and show any value in one short line."""

import ast
import builtins
import copy
import errno
import pickle
from pathlib import Path

import pytest

from townlet_core import errors, io
from townlet_core.locks import lock_folder

# Class, the class of ours and of Python that it extends, exit code.
TREE = [
    ("CheckFailed", "TownletError", None, 1),
    ("InputError", "TownletError", ValueError, 2),
    ("ScenarioError", "InputError", ValueError, 2),
    ("SettingsError", "InputError", ValueError, 2),
    ("SampleError", "InputError", ValueError, 2),
    ("ShapeError", "InputError", ValueError, 2),
    ("NotFiniteError", "InputError", ValueError, 2),
    ("MissingError", "TownletError", None, 3),
    ("MissingFileError", "MissingError", FileNotFoundError, 3),
    ("MissingLibraryError", "MissingError", ImportError, 3),
    ("RunFailed", "TownletError", RuntimeError, 4),
    ("DiskError", "TownletError", OSError, 5),
    ("BusyError", "TownletError", BlockingIOError, 73),
    ("Interrupted", "TownletError", None, 143),
]
BUILT_IN = (
    ValueError,
    OSError,
    FileNotFoundError,
    BlockingIOError,
    ImportError,
    RuntimeError,
    KeyboardInterrupt,
)


def example_of(name):
    kind = getattr(errors, name)
    return (
        kind(15, "a.npz: odd", "look closer") if name == "Interrupted" else kind("a.npz: odd", "look closer")
    )


@pytest.mark.parametrize(("name", "ours", "python", "code"), TREE)
def test_each_error_is_one_of_ours_and_one_of_pythons_with_its_exit_code(name, ours, python, code):
    error = example_of(name)
    assert (ours in [base.__name__ for base in type(error).__bases__], error.exit_code) == (True, code)
    bases = {kind for kind in BUILT_IN if isinstance(error, kind)}
    assert bases == {kind for kind in BUILT_IN if python and issubclass(python, kind)}


def test_the_tree_lists_every_error():
    defined = {name for name, value in vars(errors).items() if str(value).startswith("<class 'townlet_core")}
    assert defined == {name for name, *_ in TREE} | {"TownletError", "TownletWarning"}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("name", [name for name, *_ in TREE])
def test_an_error_travels_between_processes_as_it_is(name, again):
    error = example_of(name)
    other = again(error)
    assert type(other) is type(error)
    assert str(other) == str(error) == "a.npz: odd"
    assert (other.hint, other.exit_code) == (error.hint, error.exit_code)


def test_a_disk_error_has_the_number_and_the_file_of_the_oserror_behind_it():
    error = io.disk_error(OSError(errno.ENOSPC, "No space left on device"), "runs/a")
    for same in (error, pickle.loads(pickle.dumps(error))):
        assert (same.errno, same.filename, same.strerror) == (
            errno.ENOSPC,
            "runs/a",
            "No space left on device",
        )
        assert str(same) == "runs/a: No space left on device"


ROOT = Path(__file__).resolve().parents[1]


def raised_in(body):
    """Yield the errors of ours that these statements raise themselves, with their line."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                kind = getattr(errors, ast.unparse(node.exc.func), None)
                if kind:
                    yield kind, node.lineno


def caught_by(handler):
    """Return the classes a handler catches, as far as they are Python's or ours."""
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    known = (getattr(errors, ast.unparse(n), getattr(builtins, ast.unparse(n), None)) for n in names)
    return tuple(kind for kind in known if kind)


def lets_through(handler):
    """Whether a handler asks for an error of ours, or raises again whatever it caught."""
    asked = any(issubclass(kind, errors.TownletError) for kind in caught_by(handler))
    return asked or ast.unparse(handler.body[-1]) == "raise"


def test_no_handler_of_pythons_errors_catches_one_of_ours():
    swallowed = []
    for path in sorted(ROOT.glob("townlet_c*/**/*.py")):
        for block in ast.walk(ast.parse(path.read_text())):
            handlers = block.handlers if isinstance(block, ast.Try) else []
            for kind, line in raised_in(block.body if handlers else []):
                first = next((h for h in handlers if issubclass(kind, caught_by(h))), None)
                if first and not lets_through(first):
                    swallowed.append(f"{path.relative_to(ROOT)}:{line}")
    assert swallowed == []


def test_user_code_catches_what_python_would_raise(tmp_path):
    with pytest.raises(FileNotFoundError):
        io.read_file(tmp_path / "nothing.json")
    with pytest.raises(ValueError, match="not JSON"):
        io.parse_json(b"{", "a.json")
    with lock_folder(tmp_path), pytest.raises(OSError, match="another process"), lock_folder(tmp_path):
        pass


def test_a_near_miss_is_suggested_and_nonsense_is_not():
    assert errors.did_you_mean("showr", ("shower", "bed")) == " (did you mean 'shower'?)"
    assert errors.did_you_mean("zzz", ("shower", "bed")) == ""


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("abcd", ""),
        ("abc", "only in the first: d"),
        ("abcdefghi", "only in the second: e, f, g and 2 more"),
        ("bcde", "only in the first: a; only in the second: e"),
        ("abdc", "another order: number 2 is c in the first, d in the second"),
    ],
)
def test_a_difference_of_names_is_said_by_name(second, words):
    assert errors.name_difference("abcd", second) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("abc", "'abc'"),
        ("a\nb\x1b\u2028\ud800", r"'a\nb\x1b\u2028\ud800'"),
        (None, "None"),
        (1.5, "1.5"),
        ([11, 11], "[11, 11]"),
        ([1, 2, 3, 4, 5], "[1, 2, 3, 4, ...]"),
        ({"a": [[[1]]]}, "{'a': [[[...]]]}"),
        ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}, "{'a': 1, 'b': 2, 'c': 3, 'd': 4, ...}"),
        (1 << 10_000, "a number of 10,001 bits"),
        (set(), "a value of type set"),
        ("x" * 100, "'" + "x" * 75 + "...'"),
    ],
)
def test_a_found_value_is_shown_in_one_short_line(value, words):
    assert errors.shown(value) == words


def test_what_holds_itself_many_times_over_is_shown_at_once():
    value = ["laughs" * 1000]
    for _ in range(200):  # ten to the power of 200 texts
        value = [value] * 10
    assert len(errors.shown(value)) <= errors.MAX_SHOWN
    assert len(errors.shown({"\x1b" * 100: value})) <= errors.MAX_SHOWN


def test_a_word_far_longer_than_any_known_one_is_compared_with_none():
    assert errors.did_you_mean("shower" * 100_000, ("shower" * 99_999,)) == ""
