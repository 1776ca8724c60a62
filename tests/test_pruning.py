"""Ages and sizes as people write them, and what a rule removes."""

import pytest

from townlet_core.errors import InputError
from townlet_core.pruning import Rules, parse_age, parse_bytes


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 2592000), ("12h", 43200), ("1.5h", 5400), ("2w", 1209600), ("5m", 300)]
)
def test_ages(text, seconds):
    assert parse_age(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("5GB", 5 * 10**9), ("1.5MB", 1500000), ("2GiB", 2**31), ("100", 100), ("7 kB", 7000), ("3B", 3)],
)
def test_sizes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "d", "-1d", "30", "30 days", "1e3d", "5XB", "GB", "0x5"])
def test_other_ages_and_sizes_are_refused(text):
    with pytest.raises(InputError, match="--older-than"):
        parse_age(text)
    with pytest.raises(InputError, match="--max-bytes"):
        parse_bytes(text if text != "30" else "30 parsecs")


@pytest.mark.parametrize(
    ("rules", "goes"),
    [
        (Rules(keep=2), [False, False, True]),
        (Rules(older_than=20), [False, True, True]),
        (Rules(max_bytes=300), [False, True, True]),
        (Rules(keep=2, max_bytes=1000), [False, False, True]),
        (Rules(), [False, False, False]),
    ],
)
def test_a_thing_goes_if_one_rule_says_so(rules, goes):
    things = [(10, 0, 100), (30, 1, 400), (50, 2, 600)]  # age, newer ones that stay, bytes so far
    assert [rules.remove(*thing) for thing in things] == goes
