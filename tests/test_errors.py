"""Errors carry the documented exit codes, point at the nearest word, and show any value in one short line."""

import pytest

from townlet_core import errors


def test_exit_codes_are_the_documented_ones():
    codes = {
        error.__name__: error.exit_code
        for error in errors.TownletError.__subclasses__()
        if error.__name__ != "Interrupted"
    }
    assert codes == {
        "CheckFailed": 1,
        "InputError": 2,
        "MissingError": 3,
        "RunFailed": 4,
        "DiskError": 5,
        "BusyError": 73,
    }
    assert errors.Interrupted(15, "stopped").exit_code == 143


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
